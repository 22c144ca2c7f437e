"""The working set of one group commit: what it has read, what it has decided, written at the end in bulk.

Services decide against it one command after another; nothing reaches the database before `flush`. The balance changes
of a batch are netted: one UPDATE per balance touched, never one per transfer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from operator import add, attrgetter
from typing import Any

from sqlalchemy import Connection, Table

from gateway.protocol import merkle
from gateway.protocol.channel import Channel
from gateway.protocol.members import Roster
from gateway.protocol.values import Draft, Log
from node.ledger import journal
from node.ledger.accounts import AccountKind, AccountState, Counters
from node.ledger.lots import Lot
from node.ledger.postings import CREDIT, DEBIT, Phase
from node.ledger.transfers import Transfer
from node.store import bulk, history, logs, schema
from node.store.books import Books
from node.store.logs import Segment, StoredNodes
from node.store.usages import Usages
from node.store.working_set import Account, Outcome, Wishes, WorkingSet

Row = tuple[Any, ...]
# A new lot has all of its amount left.
_lot_row = attrgetter("no", "balance", "remaining", *(column.name for column in list(schema.lot.columns)[3:]))
_transfer_row = attrgetter(*(column.name for column in schema.transfer.columns))


@dataclass(slots=True)
class Waiting:
    """A message to seal, and the transfer it is about."""

    draft: Draft
    transfer: Transfer | None
    number: int | None = None  # what whoever said it was told, if anything


class Batch(WorkingSet):
    """See the module."""

    def __init__(self, conn: Connection, books: Books, now_ms: int, today: int) -> None:
        super().__init__(conn)
        self.books, self.now_ms, self.today = books, now_ms, today
        self.final = books.final()
        self.usage = Usages(conn, books.pairs)
        self.entries: list[bytes] = []  # of the journal
        self.sealed: list[tuple[int, bytes, Segment]] = []  # peer, root where the segment begins, the segment
        self.refused: Counter[int] = Counter()  # per peer, its frames that were refused or changed nothing
        self.waiting: dict[int, list[Waiting]] = {}
        self.passages: dict[int, Roster] = {}  # region -> the roster under which offers may go there today
        self._new: dict[Table, list[Row]] = {}
        self._new_transfers: list[Transfer] = []
        self._decided: dict[int, Transfer] = {}
        self._balance_deltas: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._continued: dict[int, int] = {}  # balance -> what the batch made the newest posting of its history
        self._sealed_lots: list[Row] = []
        self._account_states: dict[int, int] = {}
        self._channels: set[int] = set()
        self._owing: set[int] = set()
        self.branched: tuple[bytes, int] | None = None  # lineage and commit behind which this batch begins a new one

    def lot_entries(self, postings: list[int]) -> dict[int, list[tuple[int, int]]]:
        """What these postings took from which lots: posting -> (lot, units)."""
        entries: dict[int, list[tuple[int, int]]] = {p: [] for p in postings}
        fresh = {row[0] for row in self._new.get(schema.lot_entry, ())}
        for posting, lot, units in self._new.get(schema.lot_entry, ()):
            if posting in entries:
                entries[posting].append((lot, units))
        stored = [p for p in postings if p not in fresh]
        for posting, lot, units in bulk.select_in(
            self.conn, schema.lot_entry, ("posting", "lot", "amount"), "posting", stored
        ):
            entries[posting].append((lot, units))
        return entries

    def fresh(self, table: Table) -> list[Row]:
        """The rows of a table that the batch has made and not written yet."""
        return self._new.get(table, [])

    def load(self, wishes: Wishes) -> None:
        """Read what `wishes` names and is not here yet."""
        super().load(wishes)
        counted = {no for name in wishes.counted if (a := self.accounts.get(name)) for no in a.balances.values()}
        for id_ in wishes.settling:
            transfer = self.transfers.get((id_, self.books.me))
            if transfer is not None and transfer.balance is not None:
                counted.add(transfer.balance)
        self.usage.load(counted)
        cooled = [no for name in wishes.cooled if (a := self.accounts.get(name)) for no in a.balances.values()]
        lots = (lot for no in cooled for lot in self.lots_of(no).values())
        self.usage.load_arrivals(lot.transfer for lot in lots if lot.transfer and lot.clears_peer)

    # -- deciding ----------------------------------------------------------------------------------------------------

    def insert(self, table: Table, row: Row) -> None:
        """A new row, in the order of the table's columns."""
        self._new.setdefault(table, []).append(row)

    def open_account(self, name: str, kind: AccountKind) -> Account:
        """A new account."""
        account = Account(self.books.next("account"), name, kind, AccountState.OPEN, {})
        self.insert(schema.account, (account.no, name, int(kind), int(AccountState.OPEN), self.now_ms))
        self.accounts[name] = self.accounts_by_no[account.no] = account
        return account

    def set_account_state(self, account: Account) -> None:
        """The account got another state."""
        self._account_states[account.no] = account.state

    def counters(self, balances: list[int]) -> list[Counters]:
        """The counters of these balances as the batch has left them so far."""
        found = {b: Counters() for b in balances}
        for no, *stored in bulk.select_in(self.conn, schema.balance, ("no", *Counters._fields), "no", balances):
            found[no] = Counters(*stored)
        changed = self._balance_deltas
        return [Counters(*map(add, c, changed.get(b, Counters()))) for b, c in found.items()]

    def balance_of(self, account: Account, category: int) -> int:
        """The account's balance in a category, made when first needed."""
        balance = account.balances.get(category)
        if balance is None:
            balance = account.balances[category] = self.books.next("balance")
            resident = account.kind == AccountKind.RESIDENT
            self.insert(schema.balance, (balance, account.no, category, resident, 0, 0, 0, 0, None))
            self.latest[balance] = None
            self.record(journal.Balanced(at=self.now_ms, no=balance, account=account.no, category=category))
            self.whole.add(balance)
        return balance

    def system_balance(self, name: str, category: int) -> int:
        """The balance of one of the region's own books, made when first needed."""
        balance = self.books.system.get((name, category))
        if balance is None:
            account = self.books.system_accounts.get(name)
            if account is None:
                kind = _system_kind(name)
                opened = self.open_account(name, kind)
                account = self.books.system_accounts[name] = opened.no
                self.record(journal.Opened(at=self.now_ms, account=account, name=name, state=opened.state))
            balance = self.books.system[name, category] = self.books.next("balance")
            self.insert(schema.balance, (balance, account, category, False, 0, 0, 0, 0, None))
            self.record(journal.Balanced(at=self.now_ms, no=balance, account=account, category=category))
        return balance

    def post(
        self,
        phase: Phase,
        debit: int,
        credit: int,
        amount: int,
        *,
        transfer: int | None = None,
        command: bytes | None = None,
        resident: int | None = None,
    ) -> int:
        """One posting; `resident` is the balance in whose history it stands. Returns its number."""
        no = self.books.next("posting")
        before = None
        if resident is not None:
            if resident not in self.latest:
                self.load_histories([resident])
            before = self.latest[resident]
            self.latest[resident] = self._continued[resident] = no
        self._new.setdefault(schema.posting, []).append(
            (no, int(phase), debit, credit, amount, transfer, command, resident, self.now_ms, before)
        )
        deltas = self._balance_deltas
        for counter, times in DEBIT[phase]:
            deltas[debit][counter] += times * amount
        for counter, times in CREDIT[phase]:
            deltas[credit][counter] += times * amount
        return no

    def owe(self, balance: int, category: int, amount: int) -> None:
        """The region advances so much to a resident's balance; less than 0: it gets it back."""
        before = self.books.owed.pop(balance, (category, 0))[1]
        if before + amount:
            self.books.owed[balance] = (category, before + amount)
        self.books.history = replace(self.books.history, owed=self.books.history.owed + amount)
        self._owing.add(balance)

    def moved(self, balance: int) -> bool:
        """Whether the batch has changed a counter of this balance."""
        return any(self._balance_deltas.get(balance, ()))

    def clear(self, peer: int, final: int) -> None:
        """My log to `peer` is known to be held up to `final`: provisional credits below it become spendable."""
        self.final[peer] = final
        waiting = self.books.uncleared.get(peer)
        while waiting and waiting[0].number < final:
            credit = waiting.popleft()
            deltas = self._balance_deltas[credit.balance]
            for counter, times in CREDIT[Phase.CLEAR]:
                deltas[counter] += times * credit.amount
            for no, units in credit.returning:
                self.lot_deltas[no] = self.lot_deltas.get(no, 0) + units
                lots = self.lots.get(credit.balance, {})
                if no in lots:
                    lots[no].remaining += units

    def take(self, posting: int, lot: Lot, units: int) -> None:
        """A posting takes units from a lot."""
        self._new.setdefault(schema.lot_entry, []).append((posting, lot.no, units))
        self._change_lot(lot, -units)

    def seal_lot(self, lot: Lot, number: int) -> None:
        """The answer that credited this lot got its number only now."""
        self._sealed_lots.append((lot.no, number))
        lot.clears = number

    def give_back(self, posting: int, lot: Lot, units: int) -> None:
        """A posting gives units back to the lot they came from."""
        self._new.setdefault(schema.lot_entry, []).append((posting, lot.no, units))
        self._change_lot(lot, units)

    def _change_lot(self, lot: Lot, units: int) -> None:
        self.lot_deltas[lot.no] = self.lot_deltas.get(lot.no, 0) + units
        lot.remaining += units

    def grant(self, lot: Lot) -> None:
        """A new lot."""
        self._new.setdefault(schema.lot, []).append(_lot_row(lot))
        self.lots.setdefault(lot.balance, {})[lot.no] = lot

    def new_transfer(self, transfer: Transfer) -> None:
        """A transfer that was not here before."""
        self.transfers[transfer.id, transfer.source] = transfer
        self._new_transfers.append(transfer)

    def changed(self, transfer: Transfer) -> None:
        """A transfer of an earlier batch got a state, a reason or a number."""
        self._decided[transfer.no] = transfer

    def event(self, kind: int, transfer: Transfer) -> None:
        """Something a regional system will want to know."""
        self._new.setdefault(schema.event, []).append((self.books.next("event"), kind, transfer.no, self.now_ms))

    def record(self, entry: journal.AnyEntry) -> None:
        """An entry of the journal."""
        self.entries.append(journal.encode(entry))

    def say(self, peer: int, draft: Draft, transfer: Transfer | None) -> int | None:
        """A message about a transfer, for a peer. Returns its number where that is certain already.

        It is when the batch will be sealed at its end and nothing older waits in the outbox.
        """
        waiting = self.waiting.setdefault(peer, [])
        channel = self.channel(peer)
        certain = channel.sealing and not self.books.outboxes.get(peer)
        number = channel.size + len(waiting) if certain else None
        waiting.append(Waiting(draft, transfer, number))
        return number

    # -- channels ----------------------------------------------------------------------------------------------------

    def channel(self, peer: int) -> Channel:
        """The channel with a peer, made when first needed."""
        channel = self.books.channels.get(peer)
        return channel if channel is not None else self._new_channel(peer)

    def _new_channel(self, peer: int) -> Channel:
        me = self.books.me
        out, into = self.books.next("log"), self.books.next("log")
        self.books.logs[me, peer], self.books.logs[peer, me] = out, into
        bulk.insert(self.conn, schema.log, [(out, me, peer, 1, 0, b""), (into, peer, me, 1, 0, b"")])
        channel = Channel(out=Log(*self.books.domain, me, peer))
        bulk.insert(self.conn, schema.channel, [_channel_row(channel, out, into)])
        self.books.channels[peer] = channel
        return channel

    def set_channel(self, channel: Channel) -> None:
        """The channel as it will be once this batch is committed."""
        self.books.epoch = max(self.books.epoch, channel.proposal.number)
        self.books.channels[channel.peer] = channel
        self._channels.add(channel.peer)
        if channel.final > self.final.get(channel.peer, 0):
            self.clear(channel.peer, channel.final)

    def nodes(self, source: int, destination: int) -> StoredNodes:
        """The tree of a log."""
        return StoredNodes(self.conn, self.books.logs[source, destination])

    # -- writing -----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write everything. The order matters only to the reader of a log of statements."""
        insert = bulk.insert
        if self.entries:
            self._append_journal()
        if self._channels:
            books, me = self.books, self.books.me
            rows = [_channel_row(books.channels[p], books.logs[me, p], books.logs[p, me]) for p in self._channels]
            bulk.put(self.conn, schema.channel, ("peer",), _CHANNEL_COLUMNS, rows)
        if self._new_transfers:
            insert(self.conn, schema.transfer, [_transfer_row(t) for t in self._new_transfers])
        fresh = {t.no for t in self._new_transfers}
        for table, rows in self._new.items():
            if rows:
                insert(self.conn, table, rows)
        if decided := [
            (t.no, int(t.state), t.reason, t.hold, t.offered, t.answered, t.decided_ms)
            for t in self._decided.values()
            if t.no not in fresh
        ]:
            columns = ("state", "reason", "hold", "offered", "answered", "decided_ms")
            bulk.put(self.conn, schema.transfer, ("no",), columns, decided)
        if self._account_states:
            bulk.put(self.conn, schema.account, ("no",), ("state",), list(self._account_states.items()))
        if self._sealed_lots:
            bulk.put(self.conn, schema.lot, ("no",), ("clears",), self._sealed_lots)
        if lots := [(no, units) for no, units in self.lot_deltas.items() if units]:
            bulk.add(self.conn, schema.lot, ("no",), ("remaining",), lots)
        self.usage.flush()
        for balance in self._owing:
            history.put_owed(self.conn, balance, self.books.owed.get(balance, (0, 0))[1])
        deltas, continued = self._balance_deltas, self._continued
        balances = [(no, *deltas[no], latest) for no, latest in continued.items()]
        bulk.add(self.conn, schema.balance, ("no",), Counters._fields, balances, put=("latest",))
        balances = [(no, *d) for no, d in deltas.items() if no not in continued and any(d)]
        bulk.add(self.conn, schema.balance, ("no",), Counters._fields, balances)

    def _append_journal(self) -> None:
        first = self.books.journal.size
        self.books.journal, nodes = self.books.journal.extend_with_nodes(merkle.leaf_hashes(self.entries))
        logs.append(
            self.conn,
            self.books.logs[self.books.me, 0],
            first=first,
            epoch=0,
            frames=self.entries,
            bodies=None,
            frontier=self.books.journal,
            nodes=nodes,
            head=None,
            at_ms=self.now_ms,
        )


_CHANNEL_COLUMNS = tuple(column.name for column in schema.channel.columns)[1:]


def _channel_row(c: Channel, out: int, into: int) -> Row:
    mine, theirs = c.epoch.nonce.to_bytes(8, "big"), c.peer_epoch.nonce.to_bytes(8, "big")
    return (
        c.peer, out, into, int(c.condition), c.epoch.number, mine, c.final, c.receipted, c.in_epoch, c.in_seen,
        c.peer_epoch.number, theirs,
    )  # fmt: skip


def _system_kind(name: str) -> AccountKind:
    plain = name.partition(":")[0]
    return {
        "#issuer": AccountKind.ISSUER,
        "#clearing": AccountKind.CLEARING,
        "#redeemed": AccountKind.REDEEMED,
        "#breakage": AccountKind.BREAKAGE,
        "#recovery": AccountKind.RECOVERY,
        "#clawback": AccountKind.CLAWBACK,
        "#disputed": AccountKind.DISPUTED,
        "#penalty": AccountKind.PENALTY,
    }[plain]


__all__ = ["Account", "Batch", "Outcome", "Waiting", "Wishes"]
