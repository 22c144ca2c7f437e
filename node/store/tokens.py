"""Bearer tokens of the HTTP API: who may call it, and for what.

A token is 32 random bytes, shown once; the database keeps its SHA-256 digest alone, so that a copy of it opens
nothing. The name is the caller's identity: keys of commands count per name. A revoked name may be given a new token
and then goes on where the old one stopped.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from gateway.protocol.identity import mentions_number
from node.errors import BadInput
from node.store import schema

PREFIX = "hutong_"
"""How every token begins, so that one that leaked into a file is recognised."""

_SECRET_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

SCOPES = {
    "read": "look at accounts, transfers, events, positions and peers",
    "accounts": "open, freeze and close accounts, hand out receiving addresses",
    "award": "grant points",
    "spend": "redeem points",
    "transfer": "send points to other regions, cancel, ask for them back",
    "review": "accept or refuse what waits for a clerk",
    "attest": "keep facts about residents, share them, ask other regions for them, revoke, issue credentials",
    "penalty": "tell residents of penalties, record appeals, decide and apply",
    "operate": "book expiries, dial peers again",
    "recovery": "after a restore: repeat what was done, say that it was, accept risks",
    "admin": "everything",
}
"""What a token may be for. Every scope includes `read`; `admin` includes all; no other includes another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A token as it is known; the secret is not. Its name is also that of the client whose keys it uses."""

    name: str
    scopes: tuple[str, ...]
    created_ms: int
    revoked_ms: int  # 0 = in use
    digest: bytes

    def allows(self, scope: str) -> bool:
        """Whether it may be used for this."""
        return scope == "read" or scope in self.scopes or "admin" in self.scopes


def digest(token: str) -> bytes:
    """What is kept of a token: SHA-256. It has 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def create(conn: Connection, name: str, scopes: Collection[str], now_ms: int) -> str:
    """Make a token and return it: nobody can read it again. Raises BadInput for a bad or taken name, unknown scopes."""
    if not _NAME.fullmatch(name):
        raise BadInput("A token's name has up to 64 letters, digits, dots, hyphens and underscores.")
    if mentions_number(name):
        raise BadInput("A token's name has an identity number in it. Choose another name.")
    if unknown := sorted(set(scopes) - SCOPES.keys()):
        raise BadInput(f"No scope is called {', '.join(unknown)}. Choose among {', '.join(SCOPES)}.")
    if not scopes:
        raise BadInput(f"A token needs at least one scope. Choose among {', '.join(SCOPES)}.")
    t = schema.token
    known = conn.execute(select(t.c.revoked_ms).where(t.c.name == name)).first()
    if known is not None and known.revoked_ms is None:
        raise BadInput(f"There is a token {name!r} already. Revoke it first, or choose another name.")
    token = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    row = {
        "digest": digest(token),
        "scopes": " ".join(s for s in SCOPES if s in scopes),
        "created_ms": now_ms,
        "revoked_ms": None,
    }
    if known is None:
        conn.execute(insert(t), [{"name": name, **row}])
    else:
        conn.execute(update(t).where(t.c.name == name).values(**row))
    return token


def revoke(conn: Connection, name: str, now_ms: int) -> None:
    """End a token. Raises BadInput where there is none; ending one twice changes nothing."""
    t = schema.token
    if conn.scalar(select(t.c.name).where(t.c.name == name)) is None:
        raise BadInput(f"There is no token {name!r}. See them with `hutong token list`.")
    conn.execute(update(t).where(t.c.name == name, t.c.revoked_ms.is_(None)).values(revoked_ms=now_ms))


def listed(conn: Connection) -> list[Token]:
    """All tokens by name, the revoked ones too."""
    return [
        Token(
            name=row.name,
            scopes=tuple(row.scopes.split()),
            created_ms=row.created_ms,
            revoked_ms=row.revoked_ms or 0,
            digest=bytes(row.digest),
        )
        for row in conn.execute(select(schema.token).order_by(schema.token.c.name))
    ]


def live(conn: Connection) -> dict[bytes, Token]:
    """The tokens in use, by digest."""
    return {token.digest: token for token in listed(conn) if not token.revoked_ms}
