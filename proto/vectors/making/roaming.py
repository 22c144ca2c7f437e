"""Redeeming away from home: codes, bodies, and what a home region and a counter say to each other's messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.protocol import codec, roaming
from gateway.protocol.bodies import roaming as bodies
from gateway.protocol.errors import Malformed, PeerFault, Refused
from gateway.protocol.roaming import About, Authorisation, Authorise, Event, State
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Draft, Frame, Kind, Reason
from making.ground import HANGZHOU, NINGBO, NOW, draft, octets, plain, salted

MINUTE = 60_000
TERMS = Terms(
    source=HANGZHOU, destination=NINGBO, category="moral", becomes="public_welfare", rate_p=2, rate_q=3, version=1
)
#: Code -> (until when it works, whether its account is closed or frozen, how many units are spendable).
CODES: dict[str, tuple[int, str, int]] = {
    "of a visitor": (NOW + 10 * MINUTE, "open", 600),
    "of another visitor": (NOW + 10 * MINUTE, "open", 600),
    "of a third": (NOW + 10 * MINUTE, "open", 600),
    "of a visitor with little": (NOW + 10 * MINUTE, "open", 59),
    "of a frozen account": (NOW + 10 * MINUTE, "frozen", 600),
    "of a closed account": (NOW + 10 * MINUTE, "closed", 600),
    "that has expired": (NOW, "open", 600),
    "of a late purchase": (NOW + 10 * MINUTE, "open", 600),
    "of a purchase that lasts too long": (NOW + 10 * MINUTE, "open", 600),
}


def random_part(name: str) -> bytes:
    """The random part of the code of that name."""
    return octets(f"code {name}", 10)


# -- codes and bodies -------------------------------------------------------------------------------------------------


def _codes() -> dict[str, Any]:
    parts = [bytes(10), b"\xff" * 10, random_part("of a visitor")]
    made = [{"region": code, "code": part.hex(), "text": roaming.write_code(code, part)} for code in (HANGZHOU, 659012) for part in parts]  # noqa: E501 # fmt: skip
    text = str(made[2]["text"])
    forgiven = [text.lower(), text.replace("-", " "), text.replace("-", ""), text.removeprefix("RC-"), f"  {text} "]
    wrong = [text[:-1], text[:-1] + ("0" if text[-1] != "0" else "1"), "RC-", "RD-" + text[3:], text + text]
    for entry in wrong:
        _must_be_refused(entry)
    read = roaming.read_code
    return {
        "valid": made,
        "forgiven": [{"text": f, "region": read(f).region, "code": read(f).alias.hex()} for f in forgiven],
        "invalid": wrong,
    }


def _must_be_refused(text: str) -> None:
    try:
        roaming.read_code(text)
    except Malformed:
        return
    raise AssertionError(f"{text!r} was taken")


def _asking(name: str = "of a visitor", **changes: Any) -> Authorise:
    made = Authorise(random_part(name), 2, 3, 1, NOW + 30 * MINUTE, "receipt 20261118-17")
    return made._replace(**changes)


def _authorise(name: str, body: Authorise, **header: Any) -> Draft:
    given = {"category": "moral", "amount": 60, "becomes": "public_welfare", "arriving": 40, **header}
    return draft(Kind.AUTHORISE, f"authorisation {name}", bodies.encode_authorise(body, octets(f"redo {name}", 24)), **given)  # noqa: E501 # fmt: skip


def _about(kind: Kind, of: str, name: str, amount: int = 0, arriving: int = 0, **changes: Any) -> Draft:
    about = About(octets(f"id of authorisation {of}", 16))
    header = {"category": "moral", "becomes": "public_welfare"} if amount else {}
    body = bodies.encode_about(kind, about, octets(f"redo {name}", 24))
    return draft(kind, name, body, **{**header, "amount": amount, "arriving": arriving, **changes})


def _bodies() -> list[dict[str, Any]]:
    asking = _asking()
    found = [
        ("Authorise", _authorise("of a body", asking), plain(asking._asdict() | {"until_ms": str(asking.until_ms)}))
    ]
    found += [
        (kind.name.title().replace("_", ""), made := _about(kind, "of a body", f"{kind.name} of a body"),
         {"authorisation": bodies.decode_about(kind, made.body).authorisation.hex()})
        for kind in (Kind.CAPTURE, Kind.RELEASE, Kind.AUTHORISATION_ASK)
    ]  # fmt: skip
    return [
        {"message": name, "kind": made.kind, "salted": made.body.hex(),
         "commitment": codec.commitment(made.body).hex(), "fields": fields}
        for name, made, fields in found
    ]  # fmt: skip


# -- what the home region says ----------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Home:
    """A home region as small as it can be: which codes are used, and what is held."""

    used: set[bytes]
    held: dict[bytes, Authorisation]

    def hear(self, message: Draft) -> Reason | None:
        """The answer; None = accepted. Every check is production's own."""
        frame = Frame(
            message.kind, False, message.id, 0, 0, message.category, message.amount, message.becomes, message.arriving,
            b"",
        )  # fmt: skip
        try:
            self._authorise(frame, message.body) if message.kind == Kind.AUTHORISE else self._end(frame, message.body)
        except PeerFault:
            return Reason.MALFORMED_BODY
        except Refused as refusal:
            return refusal.reason
        return None

    def _authorise(self, frame: Frame, body: bytes) -> None:
        asked = bodies.decode_authorise(body)
        roaming.check_authorise(frame, asked)
        roaming.check_terms(frame, asked, TERMS if frame.category == TERMS.category else None)
        name = next((name for name in CODES if random_part(name) == asked.code), "")
        works_until, account, units = CODES.get(name, (0, "closed", 0))
        if works_until <= NOW or asked.code in self.used:
            raise Refused(Reason.CODE_NOT_VALID)
        self.used.add(asked.code)
        if account == "closed":
            raise Refused(Reason.CODE_NOT_VALID)
        if account == "frozen":
            raise Refused(Reason.ACCOUNT_FROZEN)
        if units < frame.amount:
            raise Refused(Reason.INSUFFICIENT_POINTS)
        roaming.check_until(asked.until_ms, NOW)
        state = roaming.step(State.REQUESTED, Event.GRANT)
        self.held[frame.id] = Authorisation(
            frame.id, HANGZHOU, NINGBO, frame.category, frame.amount, frame.becomes, frame.arriving, asked.rate_p,
            asked.rate_q, asked.until_ms, state,
        )  # fmt: skip

    def _end(self, frame: Frame, body: bytes) -> None:
        found = self.held.get(bodies.decode_about(Kind(frame.kind), body).authorisation)
        if found is None:
            raise Refused(Reason.TRANSFER_UNKNOWN)
        if frame.kind == Kind.CAPTURE:
            said, event = Event.CAPTURE, roaming.heard_capture(found, frame)[0]
        else:
            roaming.check_open(found)
            said, event = Event.RELEASE, Event.LET_GO
        after = roaming.step(roaming.step(found.state, said), event)
        self.held[found.id] = found._replace(state=after)


