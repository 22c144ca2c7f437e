"""Keep the history of a balance as a chain from posting to posting instead of in an index.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the two columns, fill them by the index, and drop that."""
    op.add_column("posting", sa.Column("before", sa.BigInteger(), nullable=True))
    op.add_column("balance", sa.Column("latest", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE posting SET before = (SELECT max(earlier.no) FROM posting AS earlier "
        "WHERE earlier.resident = posting.resident AND earlier.no < posting.no) WHERE resident IS NOT NULL"
    )
    op.execute("UPDATE balance SET latest = (SELECT max(no) FROM posting WHERE resident = balance.no) WHERE resident")
    op.drop_index("ix_posting_history", table_name="posting")
