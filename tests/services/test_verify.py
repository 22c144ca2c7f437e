"""Whatever is changed in a region's database, its journal and logs tell: every table, every column that counts."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from node.errors import BadInput
from node.services.verify.findings import NAMES, Check, holds
from node.services.verify.run import open_copy, verify
from node.store.create import create
from node.store.engine import open_store
from tests.services.delivery import A
from tests.services.history import eventful


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database file of A after an eventful history, closed."""
    directory = tmp_path_factory.mktemp("history")
    with ExitStack() as stack:
        files = [directory / name for name in ("a.sqlite", "b.sqlite")]
        stores = [stack.enter_context(closing(open_store(f"sqlite:///{file}"))) for file in files]
        for store in stores:
            create(store)
        eventful(stores)
    with closing(sqlite3.connect(files[0])) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            connection.execute(f"DROP TRIGGER {name}")
        connection.commit()
    return files[0]


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(original, tmp_path / "copy.sqlite"))


def examined(path: Path) -> list[Check]:
    with closing(open_copy(path)) as store:
        return verify(store)


def failing(checks: list[Check]) -> set[str]:
    return {check.code for check in checks if not check.ok}


def test_everything_holds_and_everything_was_looked_at(original: Path) -> None:
    checks = examined(original)
    assert [(check.code, check.detail) for check in checks if not check.ok] == []
    assert holds(checks)
    assert [check.code for check in checks] == list(NAMES)
    assert [check.code for check in checks if not check.counted] == []
    assert all(check.zh and check.en for check in checks)
    said = {check.code: check.detail for check in checks}
    assert said["conservation"].count("issued") == 2


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_both_regions_on_each_kind_of_database_with_progress(new_database: Callable[..., str], kind: str) -> None:
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(open_store(new_database(kind)))) for _ in range(2)]
        made = eventful(stores, transfers=40)
        for region in made.regions.values():
            told: list[tuple[int, int]] = []
            checks = verify(region.store, lambda done, total, told=told: told.append((done, total)))
            assert failing(checks) == set()
            assert told == sorted(told)
            assert told[-1][0] == told[-1][1] > 0
            if region.code != A:
                assert "1 erased" in next(check.detail for check in checks if check.code == "bodies")


# -- what is changed, and the check that tells ------------------------------------------------------------------------

