"""`hutong federation copies`, `resolve`, `succeed`, `assume`: when a region will not answer again, or another does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from gateway.protocol import documents, suite
from gateway.protocol.errors import PeerFault, Unauthentic
from gateway.protocol.members import Assume, AssumedHold, FinalLog, Resolution, Roster, Succession
from gateway.protocol.values import Signed, Status
from node.cli.command import HERE, Directory, command, replace_file
from node.cli.faults import Failed
from node.cli.roster_draft import draft, listed, with_region
from node.cli.screen import Answer, facts, table
from node.cli.words import say
from node.config import Config, load, load_secrets
from node.errors import BadFile
from node.services import founding
from node.services.resolution import final_logs, held_by
from node.services.verify.run import open_copy
from node.store.engine import open_store
from node.text_file import read_text

RosterPath = Annotated[Path, typer.Argument(help=say("名册文件", "Roster file"), show_default=False)]
Code = Annotated[str, typer.Argument(metavar="CODE", help=say("该地区代码", "Its code"), show_default=False)]
Copies = Annotated[list[Path], typer.Argument(help=say("各成员导出的副本", "Copies that members wrote"))]
Day = Annotated[str, typer.Option("--from", metavar="YYYYMMDD", help=say("自哪一业务日起", "From which business day"))]
Out = Annotated[Path | None, typer.Option("--out", help=say("写入的文件", "Where it goes"))]


def register(commands: typer.Typer) -> None:
    """Add the four."""
    command(commands, "copies", "导出与某地区账本的末端", "Write where the logs with a region end here")(copies)
    command(commands, "resolve", "了结不再应答的地区", "Resolve a region that will not answer again")(resolve)
    command(commands, "succeed", "代码由其他地区承接", "Let other regions answer for a code")(succeed)
    command(commands, "assume", "承接地区签署承接书", "Let a successor sign for what it takes over")(assume)


def copies(code: Code, out: Out = None, directory: Directory = HERE) -> Answer:
    """Signed with the region's key: how much the other held of its log, and how much it holds of the other's."""
    config = load(directory)
    known = _roster(config)
    gone = listed(known, code).code
    store = open_store(config.database)
    try:
        with store.read() as conn:
            logs = final_logs(conn, config.region, gone)
    finally:
        store.close()
    if not logs:
        raise Failed(
            say(f"与地区 {gone} 之间没有账本", f"there are no logs with region {gone}"),
            say("无须导出。", "There is nothing to hand in."),
        )
    payload = documents.encode_resolution(Resolution(region=gone, logs=logs))
    path = out or config.directory / f"region-{config.region}.copies-{gone}.json"
    replace_file(path, documents.to_json(load_secrets(config).signing_key.sign(documents.FINAL_LOGS, payload)))
    then = say(f"把 {path} 交给保管人。", f"Hand {path} to the keepers.")
    return Answer(value={"file": str(path.absolute()), "logs": _values(logs)}, shown=[_logs(logs), then])


def resolve(file: RosterPath, code: Code, files: Copies, out: Out = None) -> Answer:
    """It is withdrawn, and what members hold for it is given back as soon as they have the roster."""

    def change(listing: Roster) -> Roster:
        region = listed(listing, code)
        resolution = Resolution(region=region.code, logs=_all_logs(listing, region.code, files))
        others = tuple(r for r in listing.resolutions if r.region != region.code)
        gone = with_region(listing, replace(region, status=Status.WITHDRAWN))
        return replace(gone, resolutions=(*others, resolution))

    return draft(file, out, change)


def succeed(
    file: RosterPath,
    code: Code,
    day: Day,
    by: Annotated[list[str] | None, typer.Option("--by", metavar="CODE", help=say("承接地区", "Successor"))] = None,
    assumed: Annotated[
        Path | None, typer.Option("--assume", help=say("承接书", "What `hutong federation assume` wrote"))
    ] = None,
    out: Out = None,
) -> Answer:
    """Until that day both codes are in use. Of several successors the first keeps the old code's channels."""

    def change(listing: Roster) -> Roster:
        region, date = listed(listing, code), _date(day)
        after = [Succession(successor=listed(listing, heir).code, date=date) for heir in by or ()]
        if assumed is not None:
            signed = _signed(assumed, documents.ASSUME)
            said = documents.decode_assume(signed.payload)
            after = [s for s in after if s.successor != said.successor]
            after.insert(0, Succession(successor=said.successor, date=date, assume=signed, assumed=said))
        if not after:
            raise Failed(
                say("没有承接地区", "nobody takes over"),
                say("给出 --by 代码 或 --assume 承接书。", "Name --by CODE or --assume FILE."),
            )
        return with_region(listing, replace(region, successions=tuple(after)))

    return draft(file, out, change)


