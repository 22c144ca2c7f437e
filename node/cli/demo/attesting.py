"""Chapter: a region attests what it knows of a resident, with consent, and another recognises it by its own measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from node.cli.demo.cast import ATTESTED, HANGZHOU, JIAXING, KNOWN_AS, MINUTES, STARS
from node.cli.demo.drive import SETTLE_S, Drive


@dataclass(frozen=True, kw_only=True, slots=True)
class Attested:
    """What both sides show at last."""

    given: dict[str, Any]
    asked: dict[str, Any]
    standing: dict[str, Any]  # of the account at the region that recognised it


async def attest(drive: Drive) -> Attested:
    """Hours and stars of 330400 become a standing at 330100; no points move."""
    home, there = drive.apis[JIAXING], drive.apis[HANGZHOU]
    with drive.watcher.stage("志愿时长与星级互认", "Recognise hours and stars", 1) as done:
        for fact in ({"kind": "star_level", "value": STARS}, {"kind": "service_hours", "value": MINUTES}):
            await home.post("/v1/facts", {"account": ATTESTED, **fact})
        consent = await home.post("/v1/consents", {
            "account": ATTESTED, "recipient": HANGZHOU, "contact": "gateway desk", "purpose": "attestation",
            "method": "query", "kinds": ["service_hours", "star_level"], "expires": "2031-01-01", "key": "consent-1",
        })  # fmt: skip
        shared = await home.post(
            "/v1/shares", {"account": ATTESTED, "audience": HANGZHOU, "consent": consent["reference"]}
        )
        asked = await there.post("/v1/attestations", {
            "account": KNOWN_AS, "code": shared["code"], "consent": shared["consent"],
            "consent_digest": shared["consent_digest"], "key": "attestation-1",
        })  # fmt: skip
        path = f"/v1/attestations/{asked['id']}"

        async def answered() -> bool:
            return bool((await there.get(path))["attestations"][0]["state"] != "asked")

        await drive.until(answered, SETTLE_S, "the attestation was not answered")
        done(1)
    return Attested(
        given=(await home.get(path))["attestations"][0],
        asked=(await there.get(path))["attestations"][0],
        standing=await there.get(f"/v1/accounts/{KNOWN_AS}/standing"),
    )
