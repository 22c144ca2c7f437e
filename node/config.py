"""A region's directory: its configuration, its terms, its secrets. What is wrong in one is named by line and column.

- hutong.toml: the configuration (:class:`Config`)
- terms.toml: what moves where, at which rate (:func:`load_terms`)
- tls.crt: the certificate other regions know this one by
- secrets/: what must never lie beside a backup of the database (:func:`load_secrets`)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import gcd
from pathlib import Path
from typing import Any, TypeVar

from gateway.protocol import limits
from gateway.protocol.suite import SigningKey
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Evidence, Purpose
from node.errors import BadFile
from node.text_file import read_text
from node.toml_file import read_toml

CONFIG_FILE = "hutong.toml"
TERMS_FILE = "terms.toml"
WITNESS_FILE = "witness"
SECRET_BYTES = 32
NEXT_KEY_FILE = "signing.next.key"

_REGION = re.compile(r"[1-9][1-9][0-9]{4}")
_CATEGORY = re.compile(rf"[a-z][a-z0-9_]{{0,{limits.CATEGORY_CHARACTERS - 1}}}")
_RATE = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,6})")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?):(0|[1-9][0-9]{0,4})")
_RELATIVE_SQLITE = re.compile(r"(sqlite(?:\+[a-z]+)?:///)(?!/|:memory:|$)(.+)", re.DOTALL)

_DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(Terms)}
_EVIDENCE = {grade.name.lower(): grade for grade in Evidence}
_PURPOSES = {purpose.name.lower(): purpose for purpose in Purpose if purpose is not Purpose.REVERSAL}

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """What hutong.toml says. Paths are absolute or relative to the working directory, never to the file."""

    directory: Path
    region: int
    name_zh: str
    name_en: str
    environment: str  # only rosters of this environment are taken
    categories: tuple[str, ...]
    database: str  # URL; a relative SQLite path has been made one below `directory`
    witness: Path  # tells a restored database from one that is whole; meant for another disk than the database's
    terms: Path
    grpc_listen: str  # host:port for other regions; port 0 = any free one
    http_listen: str  # host:port for the region's own systems
    endpoint: str  # host:port others dial; empty when this region only dials itself
    process: str = ""  # the name of this one, where several processes share a PostgreSQL; empty for a single one

    @property
    def secrets(self) -> Path:
        """The directory of everything that must stay secret."""
        return self.directory / "secrets"

    @property
    def tls_key(self) -> Path:
        """Private key of the certificate, PEM."""
        return self.secrets / "tls.key"

    @property
    def tls_certificate(self) -> Path:
        """The certificate, PEM."""
        return self.directory / "tls.crt"

    @property
    def operator_token(self) -> Path:
        """The bearer token with which commands on this machine call the running node."""
        return self.secrets / "operator.token"


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Secrets:
    """Secrets that belong to the region and not to its database. Never printed."""

    signing_key: SigningKey
    next_key: SigningKey | None  # lies beside it until the roster lists it and its time has come
    id_secret: bytes  # 32 bytes
    redo_secret: bytes  # 32 bytes


class _Wrong(ValueError):
    """A value its key does not take: what is wrong and what to do."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.what, self.do = what, do


# -- values ----------------------------------------------------------------------------------------------------------


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("is not text", 'Write it in quotation marks, such as name_zh = "杭州".')
    if len(value) > 64 or not value.isprintable():
        raise _Wrong("is longer than 64 characters or holds some that cannot be seen", "Write it shorter.")
    return value


