"""Write the tables of SPEC.md that follow from the code, or check that they are what it says.

    python proto/spec_tables.py            write them into SPEC.md
    python proto/spec_tables.py --check    exit 1, naming the tables that differ

A table stands between `<!-- table NAME -->` and `<!-- end -->`. What its entries mean is written in the .proto files,
as the comment above each value, or here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from gateway.protocol import (  # noqa: E402  (the path above comes first)
    attestation,
    clawback,
    dispute,
    limits,
    roaming,
    standing,
    transfer,
)
from gateway.protocol.agreement import life as agreement_life  # noqa: E402
from gateway.protocol.values import Reason, Status  # noqa: E402

SPEC = HERE / "SPEC.md"
FRAME_PROTO = HERE / "gateway" / "v1" / "frame.proto"

LIMITS = {
    "FRAMES_PER_ENVELOPE": ("frames", "in one envelope"),
    "ENVELOPE_BYTES": ("bytes", "of frames and bodies together in one envelope, as a sender fills it"),
    "BODY_BYTES": ("bytes", "of one body with its salt"),
    "FRAME_BYTES": ("bytes", "of one frame"),
    "REDO_BYTES": ("bytes", "of one redo record"),
    "AGREEMENT_BYTES": ("bytes", "of the payload of one agreement, so that it travels in one body"),
    "FACTS_PER_ATTESTATION": ("facts", "in one attestation, so that it travels in one body"),
    "FACT_WORDS_BYTES": ("bytes", "of the words of a fact, in UTF-8"),
    "FACT_REFERENCE_BYTES": ("bytes", "of a fact's reference"),
    "SLICES_PER_OFFER": ("slices", "in one offer"),
    "PROVENANCES_PER_SLICE": ("provenances", "in one slice"),
    "SALT_BYTES": ("bytes", "of salt in front of a body"),
    "DISPUTE_STEPS": ("steps", "of one dispute"),
    "AMOUNT_MAX": ("units", "of any amount"),
    "RATE_MAX": ("", "for p and for q of a rate p/q"),
    "CATEGORY_CHARACTERS": ("characters", "of a category's code"),
    "ENUM_MAX": ("", "for the number of a purpose or a reason"),
    "EPOCH_MAX": ("", "for the number of an epoch"),
    "ENVELOPES_IN_FLIGHT": ("envelopes", "without a receipt, to one peer"),
    "CREDIT_FRAMES": ("frames", "by which a log may grow beyond what the receiver holds"),
    "CREDIT_FRAMES_THROTTLED": ("frames", "the same while the sender is throttled; a receiver never grants less"),
    "MESSAGE_BYTES": ("bytes", "of one Message on a stream"),
    "CLOCK_SKEW_MS": ("ms", "between `signed_at_ms` and the receiver's clock"),
    "HANDSHAKE_RETRY_S": ("s", "after which a Resume or an Ask is said again"),
    "RECEIPT_WAIT_S": ("s", "without a receipt, after which a sender asks"),
    "HELLO_WAIT_S": ("s", "for the other side's Hello"),
    "WRITE_WAIT_S": ("s", "in which the other side reads nothing, after which the stream ends"),
    "STREAMS_PER_REGION": ("streams", "at once under one certificate, for each region it carries"),
    "STREAMS_BURST": ("streams", "opened by one peer at once"),
    "STREAMS_PER_S": ("streams", "opened by one peer a second, in the long run"),
    "HANDSHAKES_BURST": ("messages", "at once that are neither envelopes, receipts, pulls nor pages"),
    "HANDSHAKES_PER_S": ("messages", "of these a second"),
    "REPEATS_BURST": ("messages", "at once: envelopes of which nothing is committed, receipts that bring nothing new"),
    "REPEATS_PER_S": ("messages", "of these a second"),
    "MALFORMED_BURST": ("messages", "at once that break a rule"),
    "MALFORMED_PER_S": ("messages", "of these a second"),
    "REFUSED_BURST": ("frames", "at once: requests that are refused, replies that answer nothing"),
    "REFUSED_PER_S": ("frames", "of these a second"),
    "PAGES_BURST": ("messages", "at once: Pull and Page"),
    "PAGES_PER_S": ("messages", "of these a second"),
    "ROSTER_REQUESTS_BURST": ("requests", "for rosters at once: GetRoster and `roster_held`"),
    "ROSTER_REQUESTS_PER_S": ("requests", "of these a second"),
    "BACK_OFF_FIRST_S": ("s", "before the first dial after a failure"),
    "BACK_OFF_LAST_S": ("s", "between dials at the longest, before jitter"),
    "BACK_OFF_JITTER": ("", "the factors between which chance chooses"),
    "BACK_OFF_RESET_S": ("s", "in which a peer's contact clears the back-off once"),
    "REGIONS_PER_ROSTER": ("regions", "in one roster"),
    "ROOT_KEYS": ("keys", "that sign rosters"),
    "ROSTERS_PER_PAGE": ("rosters", "in one page"),
    "ROSTER_BYTES": ("bytes", "of one roster's payload"),
}
"""Name in limits.py -> unit, and what it bounds."""


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def limits_table(module: ModuleType = limits) -> str:
    """Every limit with its value and unit."""
    named = {name: value for name, value in vars(module).items() if name.isupper()}
    if named.keys() != LIMITS.keys():
        raise SystemExit(f"limits.py and the meanings here differ by {sorted(named.keys() ^ LIMITS.keys())}")
    return _table(["limit", "value", "bounds"], [[f"`{n}`", _value(named[n], u), m] for n, (u, m) in LIMITS.items()])


def _value(value: object, unit: str) -> str:
    if isinstance(value, tuple):
        return " to ".join(map(str, value))
    if isinstance(value, float):
        value = int(value) if value == int(value) else value
    if isinstance(value, int) and value >= 1 << 60:
        text = f"2^{value.bit_length() - 1}" if value & (value - 1) == 0 else f"2^{value.bit_length()} - 1"
    else:
        text = f"{value:,}"
    return f"{text} {unit}".rstrip()


def _comments(enum: str, prefix: str) -> dict[str, str]:
    """The comment above each value of an enum of frame.proto."""
    text = FRAME_PROTO.read_text("utf-8")
    body = text[text.index(f"enum {enum} {{") :]
    found, said = {}, list[str]()
    for line in body[: body.index("\n}")].splitlines()[1:]:
        stripped = line.strip()
        if stripped.startswith("//"):
            said.append(stripped.removeprefix("//").strip())
        elif value := re.match(rf"{prefix}(\w+) = (\d+);", stripped):
            found[value[1]] = " ".join(said)
            said = []
    return found


def reasons_table() -> str:
    """Every reason, lowest number first."""
    said = _comments("Reason", "REASON_")
    return _table(["no.", "reason", "meaning"], [[str(int(r)), f"`{r.name}`", said[r.name]] for r in sorted(Reason)])


def states_table() -> str:
    """The life of a transfer, as a diagram."""
    return _life(transfer.TRANSITIONS, {"source": lambda s: s < 10, "destination": lambda s: s > 10})


def attestations_table() -> str:
    """The life of an attestation."""
    return _life(attestation.TRANSITIONS, {"home": lambda s: s < 10, "asking": lambda s: s > 10})


def authorisations_table() -> str:
    """The life of an authorisation, the same at both ends."""
    return _life(roaming.TRANSITIONS, {"both": lambda _s: True})


def clawbacks_table() -> str:
    """The life of a clawback, at each of the regions it concerns."""
    sides = {"asker": lambda s: s < 10, "respondent": lambda s: 10 < s < 20, "origin": lambda s: s > 20}
    return _life(clawback.TRANSITIONS, sides)


def _life(moves: Mapping[tuple[Any, Any], Any], sides: Mapping[str, Callable[[int], bool]]) -> str:
    """A table of states as a diagram, one box for each side."""
    lines = ["```mermaid", "stateDiagram-v2"]
    for side, is_of in sides.items():
        lines.append(f"    state {side} {{")
        rows = [(a, e, b) for (a, e), b in moves.items() if is_of(a)]
        entered = {b for _, _, b in rows}
        left = {a for a, _, _ in rows}
        lines += [f"        [*] --> {_state(a)}" for a in sorted(left - entered)]
        lines += [f"        {_state(a)} --> {_state(b)}: {e.name.lower()}" for a, e, b in rows]
        lines += [f"        {_state(b)} --> [*]" for b in sorted(entered - left)]
        lines.append("    }")
    return "\n".join([*lines, "```"])


def agreements_table() -> str:
    """The life of a version of an agreement, the same at both regions."""
    return _life(agreement_life.TRANSITIONS, {"both": lambda _: True})


def disputes_table() -> str:
    """The life of a dispute, the same at both parties: a row for each move, below its diagram."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> opened: open"]
    moves = dispute.MOVES.items()
    lines += [f"    {_state(a)} --> {_state(m.after)}: {act.name.lower()}" for (a, act), m in moves if a is not m.after]
    ended = sorted({m.after for _, m in moves} - dispute.OPEN)
    rows = [
        [f"`{_state(a)}`", f"`{act.name}`", ", ".join(sorted(map(_state, m.by))), _WHEN[m.when], f"`{_state(m.after)}`"]
        for (a, act), m in moves
    ]
    table = _table(["state", "act", "by", "when", "then"], rows)
    return "\n".join([*lines, *(f"    {_state(state)} --> [*]" for state in ended), "```", "", table])