def assume(
    code: Code,
    files: Copies,
    day: Day,
    books: Annotated[
        Path | None, typer.Option("--books", help=say("前身的数据库文件", "The predecessor's database file"))
    ] = None,
    out: Out = None,
    directory: Directory = HERE,
) -> Answer:
    """The region answers from that day on for its predecessor's logs, as far as members have copies of them, and for
    what the predecessor's books still hold."""
    config = load(directory)
    known = _roster(config)
    predecessor = listed(known, code).code
    logs = _all_logs(known, predecessor, files)
    holds = _holds(books, predecessor) if books is not None else ()
    said = Assume(
        federation=known.federation, environment=known.environment, predecessor=predecessor,
        successor=config.region, date=_date(day), logs=logs, holds=holds,
    )  # fmt: skip
    path = out or config.directory / f"region-{config.region}.assume-{predecessor}.json"
    signed = load_secrets(config).signing_key.sign(documents.ASSUME, documents.encode_assume(said))
    replace_file(path, documents.to_json(signed))
    then = say(
        f"把 {path} 交给保管人：hutong federation succeed 名册 {predecessor} --from {day} --assume {path.name}",
        f"Hand {path} to the keepers: hutong federation succeed ROSTER {predecessor} --from {day} --assume {path.name}",
    )
    value = {"file": str(path.absolute()), "logs": _values(logs), "holds": len(holds)}
    pairs = [(say("前身", "Predecessor"), str(predecessor)), (say("自", "From"), day)]
    return Answer(value=value, shown=[facts(pairs), _logs(logs), then])


def _roster(config: Config) -> Roster:
    store = open_store(config.database)
    try:
        with store.write() as conn:
            return founding.trust(conn, ())
    finally:
        store.close()


def _holds(books: Path, predecessor: int) -> tuple[AssumedHold, ...]:
    store = open_copy(books)
    try:
        with store.read() as conn:
            founding.check_region(conn, predecessor)
            return held_by(conn, predecessor)
    finally:
        store.close()


def _signed(path: Path, payload_type: str) -> Signed:
    try:
        signed = documents.from_json(read_text(path))
        if signed.payload_type != payload_type:
            raise Unauthentic(f"a {payload_type} was expected, not {signed.payload_type!r}")
    except PeerFault as error:
        raise BadFile(path, None, None, f"cannot be used ({error})", "Ask whoever wrote it for it again.") from None
    return signed


def _all_logs(listing: Roster, gone: int, files: list[Path]) -> tuple[FinalLog, ...]:
    """What the members' copies show together, each signed by the member it is about."""
    found: dict[tuple[int, int], FinalLog] = {}
    for path in files:
        signed = _signed(path, documents.FINAL_LOGS)
        said = documents.decode_resolution(signed.payload)
        members = {log.source if log.destination == gone else log.destination for log in said.logs}
        if said.region != gone or len(members) != 1:
            raise BadFile(path, None, None, f"is not about the logs of one member with {gone}", "Ask for it again.")
        (member,) = members
        suite.verify(signed, listing.region(member).all_keys(), documents.FINAL_LOGS)
        for log in said.logs:
            if found.setdefault((log.source, log.destination), log) != log:
                raise BadFile(path, None, None, f"contradicts another copy of {member}", "Ask the member which holds.")
    return tuple(found[key] for key in sorted(found))


def _date(text: str) -> int:
    if not re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", text):
        raise Failed(
            say(f"{text} 不是日期", f"{text} is no date"), say("写成 20210409。", "Write it as 20210409."),
        )  # fmt: skip
    return int(text)


def _values(logs: tuple[FinalLog, ...]) -> list[dict[str, object]]:
    return [
        {"source": log.source, "destination": log.destination, "size": log.size, "root": log.root.hex()} for log in logs
    ]


def _logs(logs: tuple[FinalLog, ...]) -> RenderableType:
    columns = [say("账本", "Log"), say("长度", "Size"), say("根", "Root")]
    rows = [[f"{log.source} → {log.destination}", f"{log.size:,}", log.root.hex()] for log in logs]
    return table(say("账本末端", "Where the logs end"), columns, rows)
