"""The floor: the traffic of two regions with no business rules, batched as far as it goes.

A batch is 1,024 messages. The source debits accounts, stores the batch and commits; signs one head; sends; keeps at
most three batches without a receipt. The destination verifies the head, recomputes its root, parses every message,
credits, stores, commits, and signs one receipt. Two processes, mTLS gRPC, SQLite with WAL and synchronous=FULL.
"""

import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from hashlib import sha256
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from benchmarks.certs import read_identity, write_identities
from benchmarks.children import ChildError, Result, child, live_at_most, own_cpu_s, say, wait_for_parent
from benchmarks.wire import address, batch_root, filler, message

BATCH = 1024
IN_FLIGHT = 3
ACCOUNTS = 10_000
OPENING = 10**12
PLANS = 64
"""Batches of random payers, payees and amounts drawn beforehand and used in turn."""
WARM_UP_S = 0.5
_OPTIONS = [("grpc.max_receive_message_length", 4 << 20), ("grpc.max_send_message_length", 4 << 20)]
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0));
CREATE TABLE segment (first INTEGER PRIMARY KEY, envelope BLOB NOT NULL);
CREATE TABLE receipt (size INTEGER PRIMARY KEY, receipt BLOB NOT NULL);
"""

Plan = list[tuple[int, int, int]]
"""Payer, payee and amount of each transfer of one batch."""


def run(seconds: float = 5.0, directory: Path | None = None) -> Result:
    """Run both sides for `seconds` after a short warm-up, in a fresh folder under `directory`.

    Raises `ChildError` when a side fails or when, after the last receipt, points are missing or too many.
    """
    with tempfile.TemporaryDirectory(prefix="floor-", dir=directory) as name:
        folder = Path(name)
        write_identities(folder, ("source", "destination"))
        for side in ("source", "destination"):
            (folder / f"{side}.signing").write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
        with child("floor", "destination", folder, seconds) as destination:
            port = destination.hear(30)["port"]
            with child("floor", "source", folder, seconds, port) as source:
                said = source.hear(seconds + 30)
    if not said["conserved"]:
        raise ChildError("the floor lost or made points")
    return Result(transfers=said["transfers"], seconds=said["seconds"], cpu_s=said["cpu_s"])


class Books:
    """One side's database: balances, segments, receipts; one transaction a batch."""

    def __init__(self, path: Path, opening: int) -> None:
        self.database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.database.executescript(_SCHEMA)
        rows = ((account, opening) for account in range(ACCOUNTS))
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany("INSERT INTO account VALUES (?, ?)", rows)
        self.database.execute("COMMIT")

    def commit(
        self, changes: dict[int, int], first: int, envelope: bytes, receipts: Iterable[tuple[int, bytes]]
    ) -> None:
        """Apply netted balance changes, keep the envelope and the receipts; durable on return."""
        netted = sorted((account, change) for account, change in changes.items())
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany("UPDATE account SET balance = balance + ?2 WHERE id = ?1", netted)
        self.database.execute("INSERT INTO segment VALUES (?, ?)", (first, envelope))
        self.database.executemany("INSERT INTO receipt VALUES (?, ?)", receipts)
        self.database.execute("COMMIT")

    def total(self) -> int:
        """Sum of all balances."""
        (total,) = self.database.execute("SELECT sum(balance) FROM account").fetchone()
        return int(total)


def signing_key(folder: Path, side: str) -> Ed25519PrivateKey:
    """The message signing key of a side."""
    return Ed25519PrivateKey.from_private_bytes((folder / f"{side}.signing").read_bytes())


# --- destination -----------------------------------------------------------------------------------------------


class Destination:
    """Judges, credits and receipts envelopes in order."""

    def __init__(self, folder: Path) -> None:
        self.books = Books(folder / "destination.sqlite", 0)
        self.key = signing_key(folder, "destination")
        self.source: Ed25519PublicKey = signing_key(folder, "source").public_key()
        self.accounts = {address("330200", account): account for account in range(ACCOUNTS)}
        self.size = 0
        self.previous = bytes(32)
        self.envelope, self.head, self.transfer, self.receipt = map(
            message, ("Envelope", "Head", "Transfer", "Receipt")
        )

    def receive(self, data: bytes) -> bytes:
        """Commit one envelope; the signed receipt. Raises on anything but the next good batch."""
        envelope = self.envelope.FromString(data)
        self.source.verify(envelope.signature, envelope.head)
        head = self.head.FromString(envelope.head)
        frames = list(envelope.frames)
        if (head.first, head.previous, head.root) != (self.size, self.previous, batch_root(frames)):
            raise ChildError("a batch that does not follow")
        changes: defaultdict[int, int] = defaultdict(int)
        accounts = self.accounts
        for transfer in map(self.transfer.FromString, frames):
            changes[accounts[transfer.payee]] += transfer.amount
        signed = b"%d %b" % (head.size, head.root)
        receipt = self.receipt(size=head.size, root=head.root, signature=self.key.sign(signed)).SerializeToString()
        self.books.commit(changes, self.size, data, [(head.size, receipt)])
        self.size, self.previous = head.size, sha256(envelope.head).digest()
        return bytes(receipt)


