"""Promises about logs, messages and receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from gateway.protocol import codec
from gateway.protocol.channel import Condition
from gateway.protocol.errors import ProtocolError
from gateway.protocol.suite import verify
from gateway.protocol.transfer import State
from gateway.protocol.values import Kind, Receipt
from node.cli.demo.books import root_of
from node.cli.demo.case import Case, Check, check, unless


def heads(case: Case) -> Check:
    """Both sides of every log have the same size and root, computed here from the frames each of them stored."""

    def look() -> Iterator[str | None]:
        for a, b in case.pairs():
            mine, theirs = case.books[a].logs[a, b], case.books[b].logs[a, b]
            ends = {
                (len(mine), root_of(mine)), (len(theirs), root_of(theirs)),
                case.books[a].heads[a, b], case.books[b].heads[a, b],
            }  # fmt: skip
            yield unless(len(ends) == 1, f"{a}→{b}: {[(size, root.hex()[:16]) for size, root in ends]}")

    return check("equal_heads", "两边的日志头一致", "both sides of every log have equal heads", look())


def messages(case: Case) -> Check:
    """Frame by frame, byte by byte."""

    def look() -> Iterator[str | None]:
        for a, b in case.pairs():
            mine, theirs = case.books[a].logs[a, b], case.books[b].logs[a, b]
            if len(mine) != len(theirs):
                yield f"{a}→{b}: {len(mine)} messages, and {len(theirs)} at the other side"
            for number, (one, other) in enumerate(zip(mine, theirs, strict=False)):
                yield unless(one == other, f"{a}→{b} number {number} differs")

    return check("same_messages", "两边逐条持有相同的报文", "both sides hold the same messages, byte by byte", look())


def messages_are_the_transfers(case: Case) -> Check:
    """Every transfer was offered once and answered once in the two logs between its regions, and so was every other
    request; there is nothing else."""

    def look() -> Iterator[str | None]:
        others = {(region, r.peer, r.id) for region, papers in case.papers.items() for r in papers.requests if r.mine}
        asked: Counter[tuple[int, int, bytes]] = Counter()
        answered: Counter[tuple[int, int, bytes]] = Counter()
        for a, b in case.pairs():
            for number, raw in enumerate(case.books[a].logs[a, b]):
                try:
                    frame = codec.decode_frame(raw)
                except ProtocolError as error:
                    yield f"{a}→{b} number {number}: {error}"
                    continue
                if frame.reply and frame.id not in case.outgoing and (b, a, frame.id) in others:
                    answered[b, a, frame.id] += 1
                    yield None
                elif frame.reply:
                    accepted = case.outgoing[frame.id].state == State.POSTED if frame.id in case.outgoing else None
                    right = accepted is (frame.kind == Kind.ACCEPT)
                    yield unless(right, f"{a}→{b}: a wrong answer to {frame.id.hex()}")
                    answered[b, a, frame.id] += 1
                else:
                    asked[a, b, frame.id] += 1
        due = Counter((t.source, t.destination, t.id) for t in case.outgoing.values())
        due.update(others)
        for what, found in (("offered", asked), ("answered", answered)):
            if found != due:
                yield f"not everything was {what} exactly once"

    zh, en = "每笔转移、每项请求恰好提出一次、答复一次", "every transfer and request was said once and answered once"
    return check("offered_once_answered_once", zh, en, look())


def outboxes(case: Case) -> Check:
    """Nothing waits to be sent, and of all that was sent the sender knows that it arrived."""

    def look() -> Iterator[str | None]:
        for region, books in case.books.items():
            yield unless(books.outbox == 0, f"{region} has {books.outbox} messages without a number")
            for peer, channel in books.channels.items():
                size = books.heads[region, peer][0]
                fine = channel.final == size and channel.condition == Condition.OPEN
                yield unless(fine, f"{region}→{peer}: {channel.final} of {size} arrived, channel {channel.condition}")

    return check("outboxes_empty", "发件箱已清空", "outboxes are empty", look())


def receipts(case: Case) -> Check:
    """Each region holds the other's signature over the whole of the log it sent there."""

    def look() -> Iterator[str | None]:
        for a, b in case.pairs():
            size, root = case.books[a].heads[a, b]
            kept = case.books[a].receipts.get((a, b))
            if kept is None:
                yield f"{a}→{b}: no receipt"
                continue
            try:
                signed = codec.decode_signed(kept[1])
                payload = verify(signed, case.roster.all_keys(b), codec.RECEIPT)
                receipt = codec.decode_payload(codec.RECEIPT, payload)
                assert isinstance(receipt, Receipt)
                fine = (receipt.log.source, receipt.log.destination, receipt.size, receipt.root) == (a, b, size, root)
            except ProtocolError as error:
                yield f"{a}→{b}: {error}"
                continue
            yield unless(fine, f"{a}→{b}: the receipt covers {receipt.size} of {size}")

    return check("receipts_cover_all_logs", "收据涵盖全部日志", "signed receipts cover all logs", look())


def nothing_forgotten(case: Case) -> Check:
    """Every log that any region had received when one was killed is a prefix of what both of its sides hold now."""

    def look() -> Iterator[str | None]:
        for region, logs in case.heads_at_kill.items():
            for key, (size, root) in logs.items():
                if region != key[1]:
                    continue  # what no peer has received yet may be sealed anew
                for side in key:
                    now = case.books[side].logs[key]
                    fine = len(now) >= size and root_of(now[:size]) == root
                    yield unless(fine, f"{key[0]}→{key[1]}: the first {size} messages of then are not those of now")

    zh, en = "断电前收到的报文一条不少", "nothing received before the kill was forgotten or rewritten"
    return check("nothing_forgotten_in_the_kill", zh, en, look())


CHECKS: tuple[Callable[[Case], Check], ...] = (
    heads,
    messages,
    messages_are_the_transfers,
    outboxes,
    receipts,
    nothing_forgotten,
)
