"""Lay out the first database.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the tables from nothing to this revision."""
    _accounts()
    _entries()
    _transfers()
    _answers()
    _logs()
    _channels()
    _surroundings()


def _accounts() -> None:
    """Who holds points, and how many."""
    op.create_table(
        "meta",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
    )
    op.create_table(
        "category",
        sa.Column("no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_category")),
        sa.UniqueConstraint("code", name=op.f("uq_category_code")),
    )
    op.create_table(
        "account",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
    )
    op.create_table(
        "balance",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=False),
        sa.Column("resident", sa.Boolean(), nullable=False),
        sa.Column("debits_pending", sa.BigInteger(), nullable=False),
        sa.Column("debits_posted", sa.BigInteger(), nullable=False),
        sa.Column("credits_pending", sa.BigInteger(), nullable=False),
        sa.Column("credits_posted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_balance")),
        sa.UniqueConstraint("account", "category", name=op.f("uq_balance_account_category")),
        sa.CheckConstraint(
            "debits_pending >= 0 AND debits_posted >= 0 AND credits_pending >= 0 AND credits_posted >= 0",
            name=op.f("ck_balance_counters"),
        ),
        sa.CheckConstraint(
            "NOT resident OR credits_posted - debits_posted - debits_pending >= 0",
            name=op.f("ck_balance_not_below_zero"),
        ),
    )


def _entries() -> None:
    """The double entry, and the lots points come from."""
    op.create_table(
        "posting",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("phase", sa.SmallInteger(), nullable=False),
        sa.Column("debit", sa.BigInteger(), nullable=False),
        sa.Column("credit", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("transfer", sa.BigInteger(), nullable=True),
        sa.Column("command", sa.LargeBinary(), nullable=True),
        sa.Column("resident", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_posting")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_posting_positive")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_posting_two_sided")),
    )
    op.create_index(
        op.f("ix_posting_history"),
        "posting",
        ["resident", "no"],
        sqlite_where=sa.text("resident IS NOT NULL"),
        postgresql_where=sa.text("resident IS NOT NULL"),
    )
    op.create_table(
        "lot",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.Column("expires", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.SmallInteger(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("further", sa.LargeBinary(), nullable=True),
        sa.Column("transfer", sa.BigInteger(), nullable=True),
        sa.Column("clears_peer", sa.Integer(), nullable=True),
        sa.Column("clears", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_lot")),
        sa.CheckConstraint("remaining >= 0 AND remaining <= amount", name=op.f("ck_lot_remaining")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_lot_positive")),
    )
    op.create_index(
        op.f("ix_lot_spendable"),
        "lot",
        ["balance", "expires"],
        sqlite_where=sa.text("remaining > 0"),
        postgresql_where=sa.text("remaining > 0"),
    )
    op.create_table(
        "lot_entry",
        sa.Column("posting", sa.BigInteger(), nullable=False),
        sa.Column("lot", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("posting", "lot", name=op.f("pk_lot_entry")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_lot_entry_positive")),
        sqlite_with_rowid=False,
    )


def _transfers() -> None:
    """Transfers of both directions."""
    op.create_table(
        "transfer",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Integer(), nullable=False),
        sa.Column("destination", sa.Integer(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("client_key", sa.Text(), nullable=True),
        sa.Column("balance", sa.BigInteger(), nullable=True),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("becomes", sa.Text(), nullable=False),
        sa.Column("arriving", sa.BigInteger(), nullable=False),
        sa.Column("rate_p", sa.Integer(), nullable=False),
        sa.Column("rate_q", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.SmallInteger(), nullable=False),
        sa.Column("cites", sa.LargeBinary(), nullable=True),
        sa.Column("hold", sa.BigInteger(), nullable=True),
        sa.Column("offered", sa.BigInteger(), nullable=True),
        sa.Column("answered", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_transfer")),
        sa.UniqueConstraint("id", "source", name=op.f("uq_transfer_id_source")),
        sa.CheckConstraint("amount > 0 AND arriving > 0", name=op.f("ck_transfer_positive")),
    )
    op.create_index(
        op.f("ix_transfer_cites"),
        "transfer",
        ["cites"],
        sqlite_where=sa.text("cites IS NOT NULL"),
        postgresql_where=sa.text("cites IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_transfer_review"),
        "transfer",
        ["no"],
        sqlite_where=sa.text("state = 12"),
        postgresql_where=sa.text("state = 12"),
    )


def _answers() -> None:
    """What was answered, told and asked about transfers."""
    op.create_table(
        "outcome",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcome")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("transfer", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_event")),
    )
    op.create_table(
        "address",
        sa.Column("alias", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.SmallInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_address")),
    )
    op.create_table(
        "reversal",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("transfer", sa.BigInteger(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("asked_by_me", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reversal")),
    )


def _logs() -> None:
    """The logs to and from other regions, and the journal."""
    op.create_table(
        "log",
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Integer(), nullable=False),
        sa.Column("destination", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_log")),
        sa.UniqueConstraint("source", "destination", "generation", name=op.f("uq_log_source_destination_generation")),
    )
    op.create_table(
        "segment",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frames", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", "first", name=op.f("pk_segment")),
        sa.CheckConstraint("size > first", name=op.f("ck_segment_not_empty")),
    )
    op.create_table(
        "body",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("bodies", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "first", name=op.f("pk_body")),
    )
    op.create_table(
        "node",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "idx", name=op.f("pk_node")),
        sqlite_with_rowid=False,
    )


def _channels() -> None:
    """What else two regions have to say and to remember."""
    op.create_table(
        "channel",
        sa.Column("peer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("out_log", sa.Integer(), nullable=False),
        sa.Column("in_log", sa.Integer(), nullable=False),
        sa.Column("condition", sa.SmallInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("epoch_nonce", sa.LargeBinary(), nullable=False),
        sa.Column("final", sa.BigInteger(), nullable=False),
        sa.Column("receipted", sa.BigInteger(), nullable=False),
        sa.Column("in_epoch", sa.BigInteger(), nullable=False),
        sa.Column("in_seen", sa.BigInteger(), nullable=False),
        sa.Column("peer_epoch", sa.BigInteger(), nullable=False),
        sa.Column("peer_nonce", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("peer", name=op.f("pk_channel")),
    )
    op.create_table(
        "outbox",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("reply", sa.Boolean(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("becomes", sa.Text(), nullable=False),
        sa.Column("arriving", sa.BigInteger(), nullable=False),
        sa.Column("transfer", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_peer_no"), "outbox", ["peer", "no"])
    op.create_table(
        "receipt",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("log", "size", "epoch", name=op.f("pk_receipt")),
    )


def _surroundings() -> None:
    """Peers, proofs of misconduct, and callers."""
    op.create_table(
        "evidence",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_evidence")),
    )
    op.create_table(
        "roster",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_roster")),
    )
    op.create_table(
        "back_off",
        sa.Column("peer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_dial_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_contact_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("peer", name=op.f("pk_back_off")),
    )
    op.create_table(
        "token",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
    )