def _messages() -> list[tuple[str, Draft]]:
    good, other = _asking(), _asking("of another visitor")
    capture, release = Kind.CAPTURE, Kind.RELEASE
    return [
        ("amounts that are no blocks", _authorise("amounts", good, amount=61)),
        ("a rate that is not in lowest terms", _authorise("rate", _asking(rate_p=4, rate_q=6))),
        ("no category", _authorise("category", good, category="")),
        ("a code of nine bytes", _authorise("nine", _asking(code=bytes(9)))),
        ("a reference of 65 characters", _authorise("reference", _asking(reference="r" * 65))),
        ("a category without terms", _authorise("honour", good, category="honour")),
        ("a category that becomes another", _authorise("becomes", good, becomes="culture")),
        ("another rate", _authorise("other rate", _asking(rate_p=1, rate_q=1), arriving=60)),
        ("another version of the terms", _authorise("version", _asking(terms_version=2))),
        ("another version, with a code nobody has: the lower reason",
         _authorise("both", _asking("nobody", terms_version=2))),
        ("a code nobody has", _authorise("nobody", _asking("nobody"))),
        ("a code that has expired", _authorise("expired", _asking("that has expired"))),
        ("a code of a closed account", _authorise("closed", _asking("of a closed account"))),
        ("a code of a frozen account", _authorise("frozen", _asking("of a frozen account"))),
        ("more than there is", _authorise("little", _asking("of a visitor with little"))),
        ("less, with the code that was refused: it is used up",
         _authorise("less", _asking("of a visitor with little"), amount=3, arriving=2)),
        ("a time that is over", _authorise("late", _asking("of a late purchase", until_ms=NOW))),
        ("a time that is too long", _authorise("long", _asking(
            "of a purchase that lasts too long", until_ms=NOW + roaming.LASTS_MOST_MS + 11 * MINUTE))),
        ("right in every way", _authorise("first", good)),
        ("the same code again", _authorise("again", good)),
        ("another purchase", _authorise("second", other)),
        ("a third", _authorise("third", _asking("of a third"))),
        ("a capture of what nobody knows", _about(capture, "unknown", "capture 1", 3, 2)),
        ("a capture of more than was authorised", _about(capture, "first", "capture 2", 63, 42)),
        ("a capture of part of a block", _about(capture, "first", "capture 3", 3, 3)),
        ("a capture at another rate", _about(capture, "first", "capture 4", 3, 4)),
        ("a capture of another category", _about(capture, "first", "capture 5", 3, 2, category="culture")),
        ("a capture of a part", _about(capture, "first", "capture 6", 30, 20)),
        ("another capture of the rest", _about(capture, "first", "capture 7", 30, 20)),
        ("a release after the capture", _about(release, "first", "release 1")),
        ("a capture of everything", _about(capture, "second", "capture 8", 60, 40)),
        ("a release", _about(release, "third", "release 2")),
        ("a capture after the release", _about(capture, "third", "capture 9", 3, 2)),
        ("a capture above it after the release: the lower reason", _about(capture, "third", "capture 10", 63, 42)),
        ("a release of what nobody knows", _about(release, "unknown", "release 3")),
    ]  # fmt: skip


