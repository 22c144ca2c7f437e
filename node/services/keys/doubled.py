"""Another instance runs as this region: this process stops for good, before two ledgers grow under one name.

Not durable on purpose. Which of the two is the right one only people know; they start it anew, and its start fences
the other one at every peer.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from node.errors import Stopped
from node.services.office import Office
from node.store.batch import Batch

log = structlog.get_logger(__name__)


def message(me: int) -> str:
    """What an operator has to know and do."""
    return f"another instance is running as region {me}: stop one of them, then restart the one that stays"


def refusal(office: Office) -> Stopped:
    """What every command is answered from now on; nothing is decided, so the same command may be given again."""
    return Stopped(message(office.me))


def stop(office: Office, batch: Batch) -> None:
    """Seal nothing more on any channel and take no command. What this batch has decided stays, unnumbered."""
    if not office.doubled:
        log.critical("doubled", region=office.me, what=message(office.me))
    office.doubled = True
    for peer, channel in batch.books.channels.items():
        # None of this is durable, so no row changes.
        batch.books.channels[peer] = replace(channel, ready=False, peer_open=False)
