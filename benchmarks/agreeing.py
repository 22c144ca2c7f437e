"""Two running regions sign an agreement as their people would: many categories, every cap, lots that rest."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from typing import Any

from benchmarks.children import ChildError
from benchmarks.regions import CATEGORY, Pair, Site, give_token
from node.store.engine import open_store

CATEGORIES = 12
_SIGNED_BY_S = 30.0
_MUCH = 10**17
_SCOPES = (
    "transfer", "resident_day", "resident_month", "resident_year", "resident_ever", "pair_day", "pair_month",
    "net_debit",
)  # fmt: skip


def sign(pair: Pair, tokens: tuple[str, str]) -> None:
    """Make it binding at both, with terms that bound everything and refuse nothing. Raises ChildError."""
    source, destination = pair.sites
    body = {"peer": destination.code, "terms": _terms(), "by": "one", "checked_by": "two", "key": "benchmark"}
    digest = _until(lambda: _call(source, tokens[0], "agreements", body))["digest"]
    two = {"by": "three", "checked_by": "four"}
    _until(lambda: _call(destination, tokens[1], f"agreements/{digest}/countersign", two))
    _until(lambda: _in_force(_call(source, tokens[0], f"agreements/{digest}")))


def make_tokens(pair: Pair) -> tuple[str, str]:
    """What both regions' APIs take; of regions that do not run."""
    with closing(open_store(pair.destination.database)) as store:
        return pair.token, give_token(store)


def _terms() -> dict[str, Any]:
    codes = [CATEGORY, *(f"category-{number}" for number in range(2, CATEGORIES + 1))]
    listed = [{"code": code, "points": 1, "hours": 1} for code in codes]
    way = {
        "rates": [{"category": code, "becomes": code} for code in codes],
        "smallest": 1,
        "caps": dict.fromkeys(_SCOPES, _MUCH),
        "cooling_off_hours": 24,
        "review_from": _MUCH,
    }
    return {"ours": listed, "theirs": listed, "out": way, "into": way}


def _in_force(found: dict[str, Any] | None) -> dict[str, Any] | None:
    return found if found is not None and found["agreement"]["state"] == "in_force" else None


def _until(ask: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    ends = time.monotonic() + _SIGNED_BY_S
    while time.monotonic() < ends:
        found = ask()
        if found is not None:
            return found
        time.sleep(0.05)
    raise ChildError("the two regions did not agree in time")


def _call(site: Site, token: str, path: str, body: object = None) -> dict[str, Any] | None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{site.http_port}/v1/{path}",
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            found: dict[str, Any] = json.loads(response.read())
            return found
    except urllib.error.HTTPError as error:
        if error.code == 404:  # the proposal has not come yet
            return None
        raise ChildError(f"{path}: {error.read().decode()}") from error
