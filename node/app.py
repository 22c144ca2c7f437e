"""Where a region's process is put together: the only place that knows all the parts. Nothing happens on import."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import web

from gateway.protocol.channel import Channel
from gateway.protocol.values import Standing
from gateway.transport import links, messages
from gateway.transport.courier import Courier
from gateway.transport.tls import MaterialFiles
from node import config as configuration
from node.config import Config
from node.errors import NotSealer
from node.region import LocalRegion
from node.seat import ASLEEP_S
from node.services import founding
from node.services.agreement import public as public_agreements
from node.services.clawback.orders import GoOn
from node.services.dispute.ends import SweepDisputes
from node.services.exchange import Exchange
from node.services.expiry import Sweep
from node.services.keys import doubled
from node.services.keys import turn as key_turn
from node.services.keys.revocation import JudgeKeys
from node.services.office import Office
from node.services.roaming.ends import SweepAuthorisations
from node.services.several import Several
from node.services.writer import Writer, WriterThread
from node.store import clawbacks, processes
from node.store.engine import open_store
from node.store.history import History
from node.store.migrate import migrate
from node.turn import Turn
from node.web.ports import Check, PeerStatus
from node.web.server import application
from node.witness import WitnessFile

SWEEP_EVERY_S = 600.0
"""How often expired lots are looked for."""
RELEASE_EVERY_S = 30.0
"""How often purchases of visitors are looked for that nobody captured in time."""
CARRY_ON_EVERY_S = 2.0
"""How often clawbacks are looked for that wait for a transfer to be decided."""
CERTIFICATE_WARNING_DAYS = 30

log = structlog.get_logger(__name__)


class Node:
    """One region's process: ledger, writer, courier and HTTP API."""

    def __init__(self, config: Config) -> None:
        """Opens the database, upgrades it where needed and loads keys, terms and roster.

        Raises BadInput where a file or the database cannot be used, Unavailable where the database cannot be reached.
        """
        self.config = config
        self.started_ms = _now_ms()
        secrets = configuration.load_secrets(config)
        terms = configuration.load_terms(config.terms)
        self.store = open_store(config.database, asleep_s=ASLEEP_S if config.process else 0)
        migrate(self.store)
        with self.store.write() as conn:
            founding.check_region(conn, config.region)
            roster = founding.trust(conn, ())
            if not config.process:
                processes.forget(conn)
        self.office = Office(
            me=config.region,
            signing_key=secrets.signing_key,
            id_secret=secrets.id_secret,
            redo_secret=secrets.redo_secret,
            roster=roster,
            terms=terms,
            clock=_now_ms,
            random=os.urandom,
        )
        public = config.directory / public_agreements.FOLDER
        self.office.agreements.publish(public_agreements.read(public, config.region, roster))
        self.witness = WitnessFile(config.witness)
        several = Several(config.process) if config.process else None
        self.writer = WriterThread(Writer(self.store, self.office, self.witness, several))
        self.exchange = Exchange(self.office, self.store)
        self.writer.writer.on_sealed(self.exchange.sending.sealed)
        self.region = LocalRegion(self.office, self.store, self.writer, self.exchange)
        self.material = MaterialFiles(config.tls_key, config.tls_certificate)
        self.courier = Courier(self.region, self.material, config.grpc_listen)
        self._listeners: list[Callable[[frozenset[int]], None]] = []
        self._turn: Turn | None = None
        if config.process:
            self._turn = Turn(
                config.database, config.process, self.store, self.writer,
                begin=self._talk, end=self._talk_no_more, heard=self._heard,
            )  # fmt: skip
        self._runner: web.AppRunner | None = None
        self._sweepers: list[asyncio.Task[None]] = []
        self.http_port = 0

    async def start(self) -> None:
        """Listen for the regional system and, unless another process does, for peers, and greet every peer."""
        # What is loaded by now stays; what a batch makes dies with it and needs no collector. A short switch interval
        # lets the event loop answer while the writer is busy.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        sys.setswitchinterval(0.001)
        self.hold_keys(starting=True)
        if self._turn is None:
            await self._talk()
        self._runner = web.AppRunner(application(self), access_log=None, shutdown_timeout=5.0)
        await self._runner.setup()
        host, _, port = self.config.http_listen.rpartition(":")
        site = web.TCPSite(self._runner, host, int(port))
        await site.start()
        self.http_port = self._runner.addresses[0][1]
        self._sweepers = [asyncio.create_task(sweep()) for sweep in (self._sweep, self._release, self._carry_on)]
        if self._turn is not None:
            await self._turn.start()

    async def _talk(self) -> None:
        """Listen for peers and dial them; what is under way between this region and them begins anew."""
        await self.submit([JudgeKeys()])  # a roster may have come in while the node was down
        self.region.begin_anew()
        self.courier = Courier(self.region, self.material, self.config.grpc_listen)
        await self.courier.start()

    async def _talk_no_more(self) -> None:
        await self.courier.stop()

    def _heard(self) -> None:
        """Another process has committed: whoever waits here looks again. From any thread."""
        for listen in self._listeners:
            listen(frozenset())

    async def stop(self) -> None:
        """Take nothing new, finish the batch in hand, close the database."""
        for sweeper in self._sweepers:
            sweeper.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.courier.stop()
        await asyncio.to_thread(self.writer.stop)
        if self._turn is not None:
            await self._turn.stop()
        self.store.close()
        self.witness.close()

    @property
    def history(self) -> History:
        """Which history the database is part of and whether it is whole, as the last commit left it."""
        here = self.writer.writer.history
        if self._turn is None or self._turn.history.commits <= here.commits:
            return here
        return self._turn.history

    @property
    def seals(self) -> bool:
        """Whether this process numbers messages and talks with peers."""
        return self.writer.writer.seals

    @property
    def sealer(self) -> str:
        """The name of the process that does, of several; empty where there is one only, or none does now."""
        return self.writer.writer.sealer

    @property
    def channels(self) -> Mapping[int, Channel]:
        """Per peer the channel, as the last commit left it."""
        return self.writer.writer.channels

    async def submit(self, commands: Sequence[Any]) -> list[Any]:
        """Commit commands. Returns, for each, its answer or the ProtocolError that refused it. Raises Unavailable."""
        return await asyncio.wrap_future(self.writer.submit(commands))

    def on_commit(self, listen: Callable[[frozenset[int]], None]) -> None:
        """Call `listen` after each commit, from the writer's thread."""
        self.writer.writer.on_commit(listen)
        self._listeners.append(listen)

    async def _sweep(self) -> None:
        while True:
            after = 0
            try:
                while self.seals:
                    (swept,) = await self.submit([Sweep(after=after)])
                    if swept.lots:
                        log.info("expired", lots=swept.lots)
                    after = swept.next
                    if not after:
                        break
                await self.region.end_gone()  # a roster kept while the node was down, or the day of a succession
            except Exception as error:
                log.error("sweep_failed", error=type(error).__name__)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _release(self) -> None:
        while True:
            try:
                if self.seals:
                    (swept,) = await self.submit([SweepAuthorisations()])
                    if swept.released or swept.asked:
                        log.info("authorisations_over", released=swept.released, asked=swept.asked)
                    (asked_back,) = await self.submit([SweepDisputes()])
                    if asked_back:
                        log.info("disputes_asked_back", transfers=asked_back)
            except Exception as error:
                log.error("release_failed", error=type(error).__name__)
            await asyncio.sleep(RELEASE_EVERY_S)

    async def _carry_on(self) -> None:
        while True:
            try:
                if self.seals and await asyncio.to_thread(self._clawbacks_wait):
                    await self.submit([GoOn()])
            except Exception as error:
                log.error("carry_on_failed", error=type(error).__name__)
            await asyncio.sleep(CARRY_ON_EVERY_S)

    def _clawbacks_wait(self) -> bool:
        with self.store.read() as conn:
            return bool(clawbacks.to_pursue(conn, 1))

    def on_batch(self, listen: Callable[[int, float], None]) -> None:
        """Call `listen` after each batch, from the writer's thread, with its number of commands and its seconds."""
        self.writer.on_batch(listen)

    def courier_status(self) -> Mapping[int, PeerStatus]:
        """How the courier stands with each peer."""
        return {code: _status(self.courier.status(code)) for code in self.region.peers()}

    async def retry(self, peer: int) -> None:
        """Dial a peer now, whatever its back-off says."""
        self._check_seals()
        await self.courier.retry_now(peer)

    async def standing(self, peer: int) -> Standing | None:
        """How the peer sees this region, asked now; None when it does not answer."""
        self._check_seals()
        return await self.region.standing(peer)

    def _check_seals(self) -> None:
        if not self.seals:
            where = f"process {self.sealer!r}" if self.sealer else "another process"
            raise NotSealer(f"{where} talks with other regions, and this is {self.config.process!r}: ask that one")

    async def give_back(self, peer: int, first: int, holds: int) -> bytes | None:
        """What the peer holds of this region's log, as it travels, for a drill; None when it does not answer."""
        self._check_seals()
        page = await self.region.give_back(peer, first, holds)
        return messages.encode(page) if page is not None else None

    def readiness(self) -> Sequence[Check]:
        """What only this process knows: its certificate and the age of its roster."""
        days = self.certificate_days()
        roster = self.office.roster
        old_s = (_now_ms() - roster.issued_at_ms) // 1000
        return (
            Check(name="only_instance", ok=not self.office.doubled, detail=doubled.message(self.office.me)),
            *self._shared(),
            Check(name="signing_key", ok=not (wrong := key_turn.what_is_wrong(self.office)), detail=wrong),
            Check(
                name="certificate",
                ok=days >= CERTIFICATE_WARNING_DAYS,
                detail=f"the TLS certificate expires in {days} days: make a new one and send the region's card again",
                vital=days < 0,
            ),
            Check(
                name="roster",
                ok=not roster.grace_s or old_s <= roster.grace_s,
                detail=f"roster version {roster.version} is {old_s // 86_400} days old: ask the keepers for one",
                vital=False,
            ),
        )

    def _shared(self) -> Sequence[Check]:
        if self._turn is None:
            return ()
        who = f"process {self.sealer!r} talks with other regions" if self.sealer else "no process talks with others yet"
        return (Check(name="sealer", ok=self.seals, detail=f"{who}; this one takes commands", vital=False),)

    def hold_keys(self, *, starting: bool = False) -> None:
        """Look at the signing keys on disk, and use the next one if its time has come. Raises BadInput."""
        secrets = configuration.load_secrets(self.config)
        following = (secrets.next_key,) if secrets.next_key is not None else ()
        self.office.keys.hold(self.office, (secrets.signing_key, *following))
        self.office.keys.turn(self.office, starting=starting)

    def certificate_days(self) -> int:
        """Days until the TLS certificate expires."""
        return self.material.current().days_left(datetime.now(UTC))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _status(found: links.Standing) -> PeerStatus:
    return PeerStatus(
        connected=found.connected,
        dialled_by=found.dialled_by,
        since_ms=found.since_ms,
        dialling=found.dialling,
        failures=found.back_off.failures,
        next_dial_ms=found.back_off.next_dial_ms,
        last_contact_ms=found.back_off.last_contact_ms,
        last_error=found.back_off.last_error,
        throttled_since_ms=found.throttled_since_ms,
        throttled_for=found.throttled_for,
        over=found.over,
    )
