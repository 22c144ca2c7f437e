"""What went wrong, as the caller reads it (RFC 9457), and how every exception becomes that.

A problem never shows a traceback, nor a value the caller sent: a shifted column may hold somebody's identity number.
What is our own fault gets the id of an incident, under which the log says where it happened.
"""

from __future__ import annotations

import re
import secrets
import traceback

import msgspec
import structlog
from aiohttp import web

from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.errors import (
    BadInput,
    DatabaseBusy,
    DatabaseFull,
    DatabaseGone,
    Recovering,
    SamePerson,
    Stopped,
    Unavailable,
    WitnessFailed,
)
from node.web import limits
from node.web.advice import ADVICE

MEDIA_TYPE = "application/problem+json"
_URN = "urn:hutong:problem:"
_WORDS = {reason: reason.name.lower() for reason in Reason}

_RETRY_S = {
    "too_busy": limits.BUSY_RETRY_S,
    "database_busy": limits.BUSY_RETRY_S,
    "database_gone": limits.GONE_RETRY_S,
    "database_full": limits.FULL_RETRY_S,
    "unavailable": limits.GONE_RETRY_S,
    "doubled": limits.GONE_RETRY_S,
    "recovering": limits.GONE_RETRY_S,
    "witness_failed": limits.GONE_RETRY_S,
    "peer_silent": limits.GONE_RETRY_S,
}
_BY_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}

log = structlog.get_logger(__name__)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem. `title` is Chinese, `reason` one word that never changes, `do` what to do next."""

    type: str
    title: str
    title_en: str
    status: int
    detail: str
    reason: str
    do: str
    do_en: str
    field: str | msgspec.UnsetType = msgspec.UNSET  # which field of the request is wrong
    incident: str | msgspec.UnsetType = msgspec.UNSET  # what to look for in the log


class LineProblem(Problem, frozen=True, kw_only=True):
    """What became of one line of a bulk call that failed; the other lines are not touched by it."""

    line: int
    ok: bool = False


class Wrong(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        field: str | None = None,
        incident: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail, self.field, self.incident = reason, detail, field, incident
        self.headers = headers or {}

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return ADVICE[self.reason].status

    def problem(self) -> Problem:
        """As an answer of its own."""
        advice = ADVICE[self.reason]
        return Problem(
            type=_URN + self.reason,
            title=advice.title,
            title_en=advice.title_en,
            status=advice.status,
            detail=self.detail or advice.title_en,
            reason=self.reason,
            do=advice.do,
            do_en=advice.do_en,
            field=self.field or msgspec.UNSET,
            incident=self.incident or msgspec.UNSET,
        )

    def on_line(self, line: int) -> LineProblem:
        """As one line of an answer. Many may fail at once, so this is written out, too."""
        advice = ADVICE[self.reason]
        return LineProblem(
            type=_URN + self.reason,
            title=advice.title,
            title_en=advice.title_en,
            status=advice.status,
            detail=self.detail or advice.title_en,
            reason=self.reason,
            do=advice.do,
            do_en=advice.do_en,
            field=self.field or msgspec.UNSET,
            incident=self.incident or msgspec.UNSET,
            line=line,
        )

    def response(self) -> web.Response:
        """As a whole response."""
        headers = dict(self.headers)
        if self.reason in _RETRY_S:
            headers["Retry-After"] = str(_RETRY_S[self.reason])
        return web.Response(
            body=msgspec.json.encode(self.problem()), status=self.status, content_type=MEDIA_TYPE, headers=headers
        )


def wrong(error: BaseException, where: str) -> Wrong:
    """What to tell the caller about an exception. `where` names the route, for the log."""
    if isinstance(error, Wrong):
        return error
    if isinstance(error, Refused):
        return Wrong(_WORDS[error.reason], error.detail)
    if isinstance(error, DatabaseBusy):
        return Wrong("database_busy", str(error))
    if isinstance(error, DatabaseFull):
        return Wrong("database_full", str(error))
    if isinstance(error, DatabaseGone):
        return Wrong("database_gone", str(error))
    if isinstance(error, Stopped):
        return Wrong("doubled", str(error))
    if isinstance(error, Recovering):
        return Wrong("recovering", str(error))
    if isinstance(error, WitnessFailed):
        return Wrong("witness_failed", str(error))
    if isinstance(error, Unavailable):
        return Wrong("unavailable", str(error))
    if isinstance(error, SamePerson):
        return Wrong("same_person", str(error))
    if isinstance(error, BadInput):
        return Wrong("refused_input", str(error))
    if isinstance(error, web.HTTPException):
        return _of_http(error)
    return _incident(error, where)


def _of_http(error: web.HTTPException) -> Wrong:
    headers = {name: value for name, value in error.headers.items() if name in ("Allow", "WWW-Authenticate")}
    return Wrong(_BY_STATUS.get(error.status, "bad_request"), headers=headers)


def _incident(error: BaseException, where: str) -> Wrong:
    """A fault of ours. The log says where, not with what: an exception's words may repeat what somebody sent."""
    incident = secrets.token_hex(6)
    frames = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    log.error("http_failed", incident=incident, route=where, fault=type(error).__name__, frames=frames[-8:])
    return Wrong("internal", f"incident {incident}", incident=incident)


# -- what the JSON library says ---------------------------------------------------------------------------------------

_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_NAMED = re.compile(r"field `(?P<field>.*)`$", re.DOTALL)
_BYTE = re.compile(r" ?\(byte (?P<byte>\d+)\)$")
_VALUE = re.compile(r" value .*$", re.DOTALL)


def undecodable(error: Exception, data: bytes, *, one_line: bool = False) -> Wrong:
    """What is wrong with a body, or with one line of several: where, and which rule it breaks."""
    if isinstance(error, msgspec.ValidationError):
        return invalid(error)
    if isinstance(error, UnicodeDecodeError):
        return Wrong("malformed_json", f"not UTF-8 text{_place(data, _first_bad_byte(data), one_line)}")
    text = str(error)
    found = _BYTE.search(text)
    what = _BYTE.sub("", text).removeprefix("JSON is malformed: ")
    # The library counts from 0, but names the byte after a character that should not be there any more.
    index = int(found["byte"]) - (what == "trailing characters") if found else len(data)
    return Wrong("malformed_json", f"{what}{_place(data, index, one_line)}")


def _first_bad_byte(data: bytes) -> int:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(data)


def invalid(error: msgspec.ValidationError) -> Wrong:
    """Well-formed, but not what was asked for."""
    text = str(error)
    at = _AT.search(text)
    what = _AT.sub("", text)
    named = _NAMED.search(what)
    field = (at["path"] if at else "") or (named["field"] if named else "")
    if what.startswith("Invalid enum"):
        what = _VALUE.sub(" value", what)  # without the value
    return Wrong("bad_field", f"{field}: {what}" if at and field else what, field=field[:64] or None)


def _place(data: bytes, index: int, one_line: bool) -> str:
    before = data[:index]
    column = index - (before.rfind(b"\n") + 1) + 1
    return f" at column {column}" if one_line else f" at line {before.count(10) + 1}, column {column}"
