"""The ordinary design: each transfer by itself, written as a competent engineer would who does not batch.

Per transfer: one ORM transaction at the source (debit, transfer row, posting row), one signed unary call over mTLS,
one ORM transaction at the destination (credit, transfer row, posting row), one signed answer, which the source
verifies. Threads on both sides, pooled connections, indexed tables, durable commits, a repeated id credits once.

Where designs of this kind differ, the faster one is measured: nothing is locked while the peer answers, and the
source does not write the answer down (a sweep would ask again after a crash; a refusal would be posted back).
"""

import json
import random
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from benchmarks.certs import read_identity, write_identities
from benchmarks.children import (
    ChildError,
    Result,
    child,
    live_at_most,
    own_cpu_s,
    postgres_cpu_s,
    say,
    wait_for_parent,
)
from benchmarks.wire import address, filler, message

CLIENTS = 8
"""Transfers in progress at a time. More bring nothing on two processors."""
ACCOUNTS = 10_000
OPENING = 10**9
WARM_UP_S = 0.5
_SIDES = ("source", "destination")


class Base(DeclarativeBase):
    """Tables of one side."""


class Account(Base):
    """A resident's balance."""

    __tablename__ = "account"
    __table_args__ = (sa.CheckConstraint("balance >= 0"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(sa.String(32), unique=True)
    balance: Mapped[int] = mapped_column(sa.BigInteger)


class Transfer(Base):
    """One transfer as this side knows it, with the signature that backs it."""

    __tablename__ = "transfer"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(sa.String(16))
    amount: Mapped[int] = mapped_column(sa.BigInteger)
    frame: Mapped[bytes]
    signature: Mapped[bytes]
    made_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
    postings: Mapped[list["Posting"]] = relationship()


class Posting(Base):
    """One change of one balance."""

    __tablename__ = "posting"
    id: Mapped[int] = mapped_column(primary_key=True)
    transfer_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("transfer.id"), index=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    amount: Mapped[int] = mapped_column(sa.BigInteger)


def run(seconds: float = 5.0, directory: Path | None = None, dsn: str | None = None, clients: int = CLIENTS) -> Result:
    """Run both sides for `seconds` after a short warm-up.

    On SQLite in a fresh folder under `directory`; with a PostgreSQL `dsn`, in two schemas that are dropped at the end.
    Raises `ChildError` when a side fails or when points are missing or too many.
    """
    with tempfile.TemporaryDirectory(prefix="ordinary-", dir=directory) as name:
        folder = Path(name)
        write_identities(folder, _SIDES)
        for side in _SIDES:
            (folder / f"{side}.signing").write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
        schemas = {side: f"yardstick_{side}_{uuid.uuid4().hex[:12]}" for side in _SIDES} if dsn else {}
        urls = {side: _database_url(folder, side, dsn, schemas.get(side)) for side in _SIDES}
        (folder / "databases.json").write_text(json.dumps({"urls": urls, "dsn": dsn, "clients": clients}))
        try:
            for schema in schemas.values():
                _statement(dsn, f"CREATE SCHEMA {schema}")
            with child("ordinary", "destination", folder, seconds) as destination:
                port = destination.hear(60)["port"]
                with child("ordinary", "source", folder, seconds, port) as source:
                    said = source.hear(seconds + 60)
        finally:
            for schema in schemas.values():
                _statement(dsn, f"DROP SCHEMA {schema} CASCADE")
    if not said["conserved"]:
        raise ChildError("the ordinary design lost or made points")
    return Result(transfers=said["transfers"], seconds=said["seconds"], cpu_s=said["cpu_s"])


def _database_url(folder: Path, side: str, dsn: str | None, schema: str | None) -> str:
    if dsn is None:
        return f"sqlite:///{folder / side}.sqlite"
    url = sa.make_url(dsn).set(drivername="postgresql+psycopg")
    return url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)


def _statement(dsn: str | None, statement: str) -> None:
    engine = sa.create_engine(sa.make_url(str(dsn)).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))


def open_books(url: str, side: str, clients: int) -> sessionmaker[Session]:
    """Create the tables and the accounts of one side; sessions on durable, pooled connections."""
    if not url.startswith("sqlite"):
        engine = sa.create_engine(url, pool_size=clients)
    else:
        # SQLite has one writer: a pool of one makes threads queue fairly instead of sleeping on its lock.
        engine = sa.create_engine(url, pool_size=1, max_overflow=0, connect_args={"check_same_thread": False})

        @sa.event.listens_for(engine, "connect")
        def durable(connection: Any, _record: object) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    Base.metadata.create_all(engine)
    region, opening = ("330100", OPENING) if side == "source" else ("330200", 0)
    rows = [{"id": number, "address": address(region, number), "balance": opening} for number in range(ACCOUNTS)]
    with engine.begin() as connection:
        connection.execute(sa.insert(Account), rows)
    return sessionmaker(engine, expire_on_commit=False)


