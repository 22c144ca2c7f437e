"""Under which terms points are redeemed away from home, asked alike at both ends."""

from __future__ import annotations

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Reason
from node.services.office import Office


def agreed(office: Office, holder: int, counter: int, category: str) -> Terms:
    """The terms under which a category of the holder is redeemed at a counter. Raises Refused."""
    terms = office.terms_for(holder, counter, category)
    if terms is None:
        raise Refused(Reason.CATEGORY_NOT_MAPPED, f"no terms turn {category!r} of {holder} into one of {counter}")
    return terms
