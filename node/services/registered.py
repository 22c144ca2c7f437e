"""Every module that registers commands for the writer, or topics of other regions: imported, they have."""

from __future__ import annotations

from node.services import (
    account,
    address,
    award,
    consent,
    expiry,
    handshake,
    identify,
    offer,
    penalty,
    receive,
    resolution,
    reversal,
    spend,
    transfer,
    void,
    withdrawal,
)
from node.services.agreement import quoting
from node.services.agreement import signing as agreement
from node.services.attestation import attesting as attestation
from node.services.attestation import credential, fact, share
from node.services.attestation import ends as attestation_end
from node.services.clawback import orders as clawing
from node.services.dispute import steps as dispute
from node.services.forks import repair
from node.services.recovery import history
from node.services.roaming import again as roaming_again
from node.services.roaming import ends as roaming_ends
from node.services.roaming import home as roaming

MODULES = (
    account, address, agreement, attestation, attestation_end, award, clawing, consent, credential, dispute, expiry,
    fact, handshake, history, identify, offer, penalty, quoting, receive, repair, resolution, reversal, roaming,
    roaming_again, roaming_ends, share, spend, transfer, void, withdrawal,
)  # fmt: skip
