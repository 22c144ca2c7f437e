"""Residents' consents: given, looked at, withdrawn. And the identity behind an account, of which no number is kept."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta

from gateway.protocol import identity as protocol
from gateway.protocol.consent import GivenBy
from gateway.protocol.values import Reason
from node.services import identity
from node.services.consent import ConsentGiven, GiveConsent
from node.services.identify import Identified, Identify
from node.services.withdrawal import WithdrawConsent, Withdrawn
from node.store import accounts
from node.store import consents as query
from node.store.consents import ConsentRow
from node.web import limits
from node.web.answers import Answer
from node.web.commands import Deed, command_route, missing_key
from node.web.problems import Wrong
from node.web.requests import PLAIN, Key, Name, Nothing, Region, Request
from node.web.routes import Call, Route, respond
from node.web.words import day, number, time, time_or_none

ConsentPurpose = Literal[
    "relocation", "guest_award", "activity", "donation", "person_to_person", "attestation", "roaming"
]
KindOfData = Literal["points", "identity", "service_hours", "star_level", "honour", "certificate", "qualification"]
GiverWord = Literal["self", "guardian"]
Words = Annotated[
    str,
    Meta(
        min_length=1, max_length=limits.CONSENT_CHARACTERS, pattern=PLAIN,
        description="As the resident was told. Nobody's name, and no identity number.",
    ),
]  # fmt: skip


class NewConsent(Request, frozen=True):
    """A resident has agreed that kinds of data go to one region for one purpose. `expires`: it holds no longer then."""

    account: Name
    recipient: Region
    contact: Words
    purpose: ConsentPurpose
    method: Words
    kinds: Annotated[list[KindOfData], Meta(min_length=1, max_length=7)]
    expires: date
    key: Key = ""
    given_by: GiverWord = "self"
    under_14: Annotated[bool, Meta(description="The resident is: then a guardian has to agree.")] = False


class ConsentMade(Answer, frozen=True):
    """`reference` is what an order names; `digest` is what other regions see."""

    reference: str
    digest: str


class ConsentLine(ConsentMade, frozen=True):
    """The same, as one line of many."""

    line: int
    ok: bool = True


class ConsentShown(Answer, frozen=True):
    """A consent as it is on record. SHA-256 over `salt` and the record (SPEC 6.11) is the digest."""

    reference: str
    account: str
    recipient: int
    contact: str
    purpose: str
    method: str
    kinds: list[str]
    given_by: GiverWord
    expires: date | None
    given: datetime
    withdrawn: datetime | None
    salt: str
    digest: str


class ConsentsShown(Answer, frozen=True):
    """The newest first."""

    consents: list[ConsentShown]


class ConsentEnded(Answer, frozen=True):
    """From when it no longer holds; ids of transfers that were taken back, and of those asked to be refused."""

    reference: str
    withdrawn: datetime
    taken_back: list[str]
    cancelling: list[str]


class IdentityNumber(Request, frozen=True):
    """The resident's identity number. It is used once, here, and neither kept nor repeated."""

    number: Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS, pattern=PLAIN)]


class IdentityShown(Answer, frozen=True):
    """Whether other regions can be compared with; where not, why: such residents are matched by a clerk."""

    account: str
    kept: bool
    doubt: Literal["fifteen_digits", "foreign", "malformed"] | None = None


class IdentityKey(Answer, frozen=True):
    """The X25519 public key that an agreement names, so that two regions can compare residents."""

    public_key: str


# -- consents ---------------------------------------------------------------------------------------------------------

_GIVERS: dict[int, GiverWord] = {GivenBy.SELF: "self", GivenBy.GUARDIAN: "guardian"}


def _give(body: NewConsent, client: str) -> GiveConsent:
    return GiveConsent(
        client=client,
        key=body.key or missing_key(),
        account=body.account,
        recipient=body.recipient,
        contact=body.contact,
        purpose=body.purpose,
        method=body.method,
        kinds=tuple(sorted(set(body.kinds))),
        expires=number(body.expires),
        given_by=GivenBy.GUARDIAN if body.given_by == "guardian" else GivenBy.SELF,
        under_14=body.under_14,
    )


GIVE: Deed[NewConsent, GiveConsent, ConsentGiven] = Deed(
    body=NewConsent,
    make=_give,
    answer=ConsentGiven,
    show=lambda a: ConsentMade(a.reference, a.digest),
    show_line=lambda n, a: ConsentLine(a.reference, a.digest, line=n),
    line=ConsentLine,
)