class Node:
    """One side: its books, its key, the peer's key."""

    def __init__(self, folder: Path, side: str) -> None:
        databases = json.loads((folder / "databases.json").read_text())
        self.clients: int = databases["clients"]
        self.dsn: str | None = databases["dsn"]
        self.books = open_books(databases["urls"][side], side, self.clients)
        keys = {
            name: Ed25519PrivateKey.from_private_bytes((folder / f"{name}.signing").read_bytes()) for name in _SIDES
        }
        self.key = keys.pop(side)
        (peer,) = keys.values()
        self.peer = peer.public_key()
        self.transfer, self.call, self.answer = map(message, ("Transfer", "Call", "Answer"))

    def total(self) -> int:
        """Sum of all balances."""
        with self.books() as session:
            return int(session.scalar(sa.select(sa.func.sum(Account.balance))) or 0)


def post(node: Node, session: Session, account: Account, frame: bytes, signature: bytes, change: int) -> None:
    """One transfer's rows in the open transaction."""
    transfer = Transfer(
        id=uuid.UUID(bytes=node.transfer.FromString(frame).id),
        state="posted",
        amount=abs(change),
        frame=frame,
        signature=signature,
        made_at=datetime.now(UTC),
    )
    transfer.postings.append(Posting(account_id=account.id, amount=change))
    account.balance += change
    session.add(transfer)


# --- destination -----------------------------------------------------------------------------------------------


def receive(node: Node, data: bytes) -> bytes:
    """Credit one signed transfer once; the signed answer."""
    call = node.call.FromString(data)
    node.peer.verify(call.signature, call.frame)
    asked = node.transfer.FromString(call.frame)
    with node.books.begin() as session:
        known = session.get(Transfer, uuid.UUID(bytes=asked.id))
        if known is None:
            payee = session.scalars(sa.select(Account).filter_by(address=asked.payee).with_for_update()).one()
            post(node, session, payee, call.frame, call.signature, asked.amount)
    signature = node.key.sign(asked.id + b"accepted")
    return bytes(node.answer(id=asked.id, accepted=1, signature=signature).SerializeToString())


def serve(folder: Path) -> None:
    """The destination's process."""
    node = Node(folder, "destination")

    def standing(_request: bytes, _context: object) -> bytes:
        return json.dumps({"cpu_s": own_cpu_s(), "total": node.total()}).encode()

    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Move": grpc.unary_unary_rpc_method_handler(lambda request, _context: receive(node, request)),
        "Standing": grpc.unary_unary_rpc_method_handler(standing),
    }
    server = grpc.server(ThreadPoolExecutor(node.clients + 1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("yardstick.Ordinary", handlers),))
    port = server.add_secure_port("127.0.0.1:0", read_identity(folder, "destination").server())
    server.start()
    say(port=port)
    wait_for_parent()
    server.stop(0).wait()


# --- source ----------------------------------------------------------------------------------------------------


def send(node: Node, call_peer: "grpc.UnaryUnaryMultiCallable[bytes, bytes]", drawn: random.Random) -> int:
    """Debit, commit, call, verify the answer; the points moved. Raises unless the peer accepted."""
    payer, payee, amount = drawn.randrange(ACCOUNTS), drawn.randrange(ACCOUNTS), drawn.randint(1, 500)
    identifier = uuid.uuid4().bytes
    frame = node.transfer(
        id=identifier,
        seen=1,
        amount=amount,
        category="moral",
        payer=address("330100", payer),
        payee=address("330200", payee),
        **filler(payer),
    ).SerializeToString()
    signature = node.key.sign(frame)
    with node.books.begin() as session:
        account = session.get_one(Account, payer, with_for_update=True)
        post(node, session, account, frame, signature, -amount)
    answer = node.answer.FromString(call_peer(node.call(frame=frame, signature=signature).SerializeToString()))
    node.peer.verify(answer.signature, answer.id + b"accepted")
    if answer.id != identifier:
        raise ChildError("an answer to another transfer")
    return amount


def drive(folder: Path, seconds: float, port: int) -> None:
    """The source's process: warm up, measure, let the last calls return, check that no point is missing."""
    node = Node(folder, "source")
    channel = grpc.secure_channel(f"127.0.0.1:{port}", read_identity(folder, "source").client())
    with channel:
        call_peer: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/yardstick.Ordinary/Move")
        standing: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/yardstick.Ordinary/Standing")
        stopping = threading.Event()
        moved = [0] * node.clients
        points = [0] * node.clients

        def client(number: int) -> None:
            drawn = random.Random(number)
            while not stopping.is_set():
                points[number] += send(node, call_peer, drawn)
                moved[number] += 1

        def mark() -> tuple[float, int, float]:
            cpu_s = json.loads(standing(b""))["cpu_s"] + own_cpu_s() + postgres_cpu_s(node.dsn)
            return time.perf_counter(), sum(moved), cpu_s

        with ThreadPoolExecutor(node.clients) as threads:
            running = [threads.submit(client, number) for number in range(node.clients)]
            time.sleep(WARM_UP_S)
            start = mark()
            time.sleep(seconds)
            end = mark()
            stopping.set()
        for finished in running:
            finished.result()
        received = json.loads(standing(b""))["total"]
    conserved = node.total() + received == ACCOUNTS * OPENING and received == sum(points) > 0
    say(transfers=end[1] - start[1], seconds=end[0] - start[0], cpu_s=end[2] - start[2], conserved=conserved)


def main(role: str, folder: str, seconds: str, *port: str) -> None:
    """Entry point of the two processes."""
    live_at_most(float(seconds))
    if role == "destination":
        serve(Path(folder))
    else:
        drive(Path(folder), float(seconds), int(port[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
