"""The regional systems: they order, repeat what was not answered, contradict themselves, and remember every answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from gateway.protocol import limits
from gateway.protocol.address import ALIAS_BYTES, Address, write
from gateway.protocol.errors import Refused
from gateway.protocol.values import Evidence, Purpose, Reason
from node.errors import Recovering
from node.ledger.accounts import AccountState
from node.ledger.lots import add_days
from node.services.account import OpenAccount, SetAccountState
from node.services.address import AddressAnswer, NewAddress
from node.services.award import Award, Granted
from node.services.expiry import Sweep
from node.services.offer import Review
from node.services.reversal import AskReversal
from node.services.spend import Spend
from node.services.transfer import Cancel, Order, Placed
from tests.federation import CATEGORIES
from tests.simulation.region import Job, SimRegion
from tests.simulation.repeating import Repeating
from tests.simulation.violation import Violation

CONFLICTS = {Reason.CONFLICT_DIFFERENT_CONTENT, Reason.CONFLICT_DIFFERENT_AMOUNT}


def essence(answer: Any) -> Any:
    """What must be the same however often one asks: a transfer may have moved on, a refusal is for ever."""
    if isinstance(answer, Refused):
        return answer.reason
    if isinstance(answer, Placed):
        a = answer
        return a.id, a.destination, a.category, a.leaving, a.becomes, a.arriving
    return answer


def altered(command: Any, **changes: Any) -> Any:
    """The command with other fields, be it a dataclass or a struct."""
    structs = isinstance(command, msgspec.Struct)
    return msgspec.structs.replace(command, **changes) if structs else replace(command, **changes)


@dataclass
class Key:
    """All that was ever asked under one idempotency key."""

    contents: list[Any] = field(default_factory=list)
    done: Any = None  # the content that was decided
    answer: Any = None  # and its answer, as far as anybody can know


@dataclass
class Client:
    """The systems and clerks of one region."""

    region: SimRegion
    peers: list[int]
    chance: random.Random
    addresses: dict[int, list[str]]  # of all regions: shared by all clients
    keys: dict[str, Key] = field(default_factory=dict)
    accounts: list[str] = field(default_factory=list)
    made: int = 0
    agrees: bool = False  # terms may have changed since
    calm: bool = False  # no new business: only what is open is brought to its end
    told: list[str] = field(default_factory=list)  # keys of what was done, in the order of the answers
    forgotten: set[str] = field(default_factory=set)  # keys whose answers the node may not remember
    repeating: Repeating | None = None

    # -- beginning ---------------------------------------------------------------------------------------------------

    def settle_in(self) -> None:
        """A few residents with points and addresses, before anything goes wrong."""
        for name in ("wang", "li", "zhang")[: self.chance.choice([2, 3])]:
            self.region.one(OpenAccount(name=name))
            self.accounts.append(name)
            self._remember_address(self.region.one(NewAddress(account=name)))
            for category in CATEGORIES[:2]:
                self.job(self._award(name, category, self.chance.randint(5, 40)))

    # -- what to ask -------------------------------------------------------------------------------------------------

    def job(self, command: Any) -> Job:
        """The command, with its answer checked against all earlier ones; it waits for the writer."""
        key = getattr(command, "key", None)
        if key is not None:
            asked = self.keys.setdefault(key, Key())
            if command not in asked.contents:
                asked.contents.append(command)
        told = self._unkeyed(command) if key is None else lambda answer: self._hear(command, answer)
        job = Job(command=command, told=told)
        self.region.inbox.append(job)
        return job

    def something(self) -> Job | None:
        """Any command a regional system, a resident or a clerk may think of."""
        name, make = self.chance.choices(_KINDS, _WEIGHTS)[0]
        if name == "review" or self.calm:
            reviews = self._reviews()
            return self.job(self.chance.choice(reviews)) if reviews else None
        command = make(self)
        return None if command is None else self.job(command)

    def repeat(self) -> Job | None:
        """The same again, or something else under the same key."""
        keys = [key for key in self.keys if key not in self.forgotten and not self._is_unsure(self.keys[key])]
        if not keys:
            return None
        asked = self.keys[self.chance.choice(keys)]
        command = self.chance.choice(asked.contents)
        if self.chance.random() < 0.3 and not self.calm and not self._recovering:
            command = self._other(command)
        return self.job(command)

    def decide_all(self) -> int:
        """The clerks decide whatever is before them."""
        reviews = self._reviews()
        for review in reviews:
            self.job(review)
        return len(reviews)

    def unanswered(self) -> list[Any]:
        """What nobody knows the outcome of."""
        for key in [key for key in self.forgotten if self.keys[key].done is None]:
            if not self._transfers("source = ? AND state = 1 AND id = ?", self.keys[key].contents[0].transfer):
                self.forgotten.discard(key)
        open_keys = [
            asked
            for key, asked in self.keys.items()
            if asked.done is None and key not in self.forgotten and not self._is_unsure(asked)
        ]
        return [content for asked in open_keys for content in asked.contents]

    @property
    def _recovering(self) -> bool:
        return self.region.writer.history.recovering

    def _is_unsure(self, asked: Key) -> bool:
        """One of several contents may have been done and be on its way back: only a node that is whole knows which."""
        return asked.done is None and len(asked.contents) > 1 and self._recovering

    # -- after a restore ---------------------------------------------------------------------------------------------

    def restored(self) -> None:
        """The node came back from a backup. A refusal once told is final: that key is not used again."""
        for key, asked in self.keys.items():
            if asked.done is None:
                continue
            if isinstance(asked.done, AskReversal) and not isinstance(asked.answer, Refused):
                asked.contents, asked.done, asked.answer = [asked.done], None, None  # asked again, once that is known
                self.forgotten.add(key)
            else:
                self.forgotten.add(key)
        self.told = [key for key in self.told if self.keys[key].done is not None]
        self.repeating = None

    def go_on(self, count: int) -> int:
        """Repeat some of what was acknowledged, where the node says that it recovers. Returns how much."""
        history = self.region.writer.history
        if not history.recovering or history.replayed:
            return 0
        if self.repeating is None or self.repeating.lineage != history.lineage:
            done = [self.keys[key].done for key in self.told]
            again = [altered(c, replayed=True) if isinstance(c, Order | Spend) else c for c in done]
            self.repeating = Repeating(self, again)
        return self.repeating.go_on(count)

    def hear_again(self, command: Any, answer: Any) -> None:
        """What was acknowledged is done again, or still is."""
        asked = self.keys[command.key]
        if isinstance(answer, Exception):
            raise Violation(f"{self.region.code}: {command} was acknowledged before the restore and is now {answer!r}")
        if isinstance(answer, Granted):
            asked.answer = replace(asked.answer, lot=answer.lot)
        if isinstance(answer, Placed) and self.agrees:
            asked.answer = answer  # what its peer never heard of is held anew, under what is agreed by now
        if essence(asked.answer) != essence(answer):
            raise Violation(f"{self.region.code}: {command} was answered {asked.answer!r}, then {answer!r}")
        self.forgotten.discard(command.key)

    # -- what is answered --------------------------------------------------------------------------------------------

    def _hear(self, command: Any, answer: Any) -> None:
        asked = self.keys[command.key]
        if isinstance(answer, Recovering) or (isinstance(answer, Refused) and answer.reason is Reason.DELAYED):
            return  # nothing was decided
        if isinstance(answer, Exception) and not isinstance(answer, Refused):
            raise Violation(f"{self.region.code}: {command} is answered {answer!r}")
        if isinstance(answer, Refused) and answer.reason in CONFLICTS:
            if len(asked.contents) == 1 or asked.done == command:
                raise Violation(f"{self.region.code}: {command} is called a conflict with itself")
            return
        if asked.done is None:
            asked.done, asked.answer = command, answer
            if not isinstance(answer, Refused):
                self.told.append(command.key)
        elif asked.done != command:
            raise Violation(f"{self.region.code}: key {command.key} did {asked.done}, then also {command}")
        elif essence(asked.answer) != essence(answer):
            raise Violation(f"{self.region.code}: {command} is answered {asked.answer!r}, then {answer!r}")

    def _unkeyed(self, command: Any) -> Callable[[Any], None] | None:
        if isinstance(command, NewAddress):
            return self._remember_address
        if isinstance(command, Sweep):
            return lambda swept: self.job(Sweep(after=swept.next, limit=command.limit)) if swept.next else None
        return None

    def _remember_address(self, answer: AddressAnswer | Refused) -> None:
        if isinstance(answer, AddressAnswer):
            self.addresses[self.region.code].append(answer.address)

    # -- commands ----------------------------------------------------------------------------------------------------

    def _key(self) -> dict[str, str]:
        self.made += 1
        key = f"{self.made:08x}"
        if self.made % 2:
            key = f"01935c3a-{self.made:04x}-7000-8000-{self.made:012x}"
        return {"client": "city", "key": key}

    def _amount(self) -> int:
        if self.chance.random() < 0.03:
            return self.chance.choice([0, -1, limits.AMOUNT_MAX, limits.AMOUNT_MAX + 1])
        return self.chance.choice([1, 2, 2, 3, 3, 4, 6, 9])

    def _category(self) -> str:
        return "unheard-of" if self.chance.random() < 0.02 else self.chance.choice(CATEGORIES[:2])

    def _award(self, account: str, category: str, amount: int) -> Award:
        today = self.region.office.today(self.region.clock())
        days = self.chance.choice([0, 0, -1, 1, 2, 5, 20, 60])
        return Award(
            **self._key(), account=account, category=category, amount=amount,
            granted=add_days(today, -3), expires=add_days(today, days) if days else 0,
            evidence=self.chance.choice([Evidence.SIGNED_IN] * 4 + [Evidence.BACKFILLED]), because="陪伴老人",
        )  # fmt: skip

    def _any_award(self) -> Award:
        return self._award(self.account(), self._category(), self._amount() * 3)

    def account(self) -> str:
        """Somebody who lives there, or nobody."""
        return "nobody" if self.chance.random() < 0.02 else self.chance.choice(self.accounts)

    def _spend(self) -> Spend:
        return Spend(**self._key(), account=self.account(), category=self._category(), amount=self._amount())

    def order(self) -> Order:
        """Points for somebody elsewhere."""
        return Order(
            **self._key(), account=self.account(), category=self._category(), amount=self._amount(),
            address=self._address(), purpose=self.chance.choice([Purpose.RELOCATION] * 5 + [Purpose.DONATION]),
        )  # fmt: skip

    def _address(self) -> str:
        known = self.addresses[self.chance.choice(self.peers)]
        odd = self.chance.random()
        if odd < 0.03:
            return write(Address(self.chance.choice([*self.peers, 999999]), self.chance.randbytes(ALIAS_BYTES)))
        text = self.chance.choice(known)
        return text[:-1] + "A" if odd < 0.05 else text

    def _transfers(self, where: str, *more: bytes) -> list[Any]:
        return self.region.rows(f"SELECT id, source FROM transfer WHERE {where} ORDER BY no", self.region.code, *more)

    def _cancel(self) -> Cancel | None:
        found = self._transfers("source = ?" + (" AND state = 1" if self.chance.random() < 0.8 else ""))
        return Cancel(id=self.chance.choice(found)[0]) if found else None

    def _reversal(self) -> AskReversal | None:
        found = self._transfers("source = ?" + (" AND state = 2" if self.chance.random() < 0.9 else ""))
        return AskReversal(**self._key(), transfer=self.chance.choice(found)[0]) if found else None

    def _reviews(self) -> list[Review]:
        waiting = " AND state = 12"
        if self.calm:  # what is disputed is not for a clerk to decide
            waiting += " AND NOT EXISTS (SELECT 1 FROM dispute WHERE about = transfer.id AND dispute.state < 11)"
        found = self._transfers("source <> ?" + (waiting if self.calm or self.chance.random() < 0.9 else ""))
        accept = self.chance.random() < 0.7
        return [Review(source=source, id=transfer_id, accept=accept, by="clerk") for transfer_id, source in found]

    def _state(self) -> SetAccountState | None:
        states = [AccountState.FROZEN, AccountState.OPEN, AccountState.OPEN, AccountState.CLOSED]
        if self._recovering:
            states[0] = AccountState.CLOSED  # to freeze an account would refuse it what is still to be repeated
        return SetAccountState(name=self.account(), state=self.chance.choice(states))

    def _open(self) -> OpenAccount:
        if self.chance.random() < 0.5:
            self.accounts.append(f"new {len(self.accounts)}")
        return OpenAccount(name=self.account())

    def _new_address(self) -> NewAddress:
        return NewAddress(
            account=self.account(),
            sender=self.chance.choice([0, 0, *self.peers]),
            purpose=self.chance.choice([0, 0, 0, Purpose.DONATION]),
            days=self.chance.choice([1, 365]),
        )

    def _sweep(self) -> Sweep:
        return Sweep(limit=self.chance.choice([1, 2, 2000]))

    def _other(self, command: Any) -> Any:
        """Something else under the key of an earlier command."""
        key = {"client": command.client, "key": command.key}
        kind = self.chance.random()
        if kind < 0.5 and hasattr(command, "amount"):
            return altered(command, amount=command.amount + 1)
        if kind < 0.7 and hasattr(command, "account"):
            return altered(command, account=self.account())
        other = self._spend() if isinstance(command, Award) else self._any_award()
        return altered(other, **key)


_KINDS: list[tuple[str, Callable[[Client], Any]]] = [
    ("award", Client._any_award),
    ("spend", Client._spend),
    ("order", Client.order),
    ("reversal", Client._reversal),
    ("cancel", Client._cancel),
    ("review", Client._cancel),
    ("state", Client._state),
    ("open", Client._open),
    ("address", Client._new_address),
    ("sweep", Client._sweep),
]
_WEIGHTS = [10, 7, 50, 10, 6, 12, 3, 2, 2, 4]
