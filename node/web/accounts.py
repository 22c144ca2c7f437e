"""Accounts and receiving addresses."""

from __future__ import annotations

from aiohttp import web

from node.ledger.accounts import CLAWBACK, CLEARING, DISPUTED, ISSUER, PENALTY, RECOVERY, REDEEMED
from node.ledger.postings import Phase
from node.services import account as service
from node.services import address
from node.services.account import AccountAnswer
from node.services.address import AddressAnswer
from node.store import accounts as query
from node.web import answers, limits, requests
from node.web.commands import Deed, command_route
from node.web.problems import Wrong
from node.web.routes import Call, Route, respond
from node.web.words import ACCOUNT, ACCOUNTS, PURPOSE, STATES, day, evidence, time

OPEN: Deed[requests.NewAccount, service.OpenAccount, AccountAnswer] = Deed(
    body=requests.NewAccount,
    make=lambda body, _client: service.OpenAccount(name=body.name),
    answer=AccountAnswer,
    show=lambda a: answers.AccountState(a.name, ACCOUNTS[a.state]),
    show_line=lambda n, a: answers.AccountLine(a.name, ACCOUNTS[a.state], line=n),
    line=answers.AccountLine,
)


def _new_address(body: requests.NewAddress, _client: str) -> address.NewAddress:
    return address.NewAddress(
        account=body.account,
        sender=body.sender or 0,
        purpose=PURPOSE[body.purpose] if body.purpose is not None else 0,
        days=body.days,
    )


ADDRESS: Deed[requests.NewAddress, address.NewAddress, AddressAnswer] = Deed(
    body=requests.NewAddress,
    make=_new_address,
    answer=AddressAnswer,
    show=lambda a: answers.AddressMade(a.address, time(a.expires_ms)),
    show_line=lambda n, a: answers.AddressLine(a.address, time(a.expires_ms), line=n),
    line=answers.AddressLine,
)


async def change(call: Call) -> web.Response:
    """Freeze, open again, close."""
    command = service.SetAccountState(name=call.path["name"], state=ACCOUNT[call.body.state])
    answer: AccountAnswer = await call.desk.one(command)
    return respond(answers.AccountState(answer.name, ACCOUNTS[answer.state]))


async def show(call: Call) -> web.Response:
    """An account today."""
    office = call.desk.node.office
    today = office.today(office.clock())
    found = await call.desk.read(query.find, call.path["name"], today)
    if found is None:
        raise Wrong("account_unknown")
    shown = [
        answers.Lot(
            lot=held.lot.no,
            category=held.category,
            remaining=held.lot.remaining,
            granted=day(held.lot.granted),
            expires=day(held.lot.expires),
            issuer=held.lot.issuer,
            evidence=evidence(held.lot.evidence),
            because=held.lot.because,
            state="expired" if held.lot.expires <= today else "spendable" if held.clear else "provisional",
        )
        for held in found.lots[: limits.LOTS_SHOWN]
    ]
    return respond(
        answers.Account(
            name=found.name,
            state=ACCOUNTS[found.state],
            opened=time(found.opened_ms),
            balances=[answers.Balance(*balance) for balance in found.balances],
            lots=shown,
            lots_more=len(found.lots) - len(shown),
        )
    )


async def history(call: Call) -> web.Response:
    """What happened, newest first."""
    no = await call.desk.read(query.number_of, call.path["name"])
    if no is None:
        raise Wrong("account_unknown")
    entries = await call.desk.read(query.history, no, call.query.cursor, call.query.limit)
    following = entries[-1].no if len(entries) == call.query.limit else None
    return respond(answers.History([_entry(entry) for entry in entries], following))


def _entry(entry: query.Entry) -> answers.Entry:
    ident = entry.transfer if entry.transfer is not None else entry.command
    return answers.Entry(
        no=entry.no,
        at=time(entry.at_ms),
        kind=_kind(entry),
        category=entry.category,
        amount=entry.amount,
        id=bytes(ident).hex() if ident is not None else None,
        source=entry.source,
        state=STATES[entry.state] if entry.state is not None else None,
    )


def _kind(entry: query.Entry) -> answers.EntryKind:
    if entry.transfer is None and entry.other.startswith(CLEARING) and entry.phase in (Phase.HOLD, Phase.VOID):
        return "roaming" if entry.phase == Phase.HOLD else "roaming_back"
    if entry.other == DISPUTED:
        return "disputed" if entry.phase == Phase.HOLD else "dispute_back"
    if entry.phase == Phase.HOLD:
        return "transfer_out"
    if entry.phase == Phase.PROVISIONAL:
        return "transfer_in"
    if entry.other == PENALTY:
        return "penalty"
    if entry.other == CLAWBACK:
        return "clawback"
    if entry.other == ISSUER:
        return "award"
    if entry.other == RECOVERY:
        return "advance" if entry.credited else "repay"
    return "spend" if entry.other == REDEEMED else "expiry"


ROUTES = (
    command_route(
        OPEN, path="/v1/accounts", name="open_account", scope="accounts", answer=answers.AccountState,
        summary="开户", summary_en="Open an account",
    ),
    Route(
        method="GET", path="/v1/accounts/{name}", name="show_account", handler=show, answer=answers.Account,
        summary="账户余额与批次", summary_en="Balances and lots of an account",
    ),
    Route(
        method="PATCH", path="/v1/accounts/{name}", name="change_account", handler=change, scope="accounts",
        body=requests.AccountChange, answer=answers.AccountState,
        summary="冻结、解冻或注销账户", summary_en="Freeze, open again or close an account",
    ),
    Route(
        method="GET", path="/v1/accounts/{name}/history", name="account_history", handler=history,
        query=requests.Paged, answer=answers.History,
        summary="账户明细", summary_en="History of an account",
    ),
    command_route(
        ADDRESS, path="/v1/addresses", name="new_address", scope="accounts", answer=answers.AddressMade,
        summary="取得收款地址", summary_en="Obtain a receiving address",
    ),
)  # fmt: skip
