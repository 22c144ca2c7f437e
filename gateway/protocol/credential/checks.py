"""Whether a credential holds: checked offline by the federation's rosters, a clock and, where given, a status list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.protocol.checks import Check, Trust, named_region, require
from gateway.protocol.credential import document as credential
from gateway.protocol.errors import Malformed, ProtocolError, Unauthentic
from gateway.protocol.members import Region
from gateway.protocol.values import Signed

_NAMES = {
    "form": ("符合可验证凭证数据模型 2.0", "it has the form of a Verifiable Credential (2.0)"),
    "issuer": ("签发方是名册所列地区", "its issuer is a region that the roster lists"),
    "signature": ("由该地区的密钥签署", "a key of that region signed it"),
    "dates": ("在有效期内", "it is within its dates"),
    "status": ("未被撤销", "it is not revoked"),
}


def verify_credential(
    token: str, rosters: Sequence[Signed], federation: bytes | None, now_ms: int, status_list: str | None = None
) -> list[Check]:
    """Each thing that must hold. `rosters`: every version from 1 on; `now_ms`: the reader's clock.

    `status_list` is the region's list of what it revoked, as it publishes it; without one that check is left out, and
    the reader does not know whether the credential still stands.
    """
    trust = Trust(rosters, federation)
    one = _Credential(token, trust, now_ms, credential.ATTESTATION)
    checks = [trust.check(), *one.checks()]
    if status_list is not None:
        checks.append(_check("status", lambda: _unrevoked(one, _Credential(
            status_list, trust, now_ms, credential.STATUS_LIST
        ))))  # fmt: skip
    return checks


class _Credential:
    """A credential under examination."""

    def __init__(self, token: str, trust: Trust, now_ms: int, kind: str) -> None:
        self._token, self._trust, self._now_ms, self._kind = token, trust, now_ms, kind

    def said(self) -> dict[str, Any]:
        """What it says. Raises Malformed."""
        return credential.claims(self._token)

    def checks(self) -> list[Check]:
        """Form, issuer, signature and dates."""
        tests = {"form": self.form, "issuer": self.issuer, "signature": self.signature, "dates": self.dates}
        return [_check(code, test) for code, test in tests.items()]

    def form(self) -> str:
        said = self.said()
        context, kinds = said.get("@context"), said.get("type")
        require(isinstance(context, list) and context[:1] == [credential.CONTEXT], "its first context is another")
        require(
            isinstance(kinds, list)
            and {"VerifiableCredential", self._kind} <= {k for k in kinds if isinstance(k, str)},
            f"it is no {self._kind}",
        )
        require(isinstance(said.get("credentialSubject"), dict), "it says nothing about anybody")
        return ""

    def region(self) -> Region:
        """Who it says issued it. Raises Unauthentic or Malformed."""
        issuer, roster = self.said().get("issuer"), self._trust.roster()
        require(isinstance(issuer, dict), "its issuer is not described")
        assert isinstance(issuer, dict)
        named = (issuer.get("federation"), issuer.get("environment"))
        require(named == (roster.federation.hex(), roster.environment), "it is of another federation or environment")
        code = issuer.get("region")
        require(isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 6, "it names no region")
        return roster.region(int(str(code)))

    def issuer(self) -> str:
        return named_region(self.region())

    def signature(self) -> str:
        region = self.region()
        made = credential.signed_by(self._token, region.all_keys())
        (key,) = [key for key in region.keys if key.verify_key == made]
        if key.revoked_at_ms:
            raise Unauthentic(f"the key of region {region.code} that signed it is revoked: ask for a new one")
        from_ms = credential.instant(self.said().get("validFrom"))
        # The second is cut off: a key may have come into use within it.
        if not key.valid_at(from_ms) and not key.valid_at(from_ms + 999):
            raise Unauthentic("the key that signed it was not in use then")
        return f"key {made.id.hex()}"

    def dates(self) -> str:
        said = self.said()
        begins = credential.instant(said.get("validFrom"))
        if self._now_ms < begins:
            raise Malformed(f"it holds from {said['validFrom']} on: check this machine's clock")
        ends = said.get("validUntil")
        if ends is not None and self._now_ms >= credential.instant(ends):
            raise Malformed(f"it held until {ends}: ask for a new one")
        return f"{said['validFrom']} .. {ends or ''}".rstrip()


def _unrevoked(one: _Credential, listing: _Credential) -> str:
    failed = [check for check in listing.checks() if not check.ok]
    if failed:
        raise Malformed(f"the status list itself: {failed[0].en}: {failed[0].detail}")
    entry = one.said().get("credentialStatus")
    require(isinstance(entry, dict), "it names no place in a status list")
    assert isinstance(entry, dict)
    place = entry.get("statusListIndex")
    require(
        listing.region() is one.region() and entry.get("statusListCredential") == listing.said().get("id"),
        "the status list given is another than the one it names",
    )
    require(isinstance(place, str) and place.isascii() and place.isdigit() and len(place) <= 6, "no place in a list")
    at = int(str(place))
    require(at < credential.PLACES, f"a status list has {credential.PLACES} places")
    bits = credential.revoked_places(listing.said())
    if bits[at // 8] & 0x80 >> at % 8:
        raise Unauthentic("its issuer has revoked it")
    return f"as listed at {listing.said()['validFrom']}"


def _check(code: str, test: Callable[[], str]) -> Check:
    zh, en = _NAMES[code]
    try:
        ok, detail = True, test()
    except ProtocolError as e:
        ok, detail = False, str(e)
    return Check(code=code, zh=zh, en=en, ok=ok, detail=detail)