def _heard() -> list[dict[str, Any]]:
    home = Home(used=set(), held={})
    found = []
    for name, message in _messages():
        reason = home.hear(message)
        header = {part: getattr(message, part) for part in ("category", "amount", "becomes", "arriving")}
        body = message.body[16:]
        about = message.id if message.kind == Kind.AUTHORISE else message.body[18:34]
        state = home.held[about].state.name.lower() if about in home.held else None
        found.append({
            "name": name, "kind": message.kind, "id": message.id.hex(), "header": plain(header),
            "salted": salted(name, body).hex(), "answer": "accept" if reason is None else "refuse",
            "reason": reason.name if reason else None, "then": state,
        })  # fmt: skip
    return found


# -- what the counter says --------------------------------------------------------------------------------------------


def _asked() -> list[dict[str, Any]]:
    found = []
    for state in (None, *State):
        for until in (NOW - 1, NOW, NOW + 1):
            name = state.name.lower() if state else None
            try:
                event = roaming.answer_to_ask(state, until, NOW)
                after = roaming.step(state, event).name.lower() if state and event else name
                answer, reason = "accept", None
            except Refused as refusal:
                answer, reason, after = "refuse", refusal.reason.name, name
            found.append({"state": name, "until_ms": str(until), "answer": answer, "reason": reason, "then": after})
    return found


def file() -> dict[str, Any]:
    """See the module."""
    return {
        "about": "SPEC 16. `heard`: what Hangzhou, the home region, finds in Ningbo's log, one after another, at "
        "`clock_ms`, under these terms and with these codes, what it answers, and where the authorisation stands then. "
        "`asked`: where an authorisation stands at its counter, and what that answers to the home region's question.",
        "home": HANGZHOU,
        "counter": NINGBO,
        "clock_ms": str(NOW),
        "terms": plain(TERMS),
        "codes": _codes(),
        "accounts": [
            {"code": random_part(name).hex(), "works_until_ms": str(until), "account": account, "units": str(units)}
            for name, (until, account, units) in CODES.items()
        ],
        "bodies": _bodies(),
        "moves": [
            {"state": state.name.lower(), "event": event.name.lower(), "then": after.name.lower()}
            for (state, event), after in roaming.TRANSITIONS.items()
        ],
        "heard": _heard(),
        "asked": _asked(),
    }
