"""Who calls: bearer tokens, kept in memory and read again when they may have changed."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping

from node.store.tokens import Token, digest
from node.web import limits
from node.web.problems import Wrong

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="hutong"'}


class Tokens:
    """The tokens in use. A revoked one is refused within TOKEN_AGE_S."""

    def __init__(self, read: Callable[[], Awaitable[Mapping[bytes, Token]]]) -> None:
        self._read = read
        self._known: Mapping[bytes, Token] = {}
        self._read_at = float("-inf")  # of time.monotonic
        self._reading = asyncio.Lock()

    async def check(self, authorization: str | None, scope: str) -> Token:
        """Whose token it is. Raises Wrong: token_missing, token_refused, scope_missing."""
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Wrong("token_missing", headers=_CHALLENGE)
        now = time.monotonic()
        await self._refresh(now - limits.TOKEN_AGE_S)
        wanted = digest(secret.strip())
        if wanted not in self._known:
            await self._refresh(now)  # it may have been made a moment ago
        token = self._known.get(wanted)
        if token is None or not hmac.compare_digest(token.digest, wanted):
            raise Wrong("token_refused", headers=_CHALLENGE)
        if not token.allows(scope):
            raise Wrong("scope_missing", f"the scope `{scope}` is needed; this token has {', '.join(token.scopes)}")
        return token

    async def _refresh(self, since: float) -> None:
        """See to it that the tokens were read after `since`. Callers who come together share one read."""
        if self._read_at >= since:
            return
        async with self._reading:
            if self._read_at < since:
                began = time.monotonic()
                self._known = await self._read()
                self._read_at = began
