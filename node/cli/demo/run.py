"""The command itself: from an empty directory to the verdict, and nothing left behind."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from node.cli import screen
from node.cli.demo import agreeing, attesting, data, founding, redeeming, report, restored, swindle
from node.cli.demo.api import Api
from node.cli.demo.drive import Drive
from node.cli.demo.finish import Outcome, examine
from node.cli.demo.founding import Federation
from node.cli.demo.story import Story
from node.cli.faults import Exit, Failed
from node.cli.screen import Answer
from node.cli.words import say


class Stages:
    """Says on the error stream what is going on: a bar where somebody watches, a line when a stage is over."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, zh: str, en: str, total: int) -> Iterator[Callable[[int], None]]:
        """See :class:`node.cli.demo.drive.Watcher`."""
        title, began = say(zh, en), time.monotonic()
        with screen.progress(title, total) as bar:
            yield lambda steps: bar.advance(bar.task_ids[0], steps)
        if not screen.wants_json():
            self._console.print(Text(f"✓ {title}  {time.monotonic() - began:.1f} s"))


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help=say("结束后让四个地区继续运行", "Leave the four regions running"))
    ] = False,
) -> Answer:
    """Exit status 0 only when every promise holds. Nothing outlives it, whatever ends it, unless `--keep` is given."""
    began = time.monotonic()
    loaded = data.load()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with founding.somewhere(keep) as root, founding.four_regions(root, keep=keep) as made:
            try:
                drive, story, outcome = asyncio.run(_run(made, loaded))
            except BaseExceptionGroup as several:  # the first of what failed side by side is what there is to say
                raise _first(several) from several
            seconds = time.monotonic() - began
            value = report.as_json(drive, story, outcome, seconds)
            shown = list(report.shown(drive, story, outcome, seconds))
            if keep:
                value["running"] = _running(made)
                shown += _kept(made)
    except KeyboardInterrupt:
        raise _interrupted() from None
    finally:
        signal.signal(signal.SIGTERM, before)
    fine = all(check.ok for check in outcome.checks)
    return Answer(value=value, shown=shown, code=Exit.OK if fine else Exit.REFUSED)


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _interrupt(_number: int, _frame: object) -> None:
    """SIGTERM ends the demonstration as Ctrl-C does: by way of everything that has to be stopped."""
    raise KeyboardInterrupt


def _interrupted() -> Failed:
    what = say(
        "演示已中断；已停止全部地区，未留下任何文件",
        "interrupted; every region was stopped and nothing was left behind",
    )
    return Failed(what, say("可以重新运行。", "Run it again."), Exit.UNAVAILABLE, "interrupted")


async def _run(made: Federation, loaded: data.Data) -> tuple[Drive, Story, Outcome]:
    async with AsyncExitStack() as stack:
        apis = {region.code: await stack.enter_async_context(Api(region)) for region in made.regions}
        drive = Drive(federation=made, data=loaded, watcher=Stages(), apis=apis)
        await drive.start()
        await drive.load()
        orders = drive.orders(loaded.transfers)
        backup = await restored.back_up(drive)
        agreed = await agreeing.agree(drive)
        await agreeing.wait_for_the_clerk(drive)
        await drive.submit(orders, lambda: agreeing.amend(drive, agreed))
        await drive.settle()
        await swindle.spread(drive)
        trips = await redeeming.redeem(drive)
        attested = await attesting.attest(drive)
        restore = await restored.put_back(drive, backup, orders)
        await swindle.spread_further(drive)
        taken_back = await swindle.take_back(drive)
        await drive.settle()
        story = Story(agreed=agreed, trips=trips, attested=attested, restore=restore, taken_back=taken_back)
        return drive, story, await examine(drive, story)


def _running(made: Federation) -> dict[str, object]:
    return {
        "directory": str(made.root),
        "regions": [
            {
                "region": region.code,
                "url": region.url,
                "grpc": region.grpc,
                "token_file": str(region.token_file),
                "directory": str(region.directory),
                "pid": region.pid,
            }
            for region in made.regions
        ],
        "stop": ["kill", *(str(region.pid) for region in made.regions)],
    }


def _kept(made: Federation) -> list[RenderableType]:
    """How to reach what was left running, and how to end it."""
    rows = [[str(region.code), region.url, str(region.token_file), str(region.pid)] for region in made.regions]
    columns = [say("地区", "Region"), "HTTP", say("令牌文件", "Token file"), "PID"]
    first = made.regions[0]
    pids = " ".join(str(region.pid) for region in made.regions)
    hutong = sys.argv[0] if Path(sys.argv[0]).name == "hutong" else "hutong"  # as it was called: it works again
    again = say(
        f"例如：{hutong} peers --dir {first.directory}\n停止并删除：kill {pids}; rm -r {made.root}",
        f"Try: {hutong} peers --dir {first.directory}\nStop and remove: kill {pids}; rm -r {made.root}",
    )
    return [screen.table(say("四个地区继续运行", "The four regions are still running"), columns, rows), again]
