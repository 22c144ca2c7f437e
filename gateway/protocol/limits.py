"""Every bound of the protocol, named with its unit. Regions must agree where one judges the other."""

from __future__ import annotations

# One envelope and what is in it.
FRAMES_PER_ENVELOPE = 1024
ENVELOPE_BYTES = 1 << 20
BODY_BYTES = 4 << 10
FRAME_BYTES = 512
REDO_BYTES = 1024
AGREEMENT_BYTES = 2800
FACTS_PER_ATTESTATION = 16
FACT_WORDS_BYTES = 96
FACT_REFERENCE_BYTES = 48
SLICES_PER_OFFER = 64
PROVENANCES_PER_SLICE = 16
SALT_BYTES = 16
DISPUTE_STEPS = 64

# Values.
AMOUNT_MAX = (1 << 63) - 1
RATE_MAX = 1_000_000
CATEGORY_CHARACTERS = 32
# Numbers of purposes, kinds of evidence and reasons, known and unknown.
ENUM_MAX = 32_767
# Numbers of epochs: above every clock, and one more still fits 63 bits.
EPOCH_MAX = 1 << 62

# The stream between two regions.
ENVELOPES_IN_FLIGHT = 4
# Twice what may be under way to an honest peer; and, while it is throttled, one envelope: never less, since a run of
# frames sealed together is not split.
CREDIT_FRAMES = 2 * ENVELOPES_IN_FLIGHT * FRAMES_PER_ENVELOPE
CREDIT_FRAMES_THROTTLED = FRAMES_PER_ENVELOPE
MESSAGE_BYTES = ENVELOPE_BYTES + (64 << 10)
CLOCK_SKEW_MS = 10 * 60 * 1000

# A Fenced or Standing that does not come is asked for again after this long.
HANDSHAKE_RETRY_S = 2.0
# An envelope whose receipt does not come is sent again after this long.
RECEIPT_WAIT_S = 10.0
# A stream on which nothing is said ends, before Hello; so does one whose reader does not read.
HELLO_WAIT_S = 10.0
WRITE_WAIT_S = 60.0

# What one peer may cost: so much at once, and so much a second for ever. Beyond that it is read from no further until
# it has waited, or turned away. An honest peer stays far below; a bad one costs a few percent of a processor.
STREAMS_PER_REGION = 4
STREAMS_BURST = 32
STREAMS_PER_S = 0.5
HANDSHAKES_BURST = 128
HANDSHAKES_PER_S = 8.0
REPEATS_BURST = 64
REPEATS_PER_S = 2.0
MALFORMED_BURST = 16
MALFORMED_PER_S = 0.5
REFUSED_BURST = 4096
REFUSED_PER_S = 100.0
PAGES_BURST = 128
PAGES_PER_S = 32.0
ROSTER_REQUESTS_BURST = 128
ROSTER_REQUESTS_PER_S = 0.25

# Back-off per peer, across calls: doubling from the first to the last, times a jitter, cleared by the peer's own
# authenticated contact at most once in BACK_OFF_RESET_S.
BACK_OFF_FIRST_S = 1.0
BACK_OFF_LAST_S = 15 * 60.0
BACK_OFF_JITTER = (0.8, 1.4)
BACK_OFF_RESET_S = 60.0

# Rosters.
REGIONS_PER_ROSTER = 4096
ROOT_KEYS = 32
ROSTERS_PER_PAGE = 16
ROSTER_BYTES = 4 << 20
