"""A quarantine over the API: what it is about, who may see it, and how two people on each side leave it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.__main__ import main
from gateway.protocol.values import NotReady
from node.services.forks.repair import SayRepair
from tests.services.delivery import alias_of
from tests.services.ledger import address, forge, offer, resident
from tests.web.nodes import Caller

HANGZHOU, NINGBO = 330100, 330200


def lied_to(hangzhou: Caller, ningbo: Caller) -> None:
    """Hangzhou tells Ningbo two histories."""
    a, b = hangzhou.region, ningbo.region
    resident(b, "B")
    to = alias_of(address(b, "B"))
    rate: dict[str, Any] = {"becomes": "moral", "arriving": 30, "rate_p": 3, "rate_q": 10}
    b.hear(HANGZHOU, forge(a, NINGBO, [offer(to, 100, id_=b"the truth, first", **rate)]))
    said = b.hear(HANGZHOU, forge(a, NINGBO, [offer(to, 900, id_=b"a lie, later on.", **rate)]))
    assert said == [NotReady()]


async def test_the_evidence_is_listed_and_handed_out_as_one_file(
    hangzhou: Caller, ningbo: Caller, tmp_path: Path
) -> None:
    assert (await ningbo.get("/v1/evidence"))["evidence"] == []
    lied_to(hangzhou, ningbo)
    (kept,) = (await ningbo.get("/v1/evidence"))["evidence"]
    assert kept["peer"] == HANGZHOU
    assert kept["holds"]
    assert "自相矛盾" in kept["zh"]
    assert "contradicted itself" in kept["en"]
    (peer,) = (await ningbo.get("/v1/peers"))["peers"]
    assert (peer["channel"], peer["evidence"]) == ("quarantined", [kept["digest"]])
    found = await ningbo.get(f"/v1/evidence/{kept['digest']}")
    assert found["repair_file"] is None
    file = tmp_path / "evidence.json"
    file.write_text(found["file"], "utf-8")
    assert main(["verify", str(file), "--federation", ningbo.region.office.roster.federation.hex()]) == 0
    assert (await ningbo.get(f"/v1/evidence?peer={HANGZHOU}"))["evidence"] == [kept]
    assert (await ningbo.get(f"/v1/evidence?peer={NINGBO}"))["evidence"] == []
    assert (await ningbo.get("/v1/evidence/" + "00" * 32, status=404))["reason"] == "not_found"
    await ningbo.get("/v1/evidence/zz", status=422)


async def test_two_people_on_each_side_leave_the_quarantine(hangzhou: Caller, ningbo: Caller, tmp_path: Path) -> None:
    lied_to(hangzhou, ningbo)
    (kept,) = (await ningbo.get("/v1/evidence"))["evidence"]
    file = (await ningbo.get(f"/v1/evidence/{kept['digest']}"))["file"]
    asked = {"evidence": kept["digest"], "size": 0, "maker": "张三", "checker": "李四"}
    alone = await ningbo.post(f"/v1/peers/{HANGZHOU}/repair", {**asked, "checker": "张三"}, status=409)
    assert "second person" in alone["detail"]
    agreed = await ningbo.post(f"/v1/peers/{HANGZHOU}/repair", asked, status=200)
    assert (agreed["size"], agreed["holds"], agreed["signed_here"], agreed["signed_there"]) == (0, 1, True, False)
    unknown = await hangzhou.post(f"/v1/peers/{NINGBO}/repair", asked, status=422)
    assert "give the file" in unknown["detail"]
    agreed = await hangzhou.post(f"/v1/peers/{NINGBO}/repair", {**asked, "file": file}, status=200)
    assert (agreed["signed_here"], agreed["signed_there"]) == (False, False)
    made = ningbo.pair
    made.send(NINGBO, HANGZHOU, ningbo.region.say(HANGZHOU, SayRepair(peer=HANGZHOU)))
    made.pump()
    made.open()
    for caller in (hangzhou, ningbo):
        (peer,) = (await caller.get("/v1/peers"))["peers"]
        assert peer["channel"] == "open"
    found = await hangzhou.get(f"/v1/evidence/{kept['digest']}")
    assert found["exhibit"]["repair"]["signed_there"]
    repair = tmp_path / "repair.json"
    repair.write_text(found["repair_file"], "utf-8")
    assert main(["verify", "--json", str(repair)]) == 0
    assert json.loads(found["repair_file"])["type"].endswith("repair-proof.v1")


async def test_who_may_only_read_cannot_agree(hangzhou: Caller, ningbo: Caller) -> None:
    lied_to(hangzhou, ningbo)
    (kept,) = (await ningbo.get("/v1/evidence"))["evidence"]
    token = ningbo.make_token("auditor", "read")
    assert (await ningbo.get("/v1/evidence", token=token))["evidence"] == [kept]
    asked = {"evidence": kept["digest"], "size": 0, "maker": "张三", "checker": "李四"}
    said = await ningbo.post(f"/v1/peers/{HANGZHOU}/repair", asked, status=403, token=token)
    assert said["reason"] == "scope_missing"
