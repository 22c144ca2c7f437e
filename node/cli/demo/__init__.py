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
        "演示：四个地区、五千笔转移、中途断电、逐项核对",
        "Demonstration: four regions, 5,000 transfers, one killed, every promise checked",
    )(demo)
