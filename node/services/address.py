"""Receiving addresses: what a resident obtains here and gives to the region the points come from."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol import address
from gateway.protocol.address import ALIAS_BYTES, Address
from node.services.command import account_of, handles
from node.services.office import Office
from node.store import schema
from node.store.batch import Batch, Wishes

_DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True, slots=True)
class NewAddress:
    """A fresh address of an account, for one sending region and purpose (0 = any), usable for so many days."""

    account: str
    sender: int = 0
    purpose: int = 0
    days: int = 365


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressAnswer:
    """The address as a person reads it, and until when it can be used (Unix milliseconds)."""

    address: str
    expires_ms: int


def _wishes(command: NewAddress, office: Office, wishes: Wishes) -> None:
    wishes.names.add(command.account)


@handles(NewAddress, _wishes)
def new_address(command: NewAddress, office: Office, batch: Batch) -> AddressAnswer:
    """80 random bits: it says nothing about whose it is. Raises Refused for an unknown or closed account."""
    account = account_of(batch, command.account)
    alias = office.random(ALIAS_BYTES)
    expires_ms = batch.now_ms + command.days * _DAY_MS
    row = (alias, account.no, command.sender, command.purpose, expires_ms, batch.now_ms)
    batch.insert(schema.address, row)
    return AddressAnswer(address=address.write(Address(office.me, alias)), expires_ms=expires_ms)
