"""The words of the protocol that are numbers on the wire, as the .proto files name them."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What a frame asks or answers (frame.proto)."""

    OFFER = 1
    ACCEPT = 2
    REFUSE = 3
    CANCEL = 4
    REVERSE_REQUEST = 5
    CUT_OFF = 6
    PROPOSE = 7
    COUNTERSIGN = 8
    NOTICE = 9
    ATTEST_REQUEST = 10
    ATTEST = 11
    ATTEST_REVOKE = 12
    AUTHORISE = 13
    CAPTURE = 14
    RELEASE = 15
    AUTHORISATION_ASK = 16
    CLAWBACK = 17
    CLAWED_BACK = 18
    DISPUTE = 19
    DISPUTE_STEP = 20


class Purpose(IntEnum):
    """Why points move."""

    RELOCATION = 1
    GUEST_AWARD = 2
    ACTIVITY = 3
    DONATION = 4
    REVERSAL = 5
    PERSON_TO_PERSON = 6


class Evidence(IntEnum):
    """How the service behind the points was recorded; ordered from weak to strong."""

    BACKFILLED = 1
    SIGNED_IN = 2


class Reason(IntEnum):
    """Why something was refused. Where several apply the lowest is given: the precedence is the numbering."""

    UNKNOWN_KIND = 1
    MALFORMED_BODY = 2
    CONFLICT_DIFFERENT_CONTENT = 3
    CONFLICT_DIFFERENT_AMOUNT = 4
    AMOUNT_OUT_OF_RANGE = 5
    REGION_UNKNOWN = 20
    REGION_NOT_ACTIVE = 21
    CATEGORY_NOT_MAPPED = 22
    TERMS_DIFFER = 23
    PURPOSE_NOT_ALLOWED = 24
    REGION_RECOVERING = 25
    REGION_MOVED = 26
    AGREEMENT_NOT_IN_FORCE = 27
    AGREEMENT_SUSPENDED = 28
    DIRECTION_NOT_ALLOWED = 29
    FEATURE_OFF = 30
    PERSON_TO_PERSON_NOT_ALLOWED = 31
    BELOW_SMALLEST_AMOUNT = 32
    TRANSFER_CAP_EXCEEDED = 33
    RESIDENT_CAP_REACHED = 34
    PAIR_CAP_REACHED = 35
    NET_DEBIT_CAP_REACHED = 36
    COOLING_OFF = 37
    TOO_FREQUENT = 38
    ADDRESS_UNKNOWN = 40
    ACCOUNT_UNKNOWN = 41
    ACCOUNT_CLOSED = 42
    ACCOUNT_FROZEN = 43
    CATEGORY_UNKNOWN = 44
    ACCOUNT_NOT_EMPTY = 45
    CODE_NOT_VALID = 46
    INSUFFICIENT_POINTS = 60
    POINTS_EXPIRED = 61
    EVIDENCE_TOO_LOW = 62
    ALREADY_SPENT = 63
    TOO_MANY_LOTS = 64
    ABOVE_AUTHORISED = 65
    AUTHORISATION_ENDED = 66
    TRANSFER_UNKNOWN = 80
    WRONG_STATE = 81
    CANCELLED = 82
    REVIEW_REFUSED = 83
    TOO_LATE = 84
    CONSENT_MISSING = 85
    CONSENT_NOT_VALID = 86
    DELAYED = 87
    DISPUTED = 88
    DOCUMENT_INVALID = 89
    PREDECESSOR_UNKNOWN = 90
    AGREEMENT_OVERLAPS = 91
    PROFITABLE_CYCLE = 92
    DECLINED = 93
    NOT_ATTESTED = 94


class Status(IntEnum):
    """A region's standing in the roster."""

    ACTIVE = 1
    SUSPENDED = 2
    WINDING_DOWN = 3
    WITHDRAWN = 4
