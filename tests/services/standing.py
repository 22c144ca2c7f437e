"""Rosters that change under regions at work, for tests: standings, successions, regions that are gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import insert

from gateway.protocol import codec, documents, merkle, roster
from gateway.protocol.members import Assume, FinalLog, Region, Resolution, Succession
from gateway.protocol.values import Status
from node.services.resolution import Resolved, due
from node.store import schema
from node.store.logs import StoredNodes, number_of
from tests.federation import Pair, TestRegion, signing_key

ROOTS = [signing_key(f"root {i}") for i in range(2)]


def enact(made: Pair, *changed: Region, to: tuple[int, ...] | None = None, **fields: Any) -> None:
    """The keepers' next roster, signed by them, in the hands of these regions; without `to`, of all."""
    newest = max((region.office.roster for region in made.regions.values()), key=lambda r: r.version)
    listed = {region.code: region for region in newest.regions} | {region.code: region for region in changed}
    following = replace(newest, version=newest.version + 1, regions=tuple(listed.values()), **fields)
    signed = roster.sign(following, ROOTS)
    for code, region in made.regions.items():
        if to is None or code in to:
            region.office.roster = roster.accept_next(region.office.roster, signed)
            row = {"version": following.version, "signed": codec.encode_signed(signed)}
            with region.store.write() as conn:
                conn.execute(insert(schema.roster), [row])


def listed(made: Pair, code: int, **changes: Any) -> Region:
    """A region as the newest roster lists it, changed."""
    newest = max((region.office.roster for region in made.regions.values()), key=lambda r: r.version)
    return replace(newest.region(code), **changes)


def set_status(made: Pair, code: int, status: Status, to: tuple[int, ...] | None = None) -> None:
    """The region gets another status."""
    enact(made, listed(made, code, status=status), to=to)


def copies(member: TestRegion, gone: int) -> tuple[FinalLog, FinalLog]:
    """What a member can show of the logs between it and a region: what that one held of its log, and its copy."""
    channel = member.writer.channels[gone]
    with member.store.read() as conn:
        nodes = StoredNodes(conn, number_of(conn, member.code, gone, 1))
        mine = merkle.frontier_at(nodes, channel.final).root()
    return (
        FinalLog(source=member.code, destination=gone, size=channel.final, root=mine),
        FinalLog(source=gone, destination=member.code, size=channel.held, root=channel.in_frontier.root()),
    )


def resolve(made: Pair, gone: int, *logs: FinalLog, to: tuple[int, ...] | None = None) -> None:
    """The keepers withdraw a region and say what its logs were at the end."""
    resolution = Resolution(region=gone, logs=logs)
    enact(made, listed(made, gone, status=Status.WITHDRAWN), resolutions=(resolution,), to=to)


def assumed(member: TestRegion, predecessor: int, date: int, *logs: FinalLog) -> Succession:
    """The succession in which `member` answers for what its predecessor left."""
    known = member.office.roster
    said = Assume(
        federation=known.federation, environment=known.environment, predecessor=predecessor, successor=member.code,
        date=date, logs=logs,
    )  # fmt: skip
    signed = member.office.signing_key.sign(documents.ASSUME, documents.encode_assume(said))
    return Succession(successor=member.code, date=date, assume=signed, assumed=said)


def carry_out(region: TestRegion) -> list[Resolved]:
    """What the region does once a roster that resolves somebody is in force."""
    done: list[Resolved] = []
    for command in due(region.office, region.writer.channels):
        then: Any = command
        while then is not None:
            done.append(region.one(then))
            then = done[-1].then
    return done