FAR = 1 << 40
TAMPERED: dict[str, tuple[str, str]] = {
    "a resident gets points": ("UPDATE balance SET credits_posted = credits_posted + 1 WHERE resident", "counters"),
    "a balance given to somebody else": (
        "UPDATE balance SET account = (SELECT no FROM account WHERE name = 'other') "
        "WHERE no = (SELECT min(no) FROM balance WHERE resident)",
        "accounts",
    ),
    "a balance in another category": ("UPDATE balance SET category = 3 WHERE no = 1", "accounts"),
    "two books that change places": ("UPDATE account SET kind = 9 - kind WHERE kind IN (4, 5)", "accounts"),
    "an account renamed": ("UPDATE account SET name = 'B' WHERE name = 'other'", "accounts"),
    "an account frozen": ("UPDATE account SET state = 2 WHERE name = 'A'", "accounts"),
    "an account more": (f"INSERT INTO account VALUES ({FAR}, 'ghost', 1, 1, 0)", "accounts"),
    "a balance below zero": (
        "UPDATE balance SET debits_posted = credits_posted + 1 WHERE resident",
        "not_negative",
    ),
    "points from nowhere, booked on both sides": (
        "UPDATE balance SET credits_posted = credits_posted + 1, debits_posted = debits_posted + 1",
        "counters",
    ),
    "a counter that breaks conservation": (
        "UPDATE balance SET debits_posted = debits_posted + 5 WHERE no = 2", "conservation"),
    "a posting of another amount": ("UPDATE posting SET amount = amount + 1 WHERE no = 9", "postings"),
    "a posting from another balance": ("UPDATE posting SET debit = credit, credit = debit WHERE no = 9", "postings"),
    "a posting of another phase": ("UPDATE posting SET phase = 1 WHERE phase = 3", "postings"),
    "a posting of another transfer": ("UPDATE posting SET transfer = 1 WHERE transfer = 2", "postings"),
    "a posting of another command": ("UPDATE posting SET command = x'00' WHERE no = 1", "postings"),
    "a posting in nobody's history": ("UPDATE posting SET resident = NULL WHERE no = 1", "postings"),
    "a posting at another time": ("UPDATE posting SET at_ms = at_ms + 1 WHERE no = 7", "postings"),
    "a posting removed": ("DELETE FROM posting WHERE no = 12", "postings"),
    "a posting more": (f"INSERT INTO posting SELECT {FAR}, phase, debit, credit, amount, transfer, command, resident, "
                       "at_ms, before FROM posting WHERE no = 9", "postings"),
    "a posting across categories": (
        "UPDATE posting SET credit = (SELECT max(no) FROM balance WHERE category = 3) WHERE no = 9",
        "one_category",
    ),
    "a history that passes over a posting": (
        "UPDATE posting SET before = (SELECT before FROM posting AS earlier WHERE earlier.no = posting.before) "
        "WHERE before IS NOT NULL", "postings"),
    "a history that ends earlier": (
        "UPDATE balance SET latest = (SELECT before FROM posting WHERE no = latest) WHERE latest IS NOT NULL",
        "accounts"),
    "a lot that has more left": ("UPDATE lot SET remaining = remaining + 1 WHERE no = 4", "lots"),
    "a lot that was larger": ("UPDATE lot SET amount = amount + 1 WHERE no = 4", "lots"),
    "a lot of somebody else": ("UPDATE lot SET balance = balance + 1 WHERE no = 4", "lots"),
    "a lot that expires later": ("UPDATE lot SET expires = 20991231 WHERE no = 1", "lots"),
    "a lot granted earlier": ("UPDATE lot SET granted = 20200101 WHERE no = 1", "lots"),
    "a lot of another region": ("UPDATE lot SET issuer = 330200 WHERE no = 1", "lots"),
    "a lot better recorded than it was": ("UPDATE lot SET evidence = 3 WHERE no = 1", "lots"),
    "a lot for another service": ("UPDATE lot SET because = 'blood' WHERE no = 1", "lots"),
    "a lot that came back with another origin": (
        "UPDATE lot SET because = 'blood' WHERE transfer IS NOT NULL AND clears IS NULL", "lots"),
    "a lot that came with another transfer": ("UPDATE lot SET transfer = 1 WHERE transfer IS NOT NULL", "lots"),
    "a lot that is clear too early": ("UPDATE lot SET clears = 0 WHERE clears > 0", "lots"),
    "a lot removed": ("DELETE FROM lot WHERE no = 2", "lots"),
    "lots that do not sum to the balance": ("UPDATE lot SET remaining = remaining - 1 WHERE no = 4", "lot_sums"),
    "a taking of another amount": ("UPDATE lot_entry SET amount = amount + 1 WHERE posting = 9", "lot_entries"),
    "a taking removed": ("DELETE FROM lot_entry WHERE posting = 9", "lot_entries"),
    "a taking more": (f"INSERT INTO lot_entry VALUES (9, {FAR}, 1)", "lot_entries"),
    "an accepted transfer shown as refused": ("UPDATE transfer SET state = 3 WHERE no = 1", "transfers"),
    "a refusal for another reason": ("UPDATE transfer SET reason = 63 WHERE state = 3", "transfers"),
    "a transfer of another amount": ("UPDATE transfer SET amount = amount + 1 WHERE no = 5", "transfers"),
    "a transfer that arrives as more": ("UPDATE transfer SET arriving = arriving + 1 WHERE no = 5", "transfers"),
    "a transfer to another region": ("UPDATE transfer SET destination = 330600 WHERE no = 5", "transfers"),
    "a transfer of somebody else": ("UPDATE transfer SET balance = 77 WHERE no = 5", "transfers"),
    "a transfer to another address": ("UPDATE transfer SET address = x'0011' WHERE no = 5", "transfers"),
    "a transfer at another rate": ("UPDATE transfer SET rate_p = 3 WHERE no = 5", "transfers"),
    "a transfer with another id": ("UPDATE transfer SET id = randomblob(16) WHERE no = 5", "transfers"),
    "a transfer answered elsewhere": ("UPDATE transfer SET answered = answered + 1 WHERE no = 5", "transfers"),
    "a transfer removed": ("DELETE FROM transfer WHERE no = 5", "transfers"),
    "a hold that never was": (
        f"INSERT INTO transfer SELECT {FAR}, randomblob(16), source, destination, 1, 0, digest, client_key, balance, "
        "category, amount, becomes, arriving, rate_p, rate_q, purpose, cites, hold, offered, NULL, address, at_ms, "
        "NULL FROM transfer WHERE no = 5", "transfers"),
    "a message to be sent that nobody decided": (
        f"INSERT INTO outbox SELECT {FAR}, peer, kind, reply, randomblob(16), body, category, amount, becomes, "
        "arriving, NULL FROM outbox LIMIT 1", "outbox"),
    "a message to be sent of more": ("UPDATE outbox SET amount = amount + 1", "said"),
    "a message to be sent removed": ("DELETE FROM outbox", "said"),
    "messages to be sent in another order": (
        "UPDATE outbox SET no = no + 1000 WHERE no = (SELECT min(no) FROM outbox)", "said"),
    "a segment removed": ("DELETE FROM segment WHERE log = 2 AND first = (SELECT min(first) FROM segment WHERE log = 2 "
                          "AND first > 0)", "segments"),
    "the last segment removed": ("DELETE FROM segment WHERE log = 3 AND first = (SELECT max(first) FROM segment "
                                 "WHERE log = 3)", "roots"),
    "an entry of the journal cut off": ("DELETE FROM segment WHERE log = 1 AND first = (SELECT max(first) FROM segment "
                                        "WHERE log = 1)", "roots"),
    "a root exchanged": ("UPDATE segment SET root = randomblob(32) WHERE log = 2 AND first = 0", "roots"),
    "a log that is longer": ("UPDATE log SET size = size + 1 WHERE no = 3", "roots"),
    "the end of a log exchanged": ("UPDATE log SET frontier = zeroblob(length(frontier)) WHERE no = 2", "roots"),
    "a subtree exchanged": ("UPDATE node SET hash = randomblob(32) WHERE log = 2 AND level = 8 AND idx = 0", "nodes"),
    "a subtree removed": ("DELETE FROM node WHERE log = 2 AND level = 8 AND idx = 0", "nodes"),
    "a subtree more": ("INSERT INTO node VALUES (3, 9, 77, randomblob(32))", "nodes"),
    "a head exchanged for another": (
        "UPDATE segment SET head = (SELECT head FROM segment WHERE log = 3 AND first = 0) WHERE log = 3 AND first > 0",
        "heads"),
    "a head removed": ("UPDATE segment SET head = NULL WHERE log = 3", "heads"),
    "a receipt of another root": ("UPDATE receipt SET root = randomblob(32) WHERE log = 3", "receipts"),
    "a receipt for less": ("UPDATE receipt SET size = size - 1 WHERE log = 2 AND size > 3", "receipts"),
    "a receipt whose signature was exchanged": (
        "UPDATE receipt SET signed = (SELECT signed FROM receipt WHERE log = 2 ORDER BY size LIMIT 1) WHERE log = 2",
        "receipts"),
    "a receipt removed": ("DELETE FROM receipt WHERE log = 2", "channels"),
    "a receipt of one's own removed": ("DELETE FROM receipt WHERE log = 3", "receipts"),
    "more is final than there is": ("UPDATE channel SET final = final + 1000", "channels"),
    "less is final than was received": ("UPDATE channel SET final = 0", "channels"),
    "a channel that has seen less": ("UPDATE channel SET in_seen = in_seen - 1", "channels"),
    "a roster exchanged": ("UPDATE roster SET signed = x'0a0b'", "rosters"),
    "a category renamed": ("UPDATE category SET code = 'gold' WHERE no = 1", "said"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_is_told(copy: Path, what: str) -> None:
    statement, code = TAMPERED[what]
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert connection.execute(statement).rowcount > 0
        connection.commit()
    checks = examined(copy)
    assert code in failing(checks), [(check.code, check.detail) for check in checks if not check.ok]
    assert all(check.detail for check in checks if not check.ok)


BLOBS = [("segment", "frames", log) for log in (1, 2, 3)] + [("body", "bodies", log) for log in (2, 3)]


@pytest.mark.parametrize(("table", "column", "log"), BLOBS, ids=lambda value: str(value))
@pytest.mark.parametrize("where", [0.01, 0.3, 0.5, 0.77, 0.999])
def test_a_flipped_bit_in_a_log_is_told(copy: Path, table: str, column: str, log: int, where: float) -> None:
    with closing(sqlite3.connect(copy)) as connection:
        query = f"SELECT rowid, {column} FROM {table} WHERE log = ? ORDER BY length({column}) DESC LIMIT 1"
        row, blob = connection.execute(query, (log,)).fetchone()
        damaged = bytearray(blob)
        damaged[int(len(blob) * where)] ^= 4
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (bytes(damaged), row))
        connection.commit()
    expected = {"bodies"} if table == "body" else {"roots", "segments", "journal"}
    assert failing(examined(copy)) & expected


# -- a copy is only looked at -----------------------------------------------------------------------------------------


def test_a_copy_that_may_not_be_written(original: Path, tmp_path: Path) -> None:
    directory = tmp_path / "medium"
    directory.mkdir()
    path = Path(shutil.copy(original, directory / "odd name ?#%.sqlite"))
    before = path.read_bytes()
    path.chmod(stat.S_IRUSR)
    directory.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert failing(examined(path)) == set()
        assert [entry.name for entry in directory.iterdir()] == [path.name]
    finally:
        directory.chmod(stat.S_IRWXU)
    assert path.read_bytes() == before


@pytest.fixture
def in_use(tmp_path: Path) -> Iterator[Path]:
    """A file whose newest transactions are in its write-ahead log only, since its region runs."""
    with ExitStack() as stack:
        files = [tmp_path / name for name in ("a.sqlite", "b.sqlite")]
        stores = [stack.enter_context(closing(open_store(f"sqlite:///{file}"))) for file in files]
        for store in stores:
            create(store)
        eventful(stores, transfers=5)
        yield files[0]


def test_a_copy_of_a_running_region_with_its_write_ahead_log(in_use: Path, tmp_path: Path) -> None:
    directory = tmp_path / "copy"
    directory.mkdir()
    for name in ("a.sqlite", "a.sqlite-wal"):
        shutil.copy(in_use.with_name(name), directory / name)
    with_log = examined(directory / "a.sqlite")
    assert failing(with_log) == set()
    assert next(check.counted for check in with_log if check.code == "outbox") == 2


def test_what_is_no_database_of_a_region(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        open_copy(tmp_path / "nothing")
    path = tmp_path / "empty.sqlite"
    with closing(open_store(f"sqlite:///{path}")) as store:
        create(store)
    with pytest.raises(BadInput, match="not a region"):
        examined(path)
