"""Promises about transfers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from gateway.protocol.transfer import State
from gateway.protocol.values import Reason
from node.cli.demo.case import Answer, Case, Check, check, unless
from node.cli.demo.data import Fate


def both_sides(case: Case) -> Check:
    """Posted at the source exactly if accepted at the destination, with the same amounts; voided if refused."""
    other = {State.POSTED: State.ACCEPTED, State.VOIDED: State.REFUSED}

    def look() -> Iterator[str | None]:
        for key in case.outgoing.keys() | case.incoming.keys():
            a, b = case.outgoing.get(key), case.incoming.get(key)
            if a is None or b is None:
                yield f"{key.hex()} is known to one side only"
                continue
            same = a[1:3] == b[1:3] and a[7:13] == b[7:13]
            yield unless(same and other.get(State(a.state)) == b.state, f"{key.hex()}: {a} but {b}")

    zh, en = "转出方入账当且仅当转入方接受", "posted at the source if and only if accepted at the destination"
    return check("source_posted_iff_destination_accepted", zh, en, look())


def one_outcome(case: Case) -> Check:
    """Every key that was submitted led to one transfer or one refusal, however often it was sent, and the answer says
    the same as the file."""

    def look() -> Iterator[str | None]:
        held = Counter(t.key for t in case.outgoing.values() if t.key)
        states = {t.key: State(t.state).name.lower() for t in case.outgoing.values()}
        refused = sum(books.refusals for books in case.books.values())
        for t in case.data.everything:
            answer = case.again.get(t.key, Answer())
            found = held.pop(t.key, 0)
            refused -= not found
            fine = found == bool(answer.id) and bool(found) != bool(answer.reason and not answer.id)
            yield unless(fine and answer.state == states.get(t.key, ""), f"{t.key}: {answer}")
        if held or refused:
            yield f"{len(held)} transfers and {refused} refusals that nobody asked for"

    zh, en = "每个提交编号恰有一个结果", "every submitted key has exactly one outcome"
    return check("one_outcome_per_key", zh, en, look())


def repetition(case: Case) -> Check:
    """All orders once more: each is answered as before, and not a row of any file has changed."""

    def look() -> Iterator[str | None]:
        for t in case.data.everything:
            before, after = case.answers.get(t.key), case.again.get(t.key)
            if before is None or after is None:
                yield f"{t.key} was not answered"
            else:  # what was held then has been decided meanwhile
                same = before.id == after.id and (bool(before.id) or before.reason == after.reason)
                yield unless(same, f"{t.key}: {before}, then {after}")
        for region, books in case.books.items():
            if books.fingerprint != case.fingerprints_before[region]:
                yield f"the books of {region} have changed"

    zh, en = "全部重复提交一遍，什么也没有改变", "submitting everything again changes nothing"
    return check("repetition_changes_nothing", zh, en, look())


def expected(case: Case) -> Check:
    """What the files say must happen to each transfer has happened to it, with the reason it must have."""
    short = {Reason.INSUFFICIENT_POINTS, Reason.POINTS_EXPIRED, Reason.EVIDENCE_TOO_LOW}
    reasons = {
        Fate.POSTED: {""},
        Fate.SHORT: {reason.name.lower() for reason in short},
        Fate.UNMAPPED: {Reason.CATEGORY_NOT_MAPPED.name.lower()},
    }

    def look() -> Iterator[str | None]:
        by_key = {t.key: t for t in case.outgoing.values()}
        for key, fate in case.fates.items():
            state = by_key[key].state if key in by_key else None
            reason = case.again.get(key, Answer()).reason
            fine = reason in reasons[fate] and (state == State.POSTED) == (fate is Fate.POSTED)
            yield unless(fine, f"{key} should be {fate.value}: {state} {reason}")

    zh, en = (
        "该入账的入账，该拒绝的按应有理由拒绝",
        "what must be posted is, and what must be refused is, for its reason",
    )
    return check("outcomes_as_the_files_foretell", zh, en, look())


def told(case: Case) -> Check:
    """Every decision was reported by the API of the region it concerns, once."""

    def look() -> Iterator[str | None]:
        due: dict[int, Counter[str]] = defaultdict(Counter)
        for region, books in case.books.items():
            due[region].update(State(t.state).name.lower() for t in books.transfers)
        for region, kinds in due.items():
            for kind, count in kinds.items():
                heard = case.told[region][kind]
                for _ in range(count):
                    yield unless(heard == count, f"{region} told {heard} times of {count} {kind}")

    return check("every_decision_told_once", "每项决定都通过接口告知一次", "every decision was told once", look())


CHECKS: tuple[Callable[[Case], Check], ...] = (both_sides, one_outcome, repetition, expected, told)
