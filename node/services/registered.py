"""Every module that registers commands for the writer, or topics of other regions: imported, they have."""

from __future__ import annotations

from node.services import (
    account,
    address,
    agreement,
    attestation,
    attestation_end,
    award,
    clawing,
    consent,
    credential,
    dispute,
    expiry,
    fact,
    handshake,
    history,
    identify,
    offer,
    penalty,
    quoting,
    receive,
    repair,
    resolution,
    reversal,
    roaming,
    roaming_again,
    roaming_ends,
    share,
    spend,
    transfer,
    void,
    withdrawal,
)

MODULES = (
    account, address, agreement, attestation, attestation_end, award, clawing, consent, credential, dispute, expiry,
    fact, handshake, history, identify, offer, penalty, quoting, receive, repair, resolution, reversal, roaming,
    roaming_again, roaming_ends, share, spend, transfer, void, withdrawal,
)  # fmt: skip
