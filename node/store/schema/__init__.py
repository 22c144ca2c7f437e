"""The tables of one region: the only database in the system, the same on SQLite and PostgreSQL.

Append-only (a trigger refuses UPDATE and DELETE): posting, lot_entry, outcome, event, receipt, evidence, roster, act,
dispute_step, clawback_debit, and the segments of a log below what is final. Mutable: counters of a balance,
what remains of a lot, the state of whatever has one, the history, the outbox, tokens, back-off.

Numbers (`no`) are dense integers the single writer gives out; public ids are 16 bytes in one unique index. Amounts are
in the smallest unit of the category, times are Unix milliseconds, dates are yyyymmdd.
"""

from __future__ import annotations

from .base import metadata
from .channels import body, channel, evidence, log, merged, node, outbox, receipt, repair, segment, undecided
from .dealings import (
    agreement,
    attestation,
    authorisation,
    clawback,
    clawback_debit,
    code,
    consent,
    dispute,
    dispute_step,
    fact,
    identity,
    notice,
    pair_usage,
    penalty,
    recognition,
    request,
    share,
    usage,
)
from .ledger import (
    account,
    address,
    balance,
    category,
    claim,
    event,
    lot,
    lot_entry,
    outcome,
    owed,
    posting,
    reversal,
    transfer,
)
from .region import act, back_off, history, meta, risk, roster, token

APPEND_ONLY = (posting, lot_entry, outcome, event, receipt, evidence, roster, act, dispute_step, clawback_debit)
"""Tables whose rows are never changed and never go away."""

__all__ = [
    "APPEND_ONLY",
    "account",
    "act",
    "address",
    "agreement",
    "attestation",
    "authorisation",
    "back_off",
    "balance",
    "body",
    "category",
    "channel",
    "claim",
    "clawback",
    "clawback_debit",
    "code",
    "consent",
    "dispute",
    "dispute_step",
    "event",
    "evidence",
    "fact",
    "history",
    "identity",
    "log",
    "lot",
    "lot_entry",
    "merged",
    "meta",
    "metadata",
    "node",
    "notice",
    "outbox",
    "outcome",
    "owed",
    "pair_usage",
    "penalty",
    "posting",
    "receipt",
    "recognition",
    "repair",
    "request",
    "reversal",
    "risk",
    "roster",
    "segment",
    "share",
    "token",
    "transfer",
    "undecided",
    "usage",
]
