"""`python -m gateway`: check and read the federation's documents offline. No node, database or network is needed.

Exit status: 0 everything that the file claims holds; 1 something does not; 2 the file could not be read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from gateway.protocol import bundles, codec, contradictions, documents, limits
from gateway.protocol.credential import document as credential
from gateway.protocol.credential.checks import verify_credential
from gateway.protocol.documents import Document
from gateway.protocol.errors import ProtocolError
from gateway.protocol.exhibits import ForkEvidence, FrameProof, ReceiptEvidence, RepairProof, TransferProof
from gateway.protocol.members import Key, Region, Roster
from gateway.protocol.proof import Check, holds, verify_transfer
from gateway.protocol.roster import accept_chain, approvals, read_card
from gateway.protocol.values import Evidence, Kind, Offer, Purpose, Signed

CHINA = timezone(timedelta(hours=8))

NAMES = {
    documents.TRANSFER_PROOF: ("转移证明", "transfer proof"),
    documents.FORK_EVIDENCE: ("分叉证据", "evidence of a fork"),
    documents.RECEIPT_EVIDENCE: ("收据矛盾证据", "evidence that a receipt contradicts a log"),
    documents.REPAIR_PROOF: ("修复协议", "repair signed by both regions"),
    documents.ROSTER: ("成员名册", "roster"),
    documents.CARD: ("地区名片", "card of a region"),
    credential.TYPE: ("可验证凭证", "verifiable credential"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway",
        description="离线核验互通联邦的文件，不需要节点、数据库和网络。Check the federation's files offline.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser(
        "verify",
        help="核验证明、证据、修复协议、名册、名片、凭证 check a proof, evidence, repair, roster, card or credential",
    )
    verify.add_argument(
        "--federation",
        type=_federation,
        metavar="HEX",
        help="已知的联邦编号（64 位十六进制） the federation's id, known to you",
    )
    verify.add_argument(
        "--roster",
        type=Path,
        metavar="FILE",
        help="凭证：自第一版起的名册 for a credential: the rosters from version 1 on",
    )
    verify.add_argument(
        "--status",
        type=Path,
        metavar="FILE",
        help="凭证：签发地区的撤销名单 for a credential: its issuer's status list",
    )
    verify.add_argument("--json", action="store_true", help="以 JSON 输出 print JSON")
    inspect = commands.add_parser("inspect", help="显示文件内容，不作核验 show what is inside, unchecked")
    for command in (verify, inspect):
        command.add_argument("file", type=Path, metavar="FILE", help="文件 the file as it was handed out")
    options = parser.parse_args(arguments)
    try:
        text = _read(options.file)
        document = text.strip() if credential.is_credential(text) else documents.read(text)
        if options.command == "inspect":
            _print(list(_inside(document)))
            return 0
        checks = _checks(document, options)
    except (ProtocolError, _UnreadableError) as e:
        print(f"{options.file}: 无法读取 cannot be read: {e}", file=sys.stderr)
        return 2
    if options.json:
        _print(json.dumps(_as_json(document, checks), ensure_ascii=False, indent=2).splitlines())
    else:
        _print(_report(document, checks))
    return 0 if holds(checks) else 1


class _UnreadableError(Exception):
    """The file system or the encoding is in the way."""


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(documents.FILE_CHARACTERS + 1)
        return data.decode("utf-8-sig")
    except OSError as e:
        raise _UnreadableError(f"{e.strerror or e}; check the name and the permissions") from e
    except UnicodeDecodeError as e:
        raise _UnreadableError("not a text file; give the JSON file as it was handed out") from e


def _federation(text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:
        raise argparse.ArgumentTypeError("应为 64 位十六进制 64 hexadecimal digits are needed")
    return value


def _print(lines: Iterator[str] | Sequence[str]) -> None:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        for line in lines:
            # A stranger's text must not move the cursor or hide a line above.
            print("".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in line))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough; the exit status still says what was found
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# -- verify -----------------------------------------------------------------------------------------------------------


def _checks(document: Document | str, options: argparse.Namespace) -> list[Check]:
    federation: bytes | None = options.federation
    if isinstance(document, str):
        return _credential_checks(document, options)
    if isinstance(document, TransferProof):
        return verify_transfer(document, federation)
    if isinstance(document, ForkEvidence | ReceiptEvidence | RepairProof):
        return contradictions.verify(document, federation)
    if isinstance(document, Signed) and document.payload_type == documents.CARD:
        return [_check("card", "地区以自己的密钥签署名片", "the region signed its card", lambda: _card(document))]
    history = (document,) if isinstance(document, Signed) else document
    if any(signed.payload_type != documents.ROSTER for signed in history):
        raise _UnreadableError(
            f"a document of type {history[0].payload_type!r} is not checked on its own: "
            "it is part of a proof; ask for the proof"
        )
    return _roster_checks(history, federation)


def _credential_checks(token: str, options: argparse.Namespace) -> list[Check]:
    if options.roster is None:
        raise _UnreadableError("a credential is checked by the federation's rosters: give them with --roster FILE")
    given = documents.read(_read(options.roster))
    rosters = (given,) if isinstance(given, Signed) else given
    if not isinstance(rosters, tuple):
        raise _UnreadableError(f"{options.roster} holds no rosters")
    status = _read(options.status).strip() if options.status is not None else None
    return verify_credential(token, rosters, options.federation, time.time_ns() // 1_000_000, status)


def _roster_checks(history: Sequence[Signed], federation: bytes | None) -> list[Check]:
    def own() -> str:
        newest = documents.decode_roster(history[-1].payload)
        count = approvals(newest, history[-1])
        if count < newest.threshold:
            raise _UnmetError(f"{count} of {newest.threshold} root keys of version {newest.version} signed it")
        return f"{count} signatures, {newest.threshold} needed"

    def chain() -> str:
        newest = accept_chain(history, federation)
        known = "as given" if federation else "compare it with the id you know"
        return f"version {newest.version}, federation {newest.federation.hex()} ({known})"

    checks = [_check("threshold", "其自身的根密钥达到签署门限", "its own root keys signed it, as many as needed", own)]
    if documents.decode_roster(history[0].payload).version > 1:
        missing = "version 1 and those after it are needed too: put all of them, in order, in one JSON list"
        return [*checks, _failed("roster", "成员名册自第一版起逐版可信", "it follows from version 1", missing)]
    return [*checks, _check("roster", "成员名册自第一版起逐版可信", "it follows from version 1", chain)]


def _card(signed: Signed) -> str:
    region = read_card(signed)
    return f"{region.code} {region.name_zh} {region.name_en}; whether it speaks for the region, ask the region"


class _UnmetError(ProtocolError):
    """A check that fails here."""


def _check(code: str, zh: str, en: str, test: Callable[[], str]) -> Check:
    try:
        return Check(code=code, zh=zh, en=en, ok=True, detail=test())
    except ProtocolError as e:
        return _failed(code, zh, en, str(e))


def _failed(code: str, zh: str, en: str, detail: str) -> Check:
    return Check(code=code, zh=zh, en=en, ok=False, detail=detail)


def _report(document: Document | str, checks: Sequence[Check]) -> Iterator[str]:
    zh, en = NAMES[_type(document)]
    yield f"{zh} {en}"
    for check in checks:
        yield f"  {'✓ 成立 holds ' if check.ok else '✗ 不成立 FAILS'}  {check.zh} · {check.en}"
        if check.detail:
            yield f"        {check.detail}"
    yield from _words(document, checks)
    if holds(checks):
        yield f"全部 {len(checks)} 项成立。 All {len(checks)} checks hold."
    else:
        failed = sum(not check.ok for check in checks)
        yield f"{len(checks)} 项中有 {failed} 项不成立：不可采信。"
        yield f"{failed} of {len(checks)} checks fail: do not rely on it."


def _words(document: Document | str, checks: Sequence[Check]) -> tuple[str, ...]:
    """What the document says when it holds; transfers and rosters say it in their checks."""
    if isinstance(document, str):
        if any(check.code == "status" for check in checks):
            return ()
        return (
            "是否已被撤销未作核验：用 --status 给出签发地区的撤销名单。",
            "Whether it was revoked was not checked: give its issuer's status list with --status.",
        )
    if not isinstance(document, ForkEvidence | ReceiptEvidence | RepairProof):
        return ()
    return contradictions.in_words(document, checks) or ()


def _as_json(document: Document | str, checks: Sequence[Check]) -> dict[str, object]:
    return {
        "type": _type(document),
        "holds": holds(checks),
        **dict(zip(("zh", "en"), _words(document, checks), strict=False)),
        "checks": [{"code": c.code, "zh": c.zh, "en": c.en, "ok": c.ok, "detail": c.detail} for c in checks],
    }


def _type(document: Document | str) -> str:
    if isinstance(document, str):
        return credential.TYPE
    if isinstance(document, Signed):
        return document.payload_type
    return documents.ROSTER if isinstance(document, tuple) else bundles.type_of(document)


# -- inspect ----------------------------------------------------------------------------------------------------------


def _inside(document: Document | str) -> Iterator[str]:
    zh, en = NAMES.get(_type(document), ("文件", _type(document)))
    yield f"{zh} {en}（未经核验 unchecked）"
    if isinstance(document, str):
        yield from json.dumps(credential.claims(document), ensure_ascii=False, indent=2).splitlines()
    elif isinstance(document, TransferProof):
        yield from _inside_frame("转移 offer", document.offer)
        yield from _inside_frame("答复 answer", document.answer)
        yield f"附名册 rosters: {len(document.rosters)}"
    elif isinstance(document, ForkEvidence):
        yield from _inside_signed("日志头一 head one", document.one)
        yield from _inside_signed("日志头二 head two", document.other)
        yield f"长度 size: {document.size}   根 root: {document.root.hex()}"
        yield f"附名册 rosters: {len(document.rosters)}"
    elif isinstance(document, ReceiptEvidence):
        yield from _inside_signed("收据 receipt", document.receipt)
        yield from _inside_signed("日志头 head", document.head)
        yield f"根 root: {document.root.hex()}"
        yield f"附名册 rosters: {len(document.rosters)}"
    elif isinstance(document, RepairProof):
        yield from _inside_signed("修复 repair", document.repair)
        yield f"所附证据 evidence: {len(document.evidence)} 字节 bytes   附名册 rosters: {len(document.rosters)}"
    elif isinstance(document, Signed):
        yield from _inside_signed("内容 content", document)
    else:
        for signed in document:
            yield from _inside_signed("一版 one version", signed)


def _inside_frame(name: str, proof: FrameProof) -> Iterator[str]:
    frame = codec.decode_frame(proof.frame)
    kind = Kind(frame.kind).name if frame.kind in set(Kind) else str(frame.kind)
    yield f"{name}: 第 number {proof.number} 条, {kind}, 编号 id {frame.id.hex()}, 已见 seen {frame.seen}"
    if frame.amount or frame.arriving:
        yield f"    转出 leaves {frame.amount} {frame.category}   转入 arrives {frame.arriving} {frame.becomes}"
    try:
        yield from list(_inside_body(frame.kind, proof.body))
    except ProtocolError as e:  # such an offer is refused by name, and the refusal can be proved
        yield f"    正文不合规则 the body breaks a rule: {e}"
    yield from _inside_signed("    日志头 head", proof.head)
    yield from _inside_signed("    收据 receipt", proof.receipt)


def _inside_body(kind: int, body: bytes) -> Iterator[str]:
    if not body:
        yield "    正文未附或已删除 body withheld or erased"
    elif kind == Kind.OFFER:
        yield from _inside_offer(codec.decode_offer(body))
    elif kind == Kind.REFUSE:
        yield f"    理由 reason: {codec.reason_name(codec.decode_refuse(body))}"
    else:
        yield f"    正文 body: {len(body) - limits.SALT_BYTES} 字节 bytes"


def _inside_offer(offer: Offer) -> Iterator[str]:
    purpose = Purpose(offer.purpose).name if offer.purpose in set(Purpose) else str(offer.purpose)
    yield f"    目的 purpose {purpose}, 兑换率 rate {offer.rate_p}/{offer.rate_q}, 协议版本 terms {offer.terms_version}"
    for part in offer.slices:
        origins = ", ".join(
            f"{p.issuer} {p.granted} {Evidence(p.evidence).name if p.evidence in set(Evidence) else p.evidence}"
            for p in part.provenance
        )
        yield f"    {part.blocks} 份 blocks, 到期 expires {part.expires or '-'}, 来源 from {origins}"


def _inside_signed(name: str, signed: Signed) -> Iterator[str]:
    yield f"{name}: {signed.payload_type}, 签名密钥 keys {', '.join(s.key_id.hex() for s in signed.signatures)}"
    if signed.payload_type == documents.ROSTER:
        yield from _inside_roster(documents.decode_roster(signed.payload))
    elif signed.payload_type == documents.CARD:
        yield from _inside_region(documents.decode_region(signed.payload))
    else:
        value = codec.decode_payload(signed.payload_type, signed.payload)
        for field in value.__dataclass_fields__:
            found = getattr(value, field)
            if field == "log":
                yield f"        日志 log: {found.source} -> {found.destination}, 环境 environment {found.environment}"
                yield f"        联邦 federation {found.federation.hex()}"
            else:
                yield f"        {field}: {_shown(field, found)}"


def _inside_roster(roster: Roster) -> Iterator[str]:
    yield f"    第 {roster.version} 版 version {roster.version}, {roster.name_zh} {roster.name_en}"
    yield f"    联邦 federation {roster.federation.hex()}, 环境 environment {roster.environment}"
    yield f"    签发 issued {_time(roster.issued_at_ms)}"
    yield f"    根密钥 root keys {len(roster.root_keys)}, 门限 threshold {roster.threshold}"
    for key in roster.root_keys:
        yield f"        {_inside_key(key)}"
    for region in roster.regions:
        yield from _inside_region(region)


def _inside_region(region: Region) -> Iterator[str]:
    endpoint = region.endpoint or "只向外拨 dials out only"
    yield f"    {region.code} {region.name_zh} {region.name_en}, {region.status.name}, {endpoint}"
    for key in region.keys:
        yield f"        密钥 key {_inside_key(key)}"
    carriers = ", ".join(map(str, region.carriers)) or "-"
    yield f"        证书 certificates {len(region.certificates)}, 承运 carriers {carriers}"


def _inside_key(key: Key) -> str:
    window = f"{_time(key.not_before_ms)} .. {_time(key.not_after_ms)}"
    revoked = f", 已吊销 revoked {_time(key.revoked_at_ms)}" if key.revoked_at_ms else ""
    return f"{key.verify_key.id.hex()} {key.suite} {window}{revoked}"


def _shown(field: str, value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return _time(value) if field.endswith("_at_ms") and isinstance(value, int) else str(value)


def _time(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, CHINA).isoformat(timespec="seconds") if ms else "-"
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


if __name__ == "__main__":
    sys.exit(main())
