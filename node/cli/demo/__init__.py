"""`hutong demo`: four regions on this machine exchange transfers, one is killed, and every promise is checked."""

from __future__ import annotations

import typer

from node.cli.command import command


def register(app: typer.Typer) -> None:
    """Add `demo`."""
    from node.cli.demo.run import demo

    command(
        app,
        "demo",
        "演示：四个地区签约、五千笔转移、断电、恢复、追回，逐项核对",
        "Demonstration: four regions agree, 5,000 transfers, one killed, fraud taken back, every promise checked",
    )(demo)
