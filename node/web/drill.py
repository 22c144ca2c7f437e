"""What a drill asks of the running node: what a peer holds of this region's log. Nothing changes, here or there."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated

from aiohttp import web
from msgspec import Meta

from node.web.answers import Answer
from node.web.problems import Wrong
from node.web.requests import Region, Request
from node.web.routes import Call, Route, respond

_Size = Annotated[int, Meta(ge=0, le=(1 << 62))]


class PullOrder(Request, frozen=True):
    """Without `first`: how much the peer holds. With it: a page from message `first` of this region's log on.

    `holds`: so many messages of the peer's log are there already.
    """

    peer: Region
    first: _Size | None = None
    holds: _Size = 0


class Pulled(Answer, frozen=True):
    """`size` and `root` (hexadecimal): what the peer says it holds. `page`: a Message of the wire, base64."""

    peer: int
    size: int | None = None
    root: str | None = None
    page: str | None = None


async def pull(call: Call) -> web.Response:
    """See :class:`PullOrder`."""
    wanted: PullOrder = call.body
    node = call.desk.node
    found = node.office.roster.find(wanted.peer)
    if found is None or wanted.peer == node.office.me:
        raise Wrong("region_unknown", f"no other region {wanted.peer} in the roster")
    if wanted.first is None:
        standing = await node.standing(wanted.peer)
        if standing is None:
            raise Wrong("peer_silent", f"region {wanted.peer} does not answer")
        return respond(Pulled(wanted.peer, size=standing.holds_size, root=standing.holds_root.hex()))
    page = await node.give_back(wanted.peer, wanted.first, wanted.holds)
    if page is None:
        raise Wrong("peer_silent", f"region {wanted.peer} gives nothing back now")
    return respond(Pulled(wanted.peer, page=b64encode(page).decode("ascii")))


ROUTES = (
    Route(
        method="POST", path="/v1/recovery/pull", name="pull_back", handler=pull, scope="recovery", body=PullOrder,
        answer=Pulled,
        summary="演练：某地区持有本地区多少报文，并逐页取回",
        summary_en="For a drill: what a region holds of this one's messages, a page at a time",
    ),
)  # fmt: skip