def _shown(row: ConsentRow, account: str) -> ConsentShown:
    return ConsentShown(
        bytes(row.id).hex(), account, row.recipient, row.contact, row.purpose, row.method, list(row.kinds_of_data),
        _GIVERS[row.given_by], day(row.expires), time(row.at_ms), time_or_none(row.withdrawn_ms),
        bytes(row.salt).hex(), bytes(row.digest).hex(),
    )  # fmt: skip


async def _find(call: Call) -> tuple[ConsentRow, str]:
    found = await call.desk.read(query.find, bytes.fromhex(call.path["id"]))
    if found is None:
        raise Wrong("consent_unknown")
    return found


async def show(call: Call) -> web.Response:
    """One, with what proves it."""
    return respond(_shown(*await _find(call)))


async def of_account(call: Call) -> web.Response:
    """Those of a resident."""
    name = call.path["name"]
    if await call.desk.read(accounts.number_of, name) is None:
        raise Wrong(Reason.ACCOUNT_UNKNOWN.name.lower())
    rows = await call.desk.read(query.of_account, name, limits.PAGE_MAX)
    return respond(ConsentsShown([_shown(row, name) for row in rows]))


async def withdraw(call: Call) -> web.Response:
    """It stops what is new."""
    row, _account = await _find(call)
    ended: Withdrawn = await call.desk.one(WithdrawConsent(id=bytes(row.id)))
    return respond(
        ConsentEnded(ended.reference, time(ended.withdrawn_ms), list(ended.taken_back), list(ended.cancelling))
    )


# -- identity ---------------------------------------------------------------------------------------------------------


async def identify(call: Call) -> web.Response:
    """Make the root, and forget the number."""
    name, given = call.path["name"], call.body.number
    doubt = protocol.doubt(given)
    if doubt is not None:
        kept: Identified = await call.desk.one(Identify(account=name, root=b""))
        return respond(IdentityShown(kept.account, False, doubt.value))
    federation = call.desk.node.office.roster.federation
    async with call.desk.slow:
        root = await asyncio.to_thread(protocol.root, given, federation)
    command = Identify(account=name, root=root, guarded_until=protocol.guarded_until(given))
    kept = await call.desk.one(command)
    return respond(IdentityShown(kept.account, kept.kept))


async def forget(call: Call) -> web.Response:
    """Nothing is left to compare."""
    kept: Identified = await call.desk.one(Identify(account=call.path["name"], root=b""))
    return respond(IdentityShown(kept.account, kept.kept))


async def key(call: Call) -> web.Response:
    """This region's half."""
    return respond(IdentityKey(identity.public_key(call.desk.node.office).hex()))


ROUTES = (
    command_route(
        GIVE, path="/v1/consents", name="give_consent", scope="accounts", answer=ConsentMade,
        summary="登记居民的单独同意", summary_en="Record a resident's consent",
    ),
    Route(
        method="GET", path="/v1/consents/{id}", name="show_consent", handler=show, answer=ConsentShown,
        summary="查询同意及其举证", summary_en="Show a consent, with what proves it",
    ),
    Route(
        method="POST", path="/v1/consents/{id}/withdraw", name="withdraw_consent", handler=withdraw,
        body=Nothing, scope="accounts", answer=ConsentEnded,
        summary="撤回同意", summary_en="Withdraw a consent: what is done stays, nothing new is sent",
    ),
    Route(
        method="GET", path="/v1/accounts/{name}/consents", name="account_consents", handler=of_account,
        answer=ConsentsShown,
        summary="居民的同意", summary_en="A resident's consents",
    ),
    Route(
        method="PUT", path="/v1/accounts/{name}/identity", name="identify_account", handler=identify,
        body=IdentityNumber, takes_number=True, scope="accounts", answer=IdentityShown,
        summary="登记身份比对凭据（不保存号码）",
        summary_en="Keep what residents are compared by; the number itself is not kept",
    ),
    Route(
        method="DELETE", path="/v1/accounts/{name}/identity", name="forget_identity", handler=forget,
        scope="accounts", answer=IdentityShown,
        summary="删除身份比对凭据", summary_en="Forget what a resident is compared by",
    ),
    Route(
        method="GET", path="/v1/identity-key", name="identity_key", handler=key, answer=IdentityKey,
        summary="本地区用于身份比对的公钥", summary_en="This region's public key for comparing residents",
    ),
)  # fmt: skip
