"""How a roster is shown: who is in it, whose signatures it has, whether it is in force."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from rich.console import RenderableType

from gateway.protocol.members import Key, Region, Roster, Succession
from gateway.protocol.suite import signers
from gateway.protocol.values import Signed, Status
from node.cli import roster_file
from node.cli.roster_file import RosterFile
from node.cli.screen import Answer, day, facts, moment, table
from node.cli.words import say

_STATUS_ZH = {
    Status.ACTIVE: "正常",
    Status.SUSPENDED: "暂停",
    Status.WINDING_DOWN: "退出中",
    Status.WITHDRAWN: "已退出",
}


def roster_answer(
    file: RosterFile, path: Path | None, *, then: str = "", more: Mapping[str, Any] | None = None
) -> Answer:
    """The newest version of a file, and what to do next."""
    listing, signed = file.newest, file.pending or file.history[-1]
    needed = _needed(file, signed)
    parts: list[RenderableType] = [
        facts(
            [
                (say("联邦", "Federation"), f"{listing.name_zh} {listing.name_en}".strip()),
                (say("联邦编号", "Federation id"), _id(file)),
                (say("环境", "Environment"), listing.environment),
                (say("版本", "Version"), f"{listing.version}, {moment(listing.issued_at_ms)}"),
                (say("签名", "Signatures"), _signatures(file, needed)),
                *([(say("文件", "File"), path)] if path is not None else []),
            ]
        ),
        table(
            say("根密钥", "Root keys"),
            [say("密钥", "Key"), say("已签", "Signed"), say("有效期", "Valid")],
            [
                [key, say("是", "yes") if done else say("否", "no"), _window(k)]
                for key, done, k in _roots(listing, signed)
            ],
        ),
    ]
    if listing.regions:
        parts.append(_regions(listing))
    value = {
        "file": str(path.absolute()) if path is not None else None,
        "version": listing.version,
        "federation": None if _provisional(file) else listing.federation.hex(),
        "name_zh": listing.name_zh,
        "name_en": listing.name_en,
        "environment": listing.environment,
        "issued_at_ms": listing.issued_at_ms,
        "in_force": file.pending is None,
        "signatures": [{"version": version, "have": have, "need": need} for version, have, need in needed],
        "root_keys": [{"key": key, "signed": done} for key, done, _ in _roots(listing, signed)],
        "regions": [_region_value(region) for region in listing.regions],
        "resolved": [resolution.region for resolution in listing.resolutions],
        **(more or {}),
    }
    return Answer(value=value, shown=[*parts, *([then] if then else [])])


def certificate_end(der: bytes) -> int:
    """When a certificate expires, in Unix milliseconds; 0 for one that does not parse."""
    try:
        return int(x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp() * 1000)
    except ValueError:
        return 0


def days_until(ms: int) -> int:
    """Whole days from now; negative when it has passed."""
    return (datetime.fromtimestamp(ms / 1000, UTC) - datetime.now(UTC)).days


def _provisional(file: RosterFile) -> bool:
    """The first version's hash names the federation, and nobody has signed that yet."""
    return file.pending is not None and not file.pending.signatures and file.current is None


def _id(file: RosterFile) -> str:
    if _provisional(file):
        return say("第一个签名后确定", "fixed by the first signature")
    return file.newest.federation.hex()


def _needed(file: RosterFile, signed: Signed) -> list[tuple[int, int, int]]:
    """(version that asks, valid signatures, signatures needed)."""
    before = file.current if file.pending is not None else None
    return [
        (listing.version, len(signers(signed, keys)), listing.threshold)
        for listing, keys in roster_file.asked(before, file.newest)
    ]


def _signatures(file: RosterFile, needed: list[tuple[int, int, int]]) -> str:
    state = say("已生效", "in force") if file.pending is None else say("未生效", "not in force")
    counts = say("；", "; ").join(
        say(f"第 {version} 版的密钥 {have}/{need}", f"{have} of {need} by the keys of version {version}")
        for version, have, need in needed
    )
    return f"{state} ({counts})"


def _roots(listing: Roster, signed: Signed) -> list[tuple[str, bool, Key]]:
    done = signers(signed, [key.verify_key for key in listing.root_keys])
    return [(key.verify_key.id.hex(), key.public_key in done, key) for key in listing.root_keys]


def _regions(listing: Roster) -> RenderableType:
    columns = [
        say("代码", "Code"), say("名称", "Name"), say("状态", "Status"), say("地址", "Endpoint"),
        say("签名密钥", "Keys"), say("证书到期", "Certificate"),
    ]  # fmt: skip
    return table(say("成员", "Members"), columns, [_row(region) for region in listing.regions])


def _row(region: Region) -> list[object]:
    keys = "\n".join(
        f"{key.verify_key.id.hex()}{say(' 已吊销', ' revoked') if key.revoked_at_ms else ''}" for key in region.keys
    )
    ends = "\n".join(_until(certificate_end(der)) for der in region.certificates)
    status = "\n".join([say(_STATUS_ZH[region.status], region.status.name.lower()), *map(_after, region.successions)])
    endpoint = region.endpoint or say("只向外拨", "dials out only")
    return [str(region.code), f"{region.name_zh} {region.name_en}".strip(), status, endpoint, keys, ends]


def _after(succession: Succession) -> str:
    heir, since = succession.successor, day(succession.date)
    return say(f"{since} 起由 {heir} 承接", f"{heir} from {since}")


def _until(ms: int) -> str:
    if not ms:
        return say("无法读取", "unreadable")
    left = days_until(ms)
    day_of = day(int(datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y%m%d")))
    return day_of if left >= 30 else say(f"{day_of}（剩 {left} 天）", f"{day_of} ({left} days left)")


def _region_value(region: Region) -> dict[str, Any]:
    return {
        "code": region.code,
        "name_zh": region.name_zh,
        "name_en": region.name_en,
        "status": region.status.name.lower(),
        "endpoint": region.endpoint,
        "successors": [{"code": s.successor, "from": s.date} for s in region.successions],
        "keys": [
            {
                "id": key.verify_key.id.hex(),
                "not_before_ms": key.not_before_ms,
                "not_after_ms": key.not_after_ms,
                "revoked_at_ms": key.revoked_at_ms,
                "anchors": len(key.anchors),
            }
            for key in region.keys
        ],
        "certificates": [
            {"sha256": hashlib.sha256(der).hexdigest(), "expires_ms": certificate_end(der)}
            for der in region.certificates
        ],
    }


def _window(key: Key) -> str:
    if key.revoked_at_ms:
        return say(f"{moment(key.revoked_at_ms)} 吊销", f"revoked {moment(key.revoked_at_ms)}")
    if key.not_before_ms or key.not_after_ms:
        return f"{moment(key.not_before_ms)} – {moment(key.not_after_ms)}"
    return say("不限", "open")
