"""Every bound of the HTTP API, named with its unit."""

from __future__ import annotations

# One request.
BODY_BYTES = 2 << 20
LINES_PER_CALL = 1_000
LINE_BYTES = 8 << 10
KEY_CHARACTERS = 128
NAME_CHARACTERS = 64
TEXT_CHARACTERS = 64  # as frame.proto allows: what is written here travels
ADDRESS_CHARACTERS = 64
CONSENT_CHARACTERS = 128
PENALTY_CHARACTERS = 256
CATEGORY_CHARACTERS = 32
ADDRESS_DAYS = 3_650

# One answer.
PAGE = 100
PAGE_MAX = 1_000
LOTS_SHOWN = 500
WAIT_S = 60.0

# Under way at once; more is answered 429.
COMMANDS_IN_FLIGHT = 16_384
READS_IN_FLIGHT = 256
WAITS_IN_FLIGHT = 1_024
SLOW_IN_FLIGHT = 2  # roots of identities: 32 MiB and a tenth of a second of a processor each; others wait

READ_THREADS = 4
# A revoked token is refused after this long at the latest.
TOKEN_AGE_S = 0.5
# Between two looks at what waiters wait for; the first after a pause is at once.
LOOK_S = 0.01
# How long the database may take to prove that it is there.
PROBE_S = 2.0

# When to try again.
BUSY_RETRY_S = 1
GONE_RETRY_S = 5
FULL_RETRY_S = 60
