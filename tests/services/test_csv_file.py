"""CSV files are used whole or not at all, and a refusal names file, line and column and what to do."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.values import Evidence, Purpose
from node.errors import BadFile
from node.services.csv_file import AWARDS, RESIDENTS, TRANSFERS, load_awards, load_residents, load_transfers
from node.text_file import FILE_BYTES

ID_NUMBER = "330106199001011234"  # no real one; what must never show in an error

RESIDENT = {"region": "330100", "account": "HZ-000001", "opened": "2024-02-29"}
AWARD = {
    "region": "330100",
    "key": "019439c5-2b74-74cc-bd77-bc4322352714",
    "account": "HZ-000001",
    "category": "public_welfare",
    "amount": "150",
    "granted": "2026-03-01",
    "expires": "2032-01-01",
    "evidence": "signed_in",
    "activity": "330100-2026-0001",
}
TRANSFER = {
    "key": "01a119ab-0200-7992-a956-d0618a3f2bfd",
    "source": "330100",
    "account": "HZ-000001",
    "destination": "330200",
    "receiver": "NB-000009",
    "category": "moral",
    "amount": "75",
    "purpose": "relocation",
}
KINDS: dict[str, tuple[Callable[[Path], list[Any]], dict[str, str]]] = {
    "residents": (load_residents, RESIDENT),
    "awards": (load_awards, AWARD),
    "transfers": (load_transfers, TRANSFER),
}


def encoded(*rows: dict[str, str], header: list[str] | None = None, end: str = "\n", mark: bool = False) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end)
    header = header or list(rows[0])
    writer.writerow(header)
    writer.writerows([row[column] for column in header] for row in rows)
    return text.getvalue().encode("utf-8-sig" if mark else "utf-8")


def refused(tmp_path: Path, data: bytes, load: Callable[[Path], list[Any]] = load_awards) -> BadFile:
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    with pytest.raises(BadFile) as caught:
        load(path)
    assert caught.value.path == path
    assert str(path) in str(caught.value)
    assert caught.value.do.endswith(".")
    assert caught.value.do in str(caught.value)
    return caught.value


# Sound files


def test_every_column_becomes_the_value_of_the_protocol(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(encoded(RESIDENT))
    (resident,) = load_residents(path)
    assert (resident.region, resident.account, resident.opened) == (330100, "HZ-000001", 20240229)
    path.write_bytes(encoded(AWARD))
    (award,) = load_awards(path)
    assert (award.region, award.amount, award.granted, award.expires) == (330100, 150, 20260301, 20320101)
    assert (award.evidence, award.category, award.activity) == (
        Evidence.SIGNED_IN,
        "public_welfare",
        "330100-2026-0001",
    )
    path.write_bytes(encoded(TRANSFER))
    (transfer,) = load_transfers(path)
    assert (transfer.source, transfer.destination, transfer.amount) == (330100, 330200, 75)
    assert (transfer.purpose, transfer.receiver) == (Purpose.RELOCATION, "NB-000009")


names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=64)


@given(
    names=st.lists(names, max_size=8, unique=True),
    amounts=st.lists(st.integers(1, 2**63 - 1), min_size=8, max_size=8),
    header=st.permutations(list(AWARD)),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
)
def test_rows_survive_any_order_of_columns_line_end_and_byte_order_mark(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    amounts: list[int],
    header: list[str],
    end: str,
    mark: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    rows = [AWARD | {"key": key, "amount": str(amount)} for key, amount in zip(names, amounts, strict=False)]
    path.write_bytes(encoded(*rows, header=header, end=end, mark=mark))
    assert [(row.key, row.amount) for row in load_awards(path)] == list(zip(names, amounts, strict=False))


# Faults of one cell


CELL_FAULTS = [
    *(
        ("amount", cell, "integer")
        for cell in ["", "1.0", "1e3", "1,000", " 1", "+1", "0x1", "１２", "1_0", "007", "壹"]
    ),
    *(("amount", cell, "above zero") for cell in ["0", "-1", "-9223372036854775808"]),
    *(("amount", cell, "2^63-1") for cell in ["9223372036854775808", "1" * 5000]),
    *(
        (column, cell, "date")
        for column in ("granted", "expires")
        for cell in ["", "2026-02-29", "2026-13-01", "2026/1/5", "20260105", "2026-1-5", "2026-W01-1", "0000-01-01"]
    ),
    *(("region", cell, "region code") for cell in ["", "3301", "33010a", "3301000", "003301", "３３０１００"]),
    *(("category", cell, "category") for cell in ["", "Moral", "公益", "9a", "a" * 33, "a-b"]),
    *(("evidence", cell, "signed_in") for cell in ["", "SIGNED_IN", "unspecified"]),
    *(("account", cell, "") for cell in ["", " HZ-1", "HZ-1 ", "HZ\t1", "HZ\n1", "x" * 65, "HZ\u202e1"]),
    ("expires", "2026-03-01", "not after"),
    ("expires", "2025-12-31", "not after"),
]


@pytest.mark.parametrize(("column", "cell", "why"), CELL_FAULTS)
def test_bad_cell_is_named_by_line_and_column(tmp_path: Path, column: str, cell: str, why: str) -> None:
    good = [AWARD | {"key": f"k{n}"} for n in range(5)]
    error = refused(tmp_path, encoded(*good[:3], AWARD | {column: cell}, *good[3:]))
    assert (error.line, error.column) == (5, column)
    assert why in str(error)


@pytest.mark.parametrize("purpose", ["", "reversal", "Relocation", "gift"])
def test_transfer_for_an_unknown_purpose_or_a_reversal_is_refused(tmp_path: Path, purpose: str) -> None:
    error = refused(tmp_path, encoded(TRANSFER | {"purpose": purpose}), load_transfers)
    assert (error.line, error.column) == (2, "purpose")


def test_transfer_within_one_region_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, encoded(TRANSFER | {"destination": "330100"}), load_transfers)
    assert (error.line, error.column) == (2, "destination")


@pytest.mark.parametrize("columns", [RESIDENTS, AWARDS, TRANSFERS])
@pytest.mark.parametrize("shift", range(1, 4))
def test_an_identity_number_in_a_wrong_column_never_shows_in_the_error(
    tmp_path: Path, columns: dict[str, object], shift: int
) -> None:
    load, row = next(kind for kind in KINDS.values() if list(kind[1]) == list(columns))
    cells = list(row.values())
    shifted = [ID_NUMBER] * shift + cells[: len(cells) - shift]
    for lines in (
        [list(row), shifted],
        [shifted],
        [[*row, ID_NUMBER], [*cells, "x"]],
        [list(row), [*cells, ID_NUMBER]],
    ):
        data = "".join(",".join(line) + "\n" for line in lines).encode()
        assert ID_NUMBER not in str(refused(tmp_path, data, load))


@given(row=st.integers(0, 19), column=st.sampled_from(list(AWARD)), rows=st.just(20))
def test_one_bad_cell_anywhere_leaves_nothing_loaded(
    tmp_path_factory: pytest.TempPathFactory, row: int, column: str, rows: int
) -> None:
    lots = [AWARD | {"key": f"k{n}"} for n in range(rows)]
    lots[row] = lots[row] | {column: ""}
    error = refused(tmp_path_factory.getbasetemp(), encoded(*lots))
    assert (error.line, error.column) == (row + 2, column)


# Faults of the whole


@pytest.mark.parametrize("kind", KINDS)
def test_same_key_twice_names_both_lines(tmp_path: Path, kind: str) -> None:
    load, row = KINDS[kind]
    other = row | {next(c for c in ("key", "account") if c in row): "another"}
    error = refused(tmp_path, encoded(row, other, row), load)
    assert error.line == 4
    assert "line 2" in error.what


@pytest.mark.parametrize("kind", KINDS)
def test_missing_column_is_named(tmp_path: Path, kind: str) -> None:
    load, row = KINDS[kind]
    for column in row:
        error = refused(tmp_path, encoded({name: cell for name, cell in row.items() if name != column}), load)
        assert (error.line, error.column) == (1, column)


@pytest.mark.parametrize(
    "header",
    [[*AWARD, "name_zh"], [*AWARD, "key"], ["", *AWARD], [*AWARD, ""]],
    ids=["unknown", "twice", "first", "last"],
)
def test_extra_column_is_refused(tmp_path: Path, header: list[str]) -> None:
    row = AWARD | {"name_zh": "x", "": "x"}
    error = refused(tmp_path, encoded(row, header=header))
    assert error.line == 1
    assert f"place {header.index('') + 1 if '' in header else 10}" in error.what


def test_header_missing_altogether_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, encoded(AWARD).split(b"\n", 1)[1])
    assert error.line == 1
    assert ",".join(AWARD) in error.do


@pytest.mark.parametrize(
    ("fault", "data", "line", "column"),
    [
        ("too few cells", b"330100,HZ-2\n", 3, "opened"),
        ("too many cells", b"330100,HZ-2,2024-01-01,\n", 3, "opened"),
        ("blank line", b"\n330100,HZ-2,2024-01-01\n", 3, "region"),
        ("semicolons", b"330100;HZ-2;2024-01-01\n", 3, "account"),
        ("quotation mark not closed", b'330100,"HZ-2,2024-01-01\n330100,HZ-3,2024-01-01\n', 3, 8),
        ("text behind a quotation mark", b'330100,"HZ"-2,2024-01-01\n', 3, 8),
        ("cell of a megabyte", b"330100," + b"x" * (1 << 20) + b",2024-01-01\n", 3, None),
        ("NUL", b"330100,HZ\0,2024-01-01\n", 3, 10),
        ("GBK instead of UTF-8", "330100,杭州-2,2024-01-01\n".encode("gbk"), 3, 8),
        ("carriage returns alone", b"330100,HZ-2,2024-01-01\r330100,HZ-3,2024-01-01\n", 3, 23),
        ("cut short", b"330100,HZ-2,2024-01-0", 3, "opened"),
        ("cut short, yet plausible", b"330100,HZ-2,2024-01-01", 3, None),
    ],
)
def test_malformed_file_names_line_and_column(
    tmp_path: Path, fault: str, data: bytes, line: int, column: str | int | None
) -> None:
    error = refused(tmp_path, encoded(RESIDENT) + data, load_residents)
    assert error.line == line
    assert error.column == column or fault.startswith("cut short")


def test_a_line_after_a_cell_with_a_line_break_is_counted_as_an_editor_counts(tmp_path: Path) -> None:
    data = b'opened,account,region\n2024-01-01,"a\n\nb",330100\n2024-01-01,c,330100\n'
    error = refused(tmp_path, data, load_residents)
    assert (error.line, error.column) == (2, "account")


def test_bytes_that_are_not_utf_8_are_named_by_offset(tmp_path: Path) -> None:
    for mark in (False, True):
        good = encoded(RESIDENT, mark=mark)
        error = refused(tmp_path, good + b"330100,HZ\xff", load_residents)
        assert f"offset {len(good) + 9} " in error.what
        assert (error.line, error.column) == (3, 10)


def test_utf_16_is_named(tmp_path: Path) -> None:
    assert "UTF-16" in str(refused(tmp_path, encoded(RESIDENT).decode().encode("utf-16"), load_residents))


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_empty_file_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "empty" in refused(tmp_path, data).what


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(FILE_BYTES + 1)
    with pytest.raises(BadFile, match="larger"):
        load_awards(path)


def test_missing_file_and_directory_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(BadFile, match=str(path)):
            load_awards(path)


def test_a_file_cut_anywhere_is_refused_or_loses_whole_lines_only(tmp_path: Path) -> None:
    lots = [AWARD | {"key": f"k{n}", "activity": f"活动-{n}"} for n in range(3)]
    data = encoded(*lots)
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    whole = load_awards(path)
    for end in range(len(data)):
        path.write_bytes(data[:end])
        try:
            rows = load_awards(path)
        except BadFile:
            continue
        assert data[:end].endswith(b"\n")
        assert rows == whole[: len(rows)]


@given(data=st.binary(max_size=80) | st.text('region,account,opened\n\r"3012-', max_size=80).map(str.encode))
def test_no_bytes_lead_to_any_other_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    for content in (data, encoded(RESIDENT) + data):
        path.write_bytes(content)
        try:
            rows = load_residents(path)
        except BadFile:
            continue
        assert all(row.account for row in rows)
