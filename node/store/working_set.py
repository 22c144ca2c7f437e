"""What the commands of one batch look at, read in a few queries before the first of them is decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Connection

from gateway.protocol.transfer import State
from node.ledger.lots import Lot
from node.ledger.transfers import Transfer
from node.store import bulk, schema

_STATES = {state.value: state for state in State}
_LOT_COLUMNS = tuple(field.name for field in fields(Lot))
_OUTCOME_COLUMNS = tuple(column.name for column in schema.outcome.columns)
_CONSENT_COLUMNS = tuple(column.name for column in schema.consent.columns)
_PENDING = "state IN (1, 2, 3)"  # of a penalty: services.penalty.PENDING
_TRANSFER_COLUMNS = tuple(column.name for column in schema.transfer.columns)


@dataclass(slots=True)
class Account:
    """An account as the batch has it; `balances` by category number."""

    no: int
    name: str
    kind: int
    state: int
    balances: dict[int, int]


@dataclass(slots=True)
class Outcome:
    """What was answered to a command, for ever."""

    id: bytes
    command: str
    digest: bytes
    reason: int
    answer: str
    at_ms: int


@dataclass(slots=True)
class Wishes:
    """What the commands of a batch will look at, loaded in a few queries before the first is decided."""

    names: set[str] = field(default_factory=set)
    aliases: set[bytes] = field(default_factory=set)
    transfers: set[bytes] = field(default_factory=set)  # their ids
    outcomes: set[bytes] = field(default_factory=set)  # ids of commands
    payers: set[str] = field(default_factory=set)  # accounts whose lots may be taken
    leaving: set[str] = field(default_factory=set)  # accounts whose points may go to another region
    consents: set[bytes] = field(default_factory=set)  # their ids
    identified: set[str] = field(default_factory=set)  # accounts whose identity may be compared
    identified_by: set[bytes] = field(default_factory=set)  # and aliases of such accounts
    counted: set[str] = field(default_factory=set)  # accounts that caps bound
    cooled: set[str] = field(default_factory=set)  # accounts whose points may have to rest
    settling: set[bytes] = field(default_factory=set)  # ids of own transfers that may come back


class WorkingSet:
    """Rows as the batch has them: as they were loaded, and as its decisions left them."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.accounts: dict[str, Account] = {}
        self.accounts_by_no: dict[int, Account] = {}
        self.addresses: dict[bytes, Any] = {}
        self.latest: dict[int, int | None] = {}  # balance -> the newest posting in its history
        self.lots: dict[int, dict[int, Lot]] = {}  # balance -> lot number -> lot
        self.lot_deltas: dict[int, int] = {}  # lot -> what the batch has changed of its remainder
        self.whole: set[int] = set()  # balances of which every lot with something left is in `lots`
        self.transfers: dict[tuple[bytes, int], Transfer] = {}
        self.outcomes: dict[bytes, Outcome] = {}
        self.consents: dict[bytes, Any] = {}  # id -> its row; None: there is none
        self.delays: dict[int, int] = {}  # account -> the last date on which a pending penalty delays it; 0: none does
        self.identities: dict[int, bytes | None] = {}  # account -> what is kept sealed of its identity

    def load(self, wishes: Wishes) -> None:
        """Read what `wishes` names and is not here yet."""
        if wishes.transfers:
            self._add_transfers(bulk.select_new(self.conn, schema.transfer, _TRANSFER_COLUMNS, "id", wishes.transfers))
        if wishes.outcomes:
            for row in bulk.select_new(self.conn, schema.outcome, _OUTCOME_COLUMNS, "id", wishes.outcomes):
                self.outcomes[row[0]] = Outcome(*row)
        if aliases := [a for a in wishes.aliases if a not in self.addresses]:
            columns = ("alias", "account", "sender", "purpose", "expires_ms")
            for row in bulk.select_in(self.conn, schema.address, columns, "alias", aliases):
                self.addresses[row[0]] = row
        # PostgreSQL's texts have no zero bytes, and so no name has one.
        names = {n for n in wishes.names | wishes.payers if n not in self.accounts and "\0" not in n}
        numbers = {row[1] for row in self.addresses.values()} - self.accounts_by_no.keys()
        self._load_accounts("name", list(names))
        self._load_accounts("no", list(numbers))
        payers = [b for n in wishes.payers if n in self.accounts for b in self.accounts[n].balances.values()]
        self.load_lots(payers)
        if wishes.consents:
            self._load_consents(wishes.consents)
        if wishes.leaving:
            self._load_delays({self.accounts[n].no for n in wishes.leaving if n in self.accounts})
        if wishes.identified or wishes.identified_by:
            named = {self.accounts[n].no for n in wishes.identified if n in self.accounts}
            receiving = {self.addresses[a][1] for a in wishes.identified_by if a in self.addresses}
            self._load_identities(named | receiving)

    def _load_consents(self, ids: Iterable[bytes]) -> None:
        missing = [id_ for id_ in ids if id_ not in self.consents]
        self.consents.update(dict.fromkeys(missing))
        for row in bulk.select_in(self.conn, schema.consent, _CONSENT_COLUMNS, "id", missing):
            self.consents[row[0]] = row

    def _load_delays(self, accounts: Iterable[int]) -> None:
        missing = [no for no in accounts if no not in self.delays]
        self.delays.update(dict.fromkeys(missing, 0))
        columns = ("account", "appeal_until")
        for no, until in bulk.select_in(self.conn, schema.penalty, columns, "account", missing, where=_PENDING):
            self.delays[no] = max(self.delays[no], until)

    def _load_identities(self, accounts: Iterable[int]) -> None:
        missing = [no for no in accounts if no not in self.identities]
        self.identities.update(dict.fromkeys(missing))
        self.identities.update(bulk.select_in(self.conn, schema.identity, ("account", "sealed"), "account", missing))

    def consent(self, id_: bytes) -> Any:
        """The row of a consent; None where there is none."""
        if id_ not in self.consents:
            self._load_consents((id_,))
        return self.consents[id_]

    def delayed_until(self, account: int) -> int:
        """Until when a resident may appeal against a penalty that is not decided yet; 0 where there is none."""
        until = self.delays.get(account)  # asked for every transfer
        if until is None:
            self._load_delays((account,))
            until = self.delays[account]
        return until

    def identity(self, account: int) -> bytes | None:
        """What is kept, sealed, of who an account's resident is."""
        if account not in self.identities:
            self._load_identities((account,))
        return self.identities[account]

    def _load_accounts(self, by: str, values: list[Any]) -> None:
        if not values:
            return
        found = []
        for row in bulk.select_in(self.conn, schema.account, ("no", "name", "kind", "state"), by, values):
            account = Account(row[0], row[1], row[2], row[3], {})
            found.append(account.no)
            self.accounts[account.name] = self.accounts_by_no[account.no] = account
        for no, account_no, category, latest in bulk.select_in(
            self.conn, schema.balance, ("no", "account", "category", "latest"), "account", found
        ):
            self.accounts_by_no[account_no].balances[category] = no
            self.latest.setdefault(no, latest)

    def load_histories(self, balances: Iterable[int]) -> None:
        """Where the histories of these balances end, for those of which it is not known yet."""
        missing = [b for b in balances if b not in self.latest]
        self.latest.update(bulk.select_in(self.conn, schema.balance, ("no", "latest"), "no", missing))

    def holder(self, balance: int) -> Account:
        """Whose balance of an earlier batch it is."""
        ((no,),) = bulk.select_in(self.conn, schema.balance, ("account",), "no", [balance])
        if no not in self.accounts_by_no:
            self._load_accounts("no", [no])
        return self.accounts_by_no[no]

    def load_lots(self, balances: Iterable[int]) -> None:
        """Read the lots of these balances of which something remains."""
        missing = [b for b in balances if b not in self.whole]
        if not missing:
            return
        self.whole.update(missing)
        for row in bulk.select_in(self.conn, schema.lot, _LOT_COLUMNS, "balance", missing, where="remaining > 0"):
            self._add_lot(row)

    def lots_of(self, balance: int) -> dict[int, Lot]:
        """The lots of a balance, by number, as far as they were asked for or made by the batch."""
        return self.lots.get(balance, {})

    def load_lots_by_no(self, balance: int, numbers: Iterable[int]) -> list[Lot]:
        """Lots of a balance by number, whatever remains of them, those included that only this batch has made."""
        here = self.lots_of(balance)
        missing = [no for no in numbers if no not in here]
        for row in bulk.select_in(self.conn, schema.lot, _LOT_COLUMNS, "no", missing):
            self._add_lot(row)
        return [self.lots[balance][no] for no in numbers]

    def _add_lot(self, row: Sequence[Any]) -> Lot:
        """A lot that was read, as the batch has it: another way to it may have come before."""
        lots = self.lots.setdefault(row[1], {})
        lot = lots.get(row[0])
        if lot is None:
            lot = lots[row[0]] = Lot(*row)
            lot.remaining += self.lot_deltas.get(lot.no, 0)
        return lot

    def _add_transfers(self, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            if (row[1], row[2]) not in self.transfers:
                transfer = self.transfers[row[1], row[2]] = Transfer(*row)
                transfer.state = _STATES[row[4]]

    def transfers_by_no(self, numbers: Iterable[int]) -> dict[int, Transfer]:
        """Transfers by their numbers."""
        self._add_transfers(bulk.select_in(self.conn, schema.transfer, _TRANSFER_COLUMNS, "no", numbers))
        wanted = set(numbers)
        return {t.no: t for t in self.transfers.values() if t.no in wanted}