async def serve(folder: Path) -> None:
    """The destination's process."""
    destination = Destination(folder)

    async def transfers(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        async for request in requests:
            yield destination.receive(request)

    async def standing(_request: bytes, _context: object) -> bytes:
        state = {"cpu_s": own_cpu_s(), "size": destination.size, "total": destination.books.total()}
        return json.dumps(state).encode()

    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Transfers": grpc.stream_stream_rpc_method_handler(transfers),
        "Standing": grpc.unary_unary_rpc_method_handler(standing),
    }
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("yardstick.Floor", handlers),))
    port = server.add_secure_port("127.0.0.1:0", read_identity(folder, "destination").server())
    await server.start()
    say(port=port)
    await asyncio.to_thread(wait_for_parent)
    await server.stop(0)


# --- source ----------------------------------------------------------------------------------------------------


class Source:
    """Builds, debits and signs batches."""

    def __init__(self, folder: Path) -> None:
        self.books = Books(folder / "source.sqlite", OPENING)
        self.key = signing_key(folder, "source")
        self.destination: Ed25519PublicKey = signing_key(folder, "destination").public_key()
        drawn = random.Random(330100)
        self.plans: list[Plan] = [
            [(drawn.randrange(ACCOUNTS), drawn.randrange(ACCOUNTS), drawn.randint(1, 500)) for _ in range(BATCH)]
            for _ in range(PLANS)
        ]
        self.payers = [address("330100", account) for account in range(ACCOUNTS)]
        self.payees = [address("330200", account) for account in range(ACCOUNTS)]
        self.fillers = [filler(account) for account in range(ACCOUNTS)]
        self.size = 0
        self.previous = bytes(32)
        self.roots: dict[int, bytes] = {}
        self.receipts: list[tuple[int, bytes]] = []
        self.envelope, self.head, self.transfer, self.receipt = map(
            message, ("Envelope", "Head", "Transfer", "Receipt")
        )

    def next_envelope(self) -> bytes:
        """Debit and commit the next batch; its signed envelope."""
        first, size = self.size, self.size + BATCH
        build, payers, payees, fillers = self.transfer, self.payers, self.payees, self.fillers
        changes: defaultdict[int, int] = defaultdict(int)
        frames = []
        for number, (payer, payee, amount) in enumerate(self.plans[first // BATCH % PLANS], first):
            changes[payer] -= amount
            frames.append(
                build(
                    id=number.to_bytes(16, "big"),
                    seen=first,
                    amount=amount,
                    category="moral",
                    payer=payers[payer],
                    payee=payees[payee],
                    **fillers[payer],
                ).SerializeToString()
            )
        root = batch_root(frames)
        head = self.head(first=first, size=size, previous=self.previous, root=root).SerializeToString()
        envelope = self.envelope(head=head, signature=self.key.sign(head), frames=frames).SerializeToString()
        receipts, self.receipts = self.receipts, []
        self.books.commit(changes, first, envelope, receipts)
        self.size, self.previous, self.roots[size] = size, sha256(head).digest(), root
        return bytes(envelope)

    def take_receipt(self, data: bytes) -> int:
        """Verify a receipt and keep it for the next commit; the size it vouches for."""
        receipt = self.receipt.FromString(data)
        self.destination.verify(receipt.signature, b"%d %b" % (receipt.size, receipt.root))
        if self.roots.pop(receipt.size) != receipt.root:
            raise ChildError("a receipt for another log")
        self.receipts.append((receipt.size, data))
        return int(receipt.size)


async def drive(folder: Path, seconds: float, port: int) -> None:
    """The source's process: warm up, measure, let the last batches land, check that no point is missing."""
    source = Source(folder)
    async with grpc.aio.secure_channel(
        f"127.0.0.1:{port}", read_identity(folder, "source").client(), options=_OPTIONS
    ) as channel:
        standing: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/yardstick.Floor/Standing")
        transfers: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            "/yardstick.Floor/Transfers"
        )
        stream = transfers()
        slots = asyncio.Semaphore(IN_FLIGHT)
        stopping = asyncio.Event()
        receipted = 0

        async def send() -> None:
            while not stopping.is_set():
                await slots.acquire()
                await stream.write(source.next_envelope())
            await stream.done_writing()

        async def receive() -> None:
            nonlocal receipted
            async for data in stream:
                receipted = source.take_receipt(data)
                slots.release()

        async def mark() -> tuple[float, int, float]:
            peer = json.loads(await standing(b""))
            return time.perf_counter(), receipted, own_cpu_s() + peer["cpu_s"]

        async def watch() -> tuple[tuple[float, int, float], tuple[float, int, float]]:
            await asyncio.sleep(WARM_UP_S)
            start = await mark()
            await asyncio.sleep(seconds)
            end = await mark()
            stopping.set()
            return start, end

        (start, end), _, _ = await asyncio.gather(watch(), send(), receive())
        last = json.loads(await standing(b""))
    conserved = receipted == last["size"] == source.size
    conserved = conserved and source.books.total() + last["total"] == ACCOUNTS * OPENING and last["total"] > 0
    say(transfers=end[1] - start[1], seconds=end[0] - start[0], cpu_s=end[2] - start[2], conserved=conserved)


def main(role: str, folder: str, seconds: str, *port: str) -> None:
    """Entry point of the two processes."""
    live_at_most(float(seconds))
    if role == "destination":
        asyncio.run(serve(Path(folder)))
    else:
        asyncio.run(drive(Path(folder), float(seconds), int(port[0])))


if __name__ == "__main__":
    main(*sys.argv[1:])