def _path(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > 1024 or not value.isprintable():
        raise _Wrong("is not the path of a file", 'Write it in quotation marks, such as "/mnt/other/330100.witness".')
    return value


def _region(value: object) -> int:
    if isinstance(value, bool) or not _REGION.fullmatch(str(value)):
        raise _Wrong("is not a region code", "Write the six digits of GB/T 2260, such as 330100.")
    return int(str(value))


def _category(value: object) -> str:
    if not isinstance(value, str) or not _CATEGORY.fullmatch(value):
        raise _Wrong("is not a category code", "Write small letters, digits and underscores, such as public_welfare.")
    return value


def _categories(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise _Wrong("is not a list of categories", 'Write them like ["moral", "culture"].')
    found = tuple(map(_category, value))
    if len(set(found)) != len(found):
        raise _Wrong("names a category twice", "Name each category once.")
    return found


def _process(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9-]{1,32}", value):
        raise _Wrong("is not the name of a process", "Write small letters, digits and hyphens: east.")
    return value


def _environment(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9-]{1,32}", value):
        raise _Wrong("is not the name of an environment", "Write small letters, digits and hyphens: production.")
    return value


def host_port(text: str) -> tuple[str, int]:
    """Host and port of `host:port`; an IPv6 address stands in brackets. Raises ValueError."""
    found = _HOST_PORT.fullmatch(text)
    if found is None or int(found[2]) > 65_535:
        raise ValueError("is not host:port")
    return found[1].strip("[]"), int(found[2])


def _listen(value: object) -> str:
    try:
        host_port(_text(value))
    except _Wrong:
        raise
    except ValueError:
        raise _Wrong("is not host:port", 'Write an address and a port, such as "127.0.0.1:8080".') from None
    return str(value)


def _endpoint(value: object) -> str:
    if value == "":
        return ""
    if not isinstance(value, str) or len(value) > 255 or not _HOST_PORT.fullmatch(value) or not host_port(value)[1]:
        what = "is not host:port where others can dial"
        raise _Wrong(what, 'Write it like "hutong.example.cn:7443", or "" when this region only dials out.')
    return value


def _url(value: object) -> str:
    if not isinstance(value, str) or "://" not in value:
        raise _Wrong("is not the URL of a database", "Write it like sqlite:///region.sqlite or postgresql://host/name.")
    if re.fullmatch(r"sqlite[^:]*://(/?|/:memory:)", value):
        raise _Wrong("names no file, so all would be lost at the end", "Write it like sqlite:///region.sqlite.")
    return value


def _rate(value: object) -> tuple[int, int]:
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _Wrong("is not a rate", 'Write units that arrive / units that leave, such as "1/2".')
    p, q = int(found[1]), int(found[2])
    if max(p, q) > limits.RATE_MAX:
        raise _Wrong(f"has a number above {limits.RATE_MAX}", "Choose a simpler fraction; both regions use the same.")
    if (common := gcd(p, q)) != 1:
        raise _Wrong("is not in lowest terms", f'Write "{p // common}/{q // common}".')
    return p, q


def _count(lowest: int, highest: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise _Wrong(f"is not a whole number from {lowest} to {highest}", "Write it in digits, without quotes.")
        return value

    return parse


def _evidence(value: object) -> int:
    if not isinstance(value, str) or value not in _EVIDENCE:
        raise _Wrong("is not a grade of evidence", f"Write one of: {', '.join(_EVIDENCE)}.")
    return int(_EVIDENCE[value])


def _purposes(value: object) -> frozenset[int]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v in _PURPOSES for v in value):
        raise _Wrong("is not a list of purposes", f"Write a list of some of: {', '.join(_PURPOSES)}.")
    return frozenset(int(_PURPOSES[v]) for v in value)


# -- tables ----------------------------------------------------------------------------------------------------------


class _Table:
    """The keys of one TOML table, each taken by its parser; what is wrong is reported where it stands."""

    def __init__(self, path: Path, found: dict[str, Any], number: int = 0) -> None:
        self._path, self._left, self._number = path, dict(found), number

    def take(self, key: str, parse: Callable[[object], T], default: T | None = None) -> T:
        """The value of a key, or the default; without a default the key has to be there."""
        if key not in self._left:
            if default is not None:
                return default
            raise self.fault(None, f"lacks {key}", f"Add a line that begins with {key} = ")
        try:
            return parse(self._left.pop(key))
        except _Wrong as wrong:
            raise self.fault(key, f"{key} {wrong.what}", wrong.do) from None

    def end(self) -> None:
        """Nothing may be left: a misspelt key would otherwise be a silent default."""
        for key in self._left:
            raise self.fault(key, f"{key} is not known here", "Check its spelling, or remove the line.")

    def fault(self, key: str | None, what: str, do: str) -> BadFile:
        """An error at the place of that key, or of the table."""
        return BadFile(self._path, *_place(self._path, key, self._number), what, do)


def _place(path: Path, key: str | None, number: int) -> tuple[int | None, int | None]:
    """Line and column of the value of a key in the `number`-th [[terms]] (0: above the first), as a reader finds it."""
    table, header = 0, None
    for line, text in enumerate(read_text(path).splitlines(), 1):
        if re.match(r"\s*\[\[?[^\[]", text) and "=" not in text.split("#")[0]:
            table += 1
            header = line if table == number else header
        elif key is not None and table == number and (at := re.match(_key_pattern(key), text)):
            return line, at.end() + 1
    return header, None


def _key_pattern(key: str) -> str:
    return rf"\s*([\"']?){re.escape(key)}\1\s*=\s*"


# -- files -----------------------------------------------------------------------------------------------------------


def load(directory: Path) -> Config:
    """The configuration of the region in `directory`. Raises BadFile, also when there is none."""
    path = directory / CONFIG_FILE
    if not path.exists():
        do = "Name the region's directory with --dir, or make one with `hutong init`."
        raise BadFile(path, None, None, "does not exist", do)
    table = _Table(path, read_toml(path))
    config = Config(
        directory=directory,
        region=table.take("region", _region),
        name_zh=table.take("name_zh", _text),
        name_en=table.take("name_en", _text, ""),
        environment=table.take("environment", _environment, "production"),
        categories=table.take("categories", _categories),
        database=_absolute(table.take("database", _url, "sqlite:///region.sqlite"), directory),
        witness=directory / table.take("witness", _path, WITNESS_FILE),
        terms=directory / table.take("terms", _text, TERMS_FILE),
        grpc_listen=table.take("grpc_listen", _listen),
        http_listen=table.take("http_listen", _listen),
        endpoint=table.take("endpoint", _endpoint, ""),
        process=table.take("process", _process, ""),
    )
    if config.process and config.database.startswith("sqlite"):
        what = "process names one of several processes, and an SQLite file takes a single one"
        raise table.fault("process", what, "Remove the line, or run the region on a PostgreSQL.")
    table.end()
    return config


def _absolute(url: str, directory: Path) -> str:
    """A relative SQLite file lies in the region's directory, wherever the command was started."""
    relative = _RELATIVE_SQLITE.fullmatch(url)
    return f"{relative[1]}{directory.absolute() / relative[2]}" if relative else url


def load_terms(path: Path) -> dict[tuple[int, int, str], Terms]:
    """The terms by (source, destination, category of the source). Raises BadFile; then nothing of the file counts."""
    found = read_toml(path)
    listed = found.pop("terms", [])
    top = _Table(path, found)
    version = top.take("version", _count(1, 2**31 - 1))
    top.end()
    if not isinstance(listed, list) or not all(isinstance(table, dict) for table in listed):
        raise top.fault("terms", "terms is not a list of tables", "Begin each with a line [[terms]].")
    terms: dict[tuple[int, int, str], Terms] = {}
    for number, content in enumerate(listed, 1):
        table = _Table(path, content, number)
        one = _terms(table, version)
        key = (one.source, one.destination, one.category)
        if one.source == one.destination:
            raise table.fault("to", "to is the region itself", "Name another region.")
        if key in terms:
            raise table.fault("category", "the same from, to and category stand above", "Remove one of the two tables.")
        terms[key] = one
    return terms


def _terms(table: _Table, version: int) -> Terms:
    p, q = table.take("rate", _rate)
    terms = Terms(
        source=table.take("from", _region),
        destination=table.take("to", _region),
        category=table.take("category", _category),
        becomes=table.take("becomes", _category),
        rate_p=p,
        rate_q=q,
        version=version,
        min_evidence=table.take("min_evidence", _evidence, _DEFAULT["min_evidence"]),
        purposes=table.take("purposes", _purposes, _DEFAULT["purposes"]),
        review_from=table.take("review_from", _count(0, limits.AMOUNT_MAX), _DEFAULT["review_from"]),
        grace_days=table.take("grace_days", _count(0, 3650), _DEFAULT["grace_days"]),
        reversal_days=table.take("reversal_days", _count(0, 3650), _DEFAULT["reversal_days"]),
    )
    table.end()
    return terms


def read_secret(path: Path) -> bytes:
    """The 32 bytes of a secret file. Raises BadFile for one that is damaged or that others can read."""
    text = read_text(path)
    check_private(path)
    if not re.fullmatch(r"[0-9a-f]{64}\s*", text):
        what = "is not a secret of 64 hexadecimal digits"
        raise BadFile(path, None, None, what, "Bring back the copy you keep of it; it cannot be made again.")
    return bytes.fromhex(text)


def check_private(path: Path) -> None:
    """Raises BadFile when anybody but the owner may open the file."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise BadFile(path, None, None, f"can be opened by others (mode {mode:o})", f"Run: chmod 600 {path}")


def load_secrets(config: Config) -> Secrets:
    """Keys and secrets of the region. Raises BadFile."""
    if config.tls_key.exists():
        check_private(config.tls_key)
    following = config.secrets / NEXT_KEY_FILE
    return Secrets(
        next_key=SigningKey.from_seed(read_secret(following)) if following.exists() else None,
        signing_key=SigningKey.from_seed(read_secret(config.secrets / "signing.key")),
        id_secret=read_secret(config.secrets / "id.key"),
        redo_secret=read_secret(config.secrets / "redo.key"),
    )
