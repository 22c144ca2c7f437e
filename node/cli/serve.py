"""`hutong serve`: run a region's node until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import structlog
import typer

from gateway.protocol.errors import ProtocolError
from node.cli.command import HERE, Directory, command
from node.cli.faults import Exit, Failed
from node.cli.screen import Answer, note, tell
from node.cli.words import say
from node.config import Config, host_port, load
from node.errors import NodeError
from node.lock import Hold, hold
from node.services import founding

if TYPE_CHECKING:
    from node.app import Node

LOOK_S = 5.0
"""How often the lock and the rosters in the database are looked at."""
CERTIFICATE_WARNING_DAYS = 30
STOP_S = 60.0
"""How long a stop may take before the process ends all the same; what was committed is safe."""


def register(app: typer.Typer) -> None:
    """Add `serve`."""
    command(app, "serve", "运行地区节点", "Run a region's node")(serve)


def serve(directory: Directory = HERE) -> Answer:
    """SIGTERM and SIGINT finish the batch in hand and end with 0. Logs are JSON lines on the error stream."""
    config = load(directory)
    log_json()
    with hold(config, process=config.process) as held:
        asyncio.run(_serve(config, held))
    raise typer.Exit(0)  # what there was to say was said when the node was ready


def log_json() -> None:
    """One JSON object a line, from libraries too; tracebacks without values of variables: they may be a person's."""
    frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(frames),
    ]
    as_json = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    structlog.configure(
        processors=[*shared, as_json],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:3], structlog.stdlib.add_logger_name, shared[3]],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_json],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)


async def _serve(config: Config, held: Hold) -> None:
    from node.app import Node

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    node = await asyncio.to_thread(Node, config)
    try:
        await _start(node, config)
        held.tell(f"{_host(config.http_listen)}:{node.http_port}")
        _ready(node, config)
        stopped = asyncio.create_task(stop.wait())
        guarded = asyncio.create_task(_guard(node, held))
        await asyncio.wait({stopped, guarded}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if guarded.done():
            guarded.result()
        guarded.cancel()
    finally:
        await asyncio.wait_for(node.stop(), STOP_S)


async def _start(node: Node, config: Config) -> None:
    try:
        await node.start()
    except (OSError, RuntimeError) as error:  # gRPC says RuntimeError when it cannot listen
        if isinstance(error, OSError) or "bind" in str(error).lower() or "address" in str(error).lower():
            raise Failed(
                say(
                    f"无法监听 {config.grpc_listen} 或 {config.http_listen}",
                    f"cannot listen on {config.grpc_listen} or {config.http_listen}",
                ),
                say(
                    "停止占用端口的程序，或修改 hutong.toml 中的地址。",
                    "Stop what uses the port, or change the address in hutong.toml.",
                ),
                code=Exit.UNAVAILABLE,
            ) from error
        raise


async def _guard(node: Node, held: Hold) -> None:
    """Takes rosters that `hutong federation trust` left in the database. Ends, with an error, when another process has
    become the node of the region."""
    while True:
        await asyncio.sleep(LOOK_S)
        await asyncio.to_thread(held.keeps)
        try:
            await _follow(node)
            node.hold_keys()
        except (ProtocolError, NodeError) as error:
            structlog.get_logger(__name__).warning("roster_not_read", error=str(error))


async def _follow(node: Node) -> None:
    """Put the newest roster of the database in force, and dial whom it adds."""
    newest = await asyncio.to_thread(founding.newest_version, node.store)
    if newest <= node.office.roster.version:
        return
    known = set(node.region.peers())
    await node.region.hear_rosters(())
    for code, peer in node.region.peers().items():
        if code not in known and peer.endpoint:
            await node.retry(code)


def _ready(node: Node, config: Config) -> None:
    """One line, once others can reach it."""
    port = node.courier.port or host_port(config.grpc_listen)[1]  # one of several may never listen there
    grpc = f"{_host(config.grpc_listen)}:{port}"
    http = f"{_host(config.http_listen)}:{node.http_port}"
    value: dict[str, Any] = {
        "ready": True, "region": config.region, "grpc": grpc, "http": http, "pid": os.getpid(),
    }  # fmt: skip
    if config.process:
        value["process"] = config.process
    name = say(config.name_zh, config.name_en or config.name_zh)
    line = f"{config.region} {name} {say('已就绪', 'ready')}  gRPC {grpc}  HTTP http://{http}  PID {os.getpid()}"
    tell(Answer(value=value, shown=[line]))
    sys.stdout.flush()
    left = node.certificate_days()
    if left < CERTIFICATE_WARNING_DAYS:
        structlog.get_logger(__name__).warning("certificate_expires", days_left=left, file=str(config.tls_certificate))
        note(
            f"证书还有 {left} 天到期：运行 hutong card --new-certificate 并把名片交给保管人。",
            f"The certificate expires in {left} days: run `hutong card --new-certificate` and send the card.",
        )


def _host(listen: str) -> str:
    host = host_port(listen)[0]
    return f"[{host}]" if ":" in host else host
