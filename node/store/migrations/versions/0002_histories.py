"""Remember which history a database is part of, and what a restore leaves to be made good.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables of recovery, suspense and repair."""
    op.create_table(
        "history",
        sa.Column("no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("lineage", sa.LargeBinary(), nullable=False),
        sa.Column("commits", sa.BigInteger(), nullable=False),
        sa.Column("recovering", sa.Boolean(), nullable=False),
        sa.Column("replayed", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_history")),
        sa.CheckConstraint("no = 1", name=op.f("ck_history_only_one")),
    )
    begun = sa.text("INSERT INTO history SELECT 1, :lineage, 0, :no, :no, '', 0 FROM meta WHERE name = 'region'")
    op.execute(begun.bindparams(sa.bindparam("lineage", os.urandom(16)), sa.bindparam("no", False)))
    op.create_table(
        "merged",
        sa.Column("peer", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("peer", name=op.f("pk_merged")),
    )
    op.create_table(
        "undecided",
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("peer", "number", name=op.f("pk_undecided")),
    )
    op.create_table(
        "owed",
        sa.Column("balance", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("balance", name=op.f("pk_owed")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_owed_not_negative")),
    )
    op.create_table(
        "risk",
        sa.Column("peer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("checker", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("peer", name=op.f("pk_risk")),
        sa.CheckConstraint("used >= 0 AND used <= amount", name=op.f("ck_risk_bounded")),
    )
    op.create_table(
        "claim",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("cause", sa.SmallInteger(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_claim")),
        sa.UniqueConstraint("peer", "cause", "id", name=op.f("uq_claim_peer_cause_id")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_claim_positive")),
    )
    op.create_table(
        "repair",
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("mine", sa.LargeBinary(), nullable=True),
        sa.Column("theirs", sa.LargeBinary(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("peer", "evidence", name=op.f("pk_repair")),
    )
    op.create_table(
        "act",
        sa.Column("no", NUMBER, autoincrement=False, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("checker", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_act")),
    )
