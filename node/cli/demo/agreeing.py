"""Chapter: every pair of regions agrees, over the HTTP APIs of both; and one pair amends what it has agreed."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from node.cli.demo.api import Api, NoAnswer, Refusing
from node.cli.demo.cast import HANGZHOU, SHAOXING
from node.cli.demo.data import Draft
from node.cli.demo.drive import SETTLE_S, Drive
from node.errors import Unavailable

AMENDED = (HANGZHOU, SHAOXING)
PEOPLE = {"by": "周", "checked_by": "吴"}
"""Two people act for a region. Nobody is meant."""
CLERK = "郑"


@dataclass(kw_only=True, slots=True)
class Agreed:
    """What was signed: of each pair its versions as the API of its lower region shows them, first to last."""

    versions: dict[tuple[int, int], list[dict[str, Any]]] = field(default_factory=dict)
    waiting: int = 0  # transfers that were held for a clerk when the amendment came into force

    @property
    def amended(self) -> tuple[int, int]:
        """The pair that amended what it had agreed; the second countersigned."""
        return next(pair for pair, versions in self.versions.items() if len(versions) > 1)


async def agree(drive: Drive) -> Agreed:
    """One proposes, the other reads what speaks against it, and countersigns."""
    agreed = Agreed()
    drafts = drive.data.drafts
    with drive.watcher.stage("六对地区商定并会签协议", "Six pairs of regions agree", len(drafts)) as done:
        for draft in drafts:
            agreed.versions[draft.proposer, draft.peer] = [await _signed(drive, draft, None)]
            done(1)
    return agreed


async def amend(drive: Drive, agreed: Agreed) -> None:
    """From now on culture moves between the two at its full value; what is before a clerk finishes as it was held."""
    first = agreed.versions[AMENDED][0]
    there = drive.apis[SHAOXING]
    agreed.waiting = len(await _reviews(there))
    terms = copy.deepcopy(next(draft for draft in drive.data.drafts if (draft.proposer, draft.peer) == AMENDED).terms)
    for way in ("out", "into"):
        for rate in terms[way]["rates"]:
            rate.pop("rate", None)  # derived from what both publish, as the others are
    draft = Draft(proposer=AMENDED[0], peer=AMENDED[1], terms=terms)
    agreed.versions[AMENDED].append(await _signed(drive, draft, first["id"]))
    for waiting in await _reviews(there):
        said = {"source": waiting["source"], "decision": "accept", "by": CLERK}
        await there.post(f"/v1/reviews/{waiting['id']}", said)


async def wait_for_the_clerk(drive: Drive) -> None:
    """Send what is above the threshold, and wait until it is before a clerk at the other side."""
    assert drive.data.cast is not None
    movers = drive.data.cast.movers
    await drive.send(movers)

    async def all_there() -> bool:
        return len(await _reviews(drive.apis[SHAOXING])) == len(movers)

    await drive.until(all_there, SETTLE_S, "what is above the threshold has not come before a clerk")


async def _reviews(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.get("/v1/reviews"))["transfers"]
    return found


async def _signed(drive: Drive, draft: Draft, amends: str | None) -> dict[str, Any]:
    """One version, when it is in force at both sides."""
    here, there = drive.apis[draft.proposer], drive.apis[draft.peer]
    key = f"{draft.proposer}-{draft.peer}-{amends or 'first'}"
    body = {"peer": draft.peer, "terms": draft.terms, "amends": amends, "key": key, **PEOPLE}
    proposed = await here.post("/v1/agreements", body)
    path = f"/v1/agreements/{proposed['digest']}"
    await drive.until(lambda: _shown(there, path), SETTLE_S, f"{draft.peer} has not heard the proposal")
    read = await there.get(path)
    if read["objection"]:
        raise Unavailable(f"{draft.peer} cannot sign what {draft.proposer} proposes: {read['objection_detail']}")
    await there.post(f"{path}/countersign", PEOPLE)
    await drive.until(lambda: _in_force(here, path), SETTLE_S, f"{draft.proposer} has not heard the countersignature")
    version: dict[str, Any] = (await here.get(path))["agreement"]
    return version


async def _shown(api: Api, path: str) -> dict[str, Any] | None:
    """None while it is not known there."""
    try:
        found: dict[str, Any] = await api.get(path)
    except (Refusing, NoAnswer):
        return None
    return found


async def _in_force(api: Api, path: str) -> bool:
    found = await _shown(api, path)
    return found is not None and found["agreement"]["state"] == "in_force"
