"""What is known of residents besides points, told to other regions and recognised from them: no points move here."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from sqlalchemy import Connection

from gateway.protocol.attestation import FactKind, RevocationCause, State, holds
from gateway.protocol.dispute import Matter
from gateway.protocol.values import Reason
from node.services.attestation import credential
from node.services.attestation.attesting import AskAttestation, AttestationAsked
from node.services.attestation.credential import CredentialAnswer, IssueCredential
from node.services.attestation.ends import Revoke, RevokeAnswer, attested
from node.services.attestation.fact import FactAnswer, PutFact, WithdrawFact
from node.services.attestation.share import NewShare, ShareAnswer
from node.store import attestations as query
from node.store import disputes
from node.store.attestations import AttestationRow, RecognitionRow
from node.web.attestation_answers import (
    AccountStanding,
    Asked,
    AttestationShown,
    AttestationsShown,
    CredentialMade,
    Ended,
    FactKept,
    FactLine,
    KindWord,
    KnownFact,
    NewAttestation,
    NewCredential,
    NewFact,
    NewShareOrder,
    OldFact,
    RecognisedFact,
    Revocation,
    Shared,
    StandingWord,
    StatusList,
    Which,
)
from node.web.commands import Deed, command_route, missing_key, with_key
from node.web.problems import Wrong
from node.web.routes import Call, Route, respond
from node.web.words import EVIDENCE, day, evidence, number, reason, time, time_or_none

KINDS: dict[str, FactKind] = {kind.name.lower(): kind for kind in FactKind}
CAUSES: dict[str, RevocationCause] = {cause.name.lower(): cause for cause in RevocationCause}


# -- facts ------------------------------------------------------------------------------------------------------------


def _put(body: NewFact, _client: str) -> PutFact:
    return PutFact(
        account=body.account,
        kind=KINDS[body.kind],
        words=body.words,
        value=body.value,
        evidence=EVIDENCE[body.evidence],
        as_of=number(body.as_of),
        expires=number(body.expires),
        reference=body.reference,
    )


def _kept(a: FactAnswer) -> FactKept:
    return FactKept(a.account, _kind(a.fact.kind), a.fact.words, a.fact.value, a.withdrawn, a.revoked)


def _kept_line(n: int, a: FactAnswer) -> FactLine:
    return FactLine(a.account, _kind(a.fact.kind), a.fact.words, a.fact.value, a.withdrawn, a.revoked, line=n)


PUT: Deed[NewFact, PutFact, FactAnswer] = Deed(
    body=NewFact, make=_put, answer=FactAnswer, show=_kept, show_line=_kept_line, line=FactLine
)


async def withdraw(call: Call) -> web.Response:
    """It is known no more."""
    old: OldFact = call.body
    command = WithdrawFact(account=old.account, kind=KINDS[old.kind], words=old.words)
    return respond(_kept(await call.desk.one(command)))


async def standing(call: Call) -> web.Response:
    """What an account is eligible by, today."""
    name, today = call.path["name"], _today(call)
    account = await _account(call, name)
    known = await call.desk.read(query.facts, account)
    own = [
        KnownFact(
            _kind(k.fact.kind), k.fact.words, k.fact.value, evidence(k.fact.evidence), day(k.fact.as_of),
            day(k.fact.expires), k.fact.reference, not k.withdrawn and holds(k.fact.expires, today),
        )
        for k in known
    ]  # fmt: skip
    me = call.desk.node.office.me

    def read(conn: Connection) -> list[RecognisedFact]:
        found = query.recognitions(conn, account)
        suspended = {
            (r.attestation, r.peer)
            for r in found
            if disputes.frozen(conn, me, Matter.ATTESTATION, bytes(r.attestation), r.peer)
        }
        return [_recognised(r, today, (r.attestation, r.peer) in suspended) for r in found]

    recognised = await call.desk.read(read)
    return respond(AccountStanding(name, own, recognised))


def _recognised(r: RecognitionRow, today: int, disputed: bool) -> RecognisedFact:
    return RecognisedFact(
        _kind(r.kind), r.words, r.value, r.there, r.peer, bytes(r.attestation).hex(), day(r.expires),
        time_or_none(r.revoked_ms), disputed, r.revoked_ms is None and not disputed and holds(r.expires, today),
    )  # fmt: skip


# -- attestations -----------------------------------------------------------------------------------------------------


async def share(call: Call) -> web.Response:
    """A code for the resident."""
    order: NewShareOrder = call.body
    command = NewShare(
        account=order.account, audience=order.audience, consent=order.consent, minutes=order.minutes
    )  # fmt: skip
    made: ShareAnswer = await call.desk.one(command)
    return respond(Shared(made.code, made.consent, made.consent_digest, time(made.expires_ms)), 201)


async def ask(call: Call) -> web.Response:
    """Ask another region."""
    body: NewAttestation = with_key(call, call.body)
    command = AskAttestation(
        client=call.token.name,
        key=body.key or missing_key(),
        account=body.account,
        code=body.code,
        kinds=_kinds(body.kinds),
        consent=body.consent,
        consent_digest=bytes.fromhex(body.consent_digest),
    )
    asked: AttestationAsked = await call.desk.one(command)
    return respond(Asked(asked.id, asked.peer), 202)


async def listing(call: Call) -> web.Response:
    """Those about one account."""
    wanted: Which = call.query
    rows = await call.desk.read(query.of_account, await _account(call, wanted.account))
    return respond(AttestationsShown([_shown(row, wanted.account, _today(call)) for row in rows]))


async def one(call: Call) -> web.Response:
    """Those of one id: what this region gave and what it asked for."""
    rows = await call.desk.read(query.of_id, bytes.fromhex(call.path["id"]))
    if not rows:
        raise Wrong("not_found", "no attestation has this id")
    names = {row.account: await call.desk.read(query.name_of, row.account) for row in rows}
    return respond(AttestationsShown([_shown(row, names[row.account], _today(call)) for row in rows]))


def _shown(row: AttestationRow, account: str, today: int) -> AttestationShown:
    state = State(row.state)
    facts = [
        KnownFact(
            _kind(f.kind), f.words, f.value, evidence(f.evidence), day(f.as_of), day(f.expires), f.reference,
            state in (State.GIVEN, State.RECOGNISED) and holds(min(f.expires or row.expires, row.expires), today),
        )
        for f in attested(row)
    ]  # fmt: skip
    return AttestationShown(
        bytes(row.id).hex(), row.mine, row.peer or None, account, _state(state), _why(row), day(row.expires), facts,
        time(row.at_ms), time_or_none(row.decided_ms),
    )  # fmt: skip


def _why(row: AttestationRow) -> str | None:
    if row.state in (State.REFUSED, State.UNFIT):
        return reason(row.reason)
    if row.reason in set(RevocationCause):
        return RevocationCause(row.reason).name.lower()
    return str(row.reason) if row.reason else None


async def revoke(call: Call) -> web.Response:
    """It holds no more; whoever got it is told."""
    body: Revocation = call.body
    command = Revoke(id=bytes.fromhex(call.path["id"]), peer=body.peer or 0, because=CAUSES[body.because])
    ended: RevokeAnswer = await call.desk.one(command)
    return respond(Ended(ended.id, ended.peer or None, _state(ended.state)))


# -- credentials ------------------------------------------------------------------------------------------------------


async def issue(call: Call) -> web.Response:
    """A credential for a resident."""
    body: NewCredential = call.body
    command = IssueCredential(account=body.account, kinds=_kinds(body.kinds))
    made: CredentialAnswer = await call.desk.one(command)
    return respond(CredentialMade(made.id, made.credential, day(made.expires)), 201)


async def status_list(call: Call) -> web.Response:
    """The list of those revoked."""
    office = call.desk.node.office
    return respond(StatusList(await call.desk.read(credential.status_list, office, office.clock())))


async def _account(call: Call, name: str) -> int:
    found: int | None = await call.desk.read(query.number_of, name)
    if found is None:
        raise Wrong(Reason.ACCOUNT_UNKNOWN.name.lower())
    return found


def _today(call: Call) -> int:
    office = call.desk.node.office
    return office.today(office.clock())


def _kinds(words: Sequence[KindWord] | None) -> tuple[int, ...]:
    return tuple(sorted(int(KINDS[word]) for word in set(words or KINDS)))


def _kind(number: int) -> str:
    return FactKind(number).name.lower() if number in set(FactKind) else str(number)


def _state(state: State) -> StandingWord:
    word: StandingWord = state.name.lower()  # type: ignore[assignment]
    return word


ROUTES = (
    command_route(
        PUT, path="/v1/facts", name="put_fact", scope="attest", answer=FactKept, status=200,
        summary="登记事实：时长、星级、荣誉、证书、资格", summary_en="Keep what is known of a resident besides points",
    ),
    Route(
        method="POST", path="/v1/facts/withdraw", name="withdraw_fact", handler=withdraw, scope="attest",
        body=OldFact, answer=FactKept,
        summary="撤下一项事实", summary_en="Withdraw what is known no more",
    ),
    Route(
        method="GET", path="/v1/accounts/{name}/standing", name="account_standing", handler=standing,
        answer=AccountStanding,
        summary="账户资格：本地事实与所承认的",
        summary_en="What an account is eligible by: own facts and recognised ones",
    ),
    Route(
        method="POST", path="/v1/shares", name="share_facts", handler=share, scope="attest", status=201,
        body=NewShareOrder, answer=Shared,
        summary="生成一次性共享码", summary_en="Make a code under which another region may ask once",
    ),
    Route(
        method="POST", path="/v1/attestations", name="ask_attestation", handler=ask, scope="attest", status=202,
        body=NewAttestation, answer=Asked,
        summary="请居民原地区出具证明", summary_en="Ask a resident's home region what it knows",
    ),
    Route(
        method="GET", path="/v1/attestations", name="list_attestations", handler=listing, query=Which,
        answer=AttestationsShown,
        summary="某账户的证明", summary_en="Attestations about an account, given and asked for",
    ),
    Route(
        method="GET", path="/v1/attestations/{id}", name="show_attestation", handler=one, answer=AttestationsShown,
        summary="查询证明", summary_en="Show an attestation",
    ),
    Route(
        method="POST", path="/v1/attestations/{id}/revoke", name="revoke_attestation", handler=revoke, scope="attest",
        body=Revocation, answer=Ended,
        summary="撤销证明", summary_en="Take back an attestation of this region",
    ),
    Route(
        method="POST", path="/v1/credentials", name="issue_credential", handler=issue, scope="attest", status=201,
        body=NewCredential, answer=CredentialMade,
        summary="签发可验证凭证", summary_en="Issue a verifiable credential",
    ),
    Route(
        method="GET", path="/v1/credentials/status", name="credential_status", handler=status_list, answer=StatusList,
        summary="凭证撤销名单", summary_en="The status list of revoked credentials",
    ),
)  # fmt: skip