_WHEN = {
    dispute.When.ALWAYS: "",
    dispute.When.OVERDUE: "the deadline has passed",
    dispute.When.UNMEDIATED: "there is no mediator",
    dispute.When.OVERDUE_UNMEDIATED: "the deadline has passed, and there is no mediator",
}


def _state(state: IntEnum) -> str:
    return state.name.lower()


def statuses_table() -> str:
    """What may pass from and to a region of each status."""
    ways = list(standing.Way)
    rows = [[f"`{matter.name}`", *(_passing(status, matter, ways) for status in Status)] for matter in standing.Matter]
    rows.append(["streams", *("yes" if status in standing.STREAMS else "no" for status in Status)])
    return _table(["", *(f"`{status.name}`" for status in Status)], rows)


def _passing(status: Status, matter: standing.Matter, ways: list[standing.Way]) -> str:
    allowed = [way.name.lower() for way in ways if standing.passes(status, way, matter)]
    return "yes" if len(allowed) == len(ways) else f"{allowed[0]} it" if allowed else "no"


TABLES: dict[str, Callable[[], str]] = {
    "dispute_states": disputes_table,
    "states": states_table,
    "attestations": attestations_table,
    "authorisations": authorisations_table,
    "clawbacks": clawbacks_table,
    "reasons": reasons_table,
    "statuses": statuses_table,
    "limits": limits_table,
    "agreement_states": agreements_table,
}


def written(text: str) -> str:
    """The text of SPEC.md with the tables of today's code."""
    for name, make in TABLES.items():
        begin, end = f"<!-- table {name} -->", "<!-- end -->"
        at = text.index(begin) + len(begin)
        text = f"{text[:at]}\n{make()}\n{text[text.index(end, at) :]}"
    return text


def main(arguments: list[str]) -> int:
    """The exit status."""
    before = SPEC.read_text("utf-8")
    after = written(before)
    if before == after:
        return 0
    if "--check" in arguments:
        print("SPEC.md does not say what the code says: run python proto/spec_tables.py")
        return 1
    SPEC.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
