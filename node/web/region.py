"""The region itself: where it stands, with whom, under which roster."""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import Connection

from gateway.protocol import members
from node.services.forks import evidence
from node.store import events
from node.store import positions as query
from node.web import region_answers as answers
from node.web.ports import PeerStatus
from node.web.problems import Wrong
from node.web.routes import Call, Route, respond
from node.web.words import CONDITIONS, STATES, time_or_none

_NO_CHANNEL = query.ChannelState(0, 0, 0, 0, 0, 0, None, None)


async def positions(call: Call) -> web.Response:
    """Per peer and category."""
    rows = await call.desk.read(query.positions)
    found = [answers.Position(*row, net=row.sent - row.received) for row in rows]
    return respond(answers.Positions(call.desk.node.office.me, found))


async def counts(call: Call) -> web.Response:
    """Everything added up, over one committed state."""
    me = call.desk.node.office.me

    def read(conn: Connection) -> answers.Counts:
        facing = query.positions(conn)
        return answers.Counts(
            region=me,
            accounts=query.accounts(conn),
            books=[_books(row, facing) for row in query.books(conn)],
            transfers=[
                answers.TransferCount(
                    direction="outgoing" if row.outgoing else "incoming",
                    peer=row.peer,
                    state=STATES[row.state],
                    count=row.transfers,
                    leaving=row.leaving,
                    arriving=row.arriving,
                )
                for row in query.counts(conn, me)
            ],
            last_event=events.last(conn),
        )

    return respond(await call.desk.read(read))


def _books(row: query.Books, facing: list[query.Position]) -> answers.Books:
    own = [position for position in facing if position.category == row.category]
    return answers.Books(
        category=row.category,
        issued=row.issued,
        advanced=row.advanced,
        redeemed=row.redeemed,
        expired=row.expired,
        clawed_back=row.clawed_back,
        sent=sum(position.sent for position in own),
        received=sum(position.received for position in own),
        available=row.available,
        held=row.held,
        provisional=row.provisional,
        lots=row.lots,
    )


async def peers(call: Call) -> web.Response:
    """All other regions of the roster."""
    node = call.desk.node
    channels, digests = await call.desk.read(_channels)
    status = node.courier_status()
    return respond(
        answers.Peers(
            [
                _peer(
                    region,
                    channels.get(region.code, _NO_CHANNEL),
                    status.get(region.code, PeerStatus()),
                    digests.get(region.code, []),
                )
                for region in node.office.roster.regions
                if region.code != node.office.me
            ],
            node.office.doubled,
            node.seals,
            node.sealer,
        )
    )


async def peer(call: Call) -> web.Response:
    """One of them."""
    region = _other(call)
    channels, digests = await call.desk.read(_channels)
    status = call.desk.node.courier_status().get(region.code, PeerStatus())
    channel = channels.get(region.code, _NO_CHANNEL)
    return respond(_peer(region, channel, status, digests.get(region.code, [])))


def _channels(conn: Connection) -> tuple[dict[int, query.ChannelState], dict[int, list[str]]]:
    return {channel.peer: channel for channel in query.channels(conn)}, evidence.digests(conn)


def _other(call: Call) -> members.Region:
    office = call.desk.node.office
    region = office.roster.find(call.path["code"])
    if region is None or region.code == office.me:
        raise Wrong("region_unknown", f"no other region {call.path['code']} in the roster")
    return region


def _peer(region: members.Region, channel: query.ChannelState, status: PeerStatus, digests: list[str]) -> answers.Peer:
    return answers.Peer(
        code=region.code,
        name_zh=region.name_zh,
        name_en=region.name_en,
        status=region.status.name.lower(),
        endpoint=region.endpoint,
        channel=CONDITIONS.get(channel.condition, "unused"),
        sent=channel.sent,
        receipted=channel.receipted,
        held=channel.held,
        backlog=channel.backlog,
        outbox=channel.outbox,
        oldest_unreceipted=time_or_none(channel.oldest_ms),
        last_receipt=time_or_none(channel.receipt_ms),
        connected=status.connected,
        connected_since=time_or_none(status.since_ms),
        dialling=status.dialling,
        failures=status.failures,
        next_dial=time_or_none(status.next_dial_ms),
        last_contact=time_or_none(status.last_contact_ms),
        last_error=status.last_error,
        evidence=digests,
        throttled=_throttled(status),
        over=dict(status.over),
    )


def _throttled(status: PeerStatus) -> answers.Throttled | None:
    since = time_or_none(status.throttled_since_ms)
    return answers.Throttled(since, list(status.throttled_for)) if since is not None else None


async def retry(call: Call) -> web.Response:
    """Dial a peer now."""
    region = _other(call)
    await call.desk.node.retry(region.code)
    return respond(answers.Dialled(region.code), 202)


async def standing(call: Call) -> web.Response:
    """Ask a peer how it sees this region."""
    region = _other(call)
    said = await call.desk.node.standing(region.code)
    if said is None:
        raise Wrong("peer_silent", f"region {region.code} does not answer")
    return respond(
        answers.Standing(
            peer=region.code,
            ready=said.ready,
            holds=said.holds_size,
            backlog=said.backlog,
            back_off_ms=said.back_off_ms,
            verified=said.last_verified_size,
            status=said.status,
            channel=said.channel,
        )
    )


async def roster(call: Call) -> web.Response:
    """The roster in force, without its keys."""
    office = call.desk.node.office
    current = office.roster
    return respond(
        answers.Roster(
            region=office.me,
            version=current.version,
            federation=current.federation.hex(),
            name_zh=current.name_zh,
            name_en=current.name_en,
            environment=current.environment,
            issued=time_or_none(current.issued_at_ms),
            regions=[
                answers.Member(
                    code=region.code,
                    name_zh=region.name_zh,
                    name_en=region.name_en,
                    status=region.status.name.lower(),
                    endpoint=region.endpoint,
                    roles=list(region.roles),
                )
                for region in current.regions
            ],
        )
    )


ROUTES = (
    Route(
        method="GET", path="/v1/positions", name="positions", handler=positions, answer=answers.Positions,
        summary="与各地区的头寸", summary_en="Positions with each peer",
    ),
    Route(
        method="GET", path="/v1/counts", name="counts", handler=counts, answer=answers.Counts,
        summary="总账与计数", summary_en="Totals of the books and counts of transfers",
    ),
    Route(
        method="GET", path="/v1/peers", name="list_peers", handler=peers, answer=answers.Peers,
        summary="各地区的通道与积压", summary_en="Channels and backlogs with other regions",
    ),
    Route(
        method="GET", path="/v1/peers/{code}", name="show_peer", handler=peer, answer=answers.Peer,
        summary="一个地区的通道与积压", summary_en="Channel and backlog with one region",
    ),
    Route(
        method="POST", path="/v1/peers/{code}/retry", name="retry_peer", handler=retry, scope="operate", status=202,
        answer=answers.Dialled,
        summary="立即重新连接", summary_en="Dial a region now",
    ),
    Route(
        method="POST", path="/v1/peers/{code}/standing", name="ask_standing", handler=standing, scope="operate",
        answer=answers.Standing,
        summary="对方如何看待本地区", summary_en="Ask a region how it sees this one",
    ),
    Route(
        method="GET", path="/v1/roster", name="roster", handler=roster, answer=answers.Roster,
        summary="名册摘要", summary_en="The roster in force",
    ),
)  # fmt: skip
