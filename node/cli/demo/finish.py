"""The end of the demonstration: everything is looked at from outside, and every promise checked."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.protocol import bundles, documents
from gateway.protocol.errors import ProtocolError
from gateway.protocol.exhibits import TransferProof
from gateway.protocol.proof import holds, verify_transfer
from gateway.protocol.transfer import State
from node.cli.demo import (
    about_agreements,
    about_dealings,
    about_logs,
    about_points,
    about_transfers,
    books,
    papers,
    swindle,
)
from node.cli.demo.books import Books
from node.cli.demo.case import Answer, Case, Check
from node.cli.demo.drive import KILLED, Drive
from node.cli.demo.papers import Papers
from node.cli.demo.process import RegionProcess, run
from node.cli.demo.restored import RESTORED, got_back, owes_nothing
from node.cli.demo.story import Story
from node.services.office import shanghai_date

ALTERED = 200
"""So many copies of a proof with one bit changed are checked."""
AT_ONCE = 2
"""Commands run side by side."""

PARTS = (about_points, about_transfers, about_logs, about_agreements, about_dealings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Everything there is to report."""

    checks: Sequence[Check]
    books: Mapping[int, Books]
    papers: Mapping[int, Papers]
    answers: Mapping[str, Answer]
    told: Mapping[int, Counter[str]]


async def examine(drive: Drive, story: Story) -> Outcome:
    """Collect, submit everything again, check."""
    assert drive.data.cast is not None
    restore, orders = story.restore, drive.orders(drive.data.everything)
    regions = drive.federation.regions
    before = {r.code: books.read(r.code, r.database).fingerprint for r in regions}
    again = await drive.repeat(orders, "全部重复提交", "Submit everything again")
    await swindle.spend(drive, drive.data.cast.spent)
    found = {r.code: books.read(r.code, r.database) for r in regions}
    told = {code: await api.told() for code, api in drive.apis.items()}
    case = Case(
        data=drive.data,
        fates=drive.data.fates(shanghai_date(drive.kill.at_ms)),
        books=found,
        roster=drive.federation.roster,
        answers=drive.answers,
        again=again,
        fingerprints_before=before,
        heads_at_kill=drive.kill.heads,
        told=told,
        papers={r.code: papers.read(r.code, r.database) for r in regions},
        in_force=await in_force(drive),
        story=story,
    )
    checks = [look(case) for part in PARTS for look in part.CHECKS]
    killed = drive.federation.region(KILLED)
    with drive.watcher.stage("重新推算每个账本，离线核验证明", "Derive every ledger again, verify a proof", 5) as done:
        checks.append(await rederived(regions, done))
        checks += await proofs(case, killed, drive.federation.root)
        done(1)
    checks += [recovered(drive), got_back(restore, found[RESTORED]), owes_nothing(restore)]
    return Outcome(
        checks=checks,
        books=found,
        papers=case.papers,
        answers=again,
        told=told,
    )


async def in_force(drive: Drive) -> dict[tuple[int, int], str]:
    """(region, peer) -> digest of the agreement that counts there, as its API says."""
    found = {}
    for code, api in drive.apis.items():
        for agreement in (await api.get("/v1/agreements"))["agreements"]:
            if agreement["state"] == "in_force":
                found[code, agreement["peer"]] = agreement["digest"]
    return found


async def rederived(regions: Sequence[RegionProcess], done: Callable[[int], None]) -> Check:
    """`hutong verify` of every region: everything its tables say, derived again from journal and logs."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def verify(region: RegionProcess) -> tuple[int, str | None]:
        async with at_once:
            code, out = await run(["verify", "--dir", str(region.directory), "--json"])
        done(1)
        checks = json.loads(out).get("checks", []) if out else []
        counted = sum(check["counted"] for check in checks)
        wrong = [f"{check['code']}: {check['detail']}" for check in checks if not check["ok"]]
        if code or wrong or not counted:
            return 0, f"hutong verify of {region.code} ends with {code}: {'; '.join(wrong) or repr(out[:200])}"
        return counted, None

    found = await asyncio.gather(*map(verify, regions))
    return Check(
        name="ledger_rederived_from_journal_and_logs",
        zh="由流水和日志重新推算出的账本与现账一致",
        en="every ledger, derived again from its journal and logs, is the same",
        counted=sum(counted for counted, _ in found),
        against=[why for _, why in found if why is not None],
    )


async def proofs(case: Case, region: RegionProcess, root: Path) -> list[Check]:
    """A transfer that left the killed region, proved offline; and the same proof with single bits changed."""
    file = root / "transfer-proof.json"
    sample = max(t for t in case.outgoing.values() if t.source == region.code and t.state == State.POSTED)
    made, out = await run(["proof", sample.id.hex(), "--dir", str(region.directory), "--out", str(file)])
    federation = case.roster.federation.hex()
    code, out = await run(["verify", "--json", "--federation", federation, str(file)], module="gateway")
    counted = len(json.loads(out)["checks"]) if code == 0 else 0
    true = Check(
        name="transfer_proof_verifies_offline",
        zh="转移证明可离线核验",
        en="the proof of a transfer verifies offline",
        counted=counted,
        against=[] if made == code == 0 else [f"{file.name}: made {made}, checked {code}: {out!r:.300}"],
    )
    believed = altered_but_believed(file, case.roster.federation) if made == 0 else ["no proof was made"]
    false = Check(
        name="altered_transfer_proof_is_refused",
        zh="证明改动一位即被识破",
        en="a proof with one bit changed is refused",
        counted=ALTERED,
        against=believed,
    )
    return [true, false]


def altered_but_believed(file: Path, federation: bytes) -> list[str]:
    """Change single bits, spread over the whole proof; where the checks are deceived."""
    proof = documents.read(file.read_text(encoding="utf-8"))
    assert isinstance(proof, TransferProof)
    sound = bundles.encode_transfer_proof(proof)
    believed = []
    for n in range(ALTERED):
        bit = (n * len(sound) * 8 // ALTERED + n % 8) % (len(sound) * 8)
        forged = bytearray(sound)
        forged[bit // 8] ^= 1 << bit % 8
        try:
            offered = bundles.decode_transfer_proof(bytes(forged))
        except ProtocolError:
            continue  # it does not even parse
        if not _says_no_more(offered, proof) and holds(verify_transfer(offered, federation)):
            believed.append(f"bit {bit}")
    return believed


def _says_no_more(offered: TransferProof, proof: TransferProof) -> bool:
    """Whether the one is the other, perhaps with a body left out: a body may always be withheld."""
    sides = ((offered.offer, proof.offer), (offered.answer, proof.answer))
    return offered.rosters == proof.rosters and all(a == b or a == replace(b, body=b"") for a, b in sides)


def recovered(drive: Drive) -> Check:
    """All that was under way when the region died is decided, and it talks with everybody again."""
    kill = drive.kill
    fine = 0 < kill.ready_s <= kill.recovered_s
    return Check(
        name="killed_region_recovered",
        zh="断电地区恢复，当时在途的全部办结",
        en="the killed region is back, and all that was under way is decided",
        counted=kill.in_flight + len(kill.unanswered),
        against=[] if fine else ["it did not come back"],
    )
