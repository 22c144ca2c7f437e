"""Malformed TOML is refused with file, line and column, whatever is wrong with it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import BadFile
from node.toml_file import read_toml


def write(directory: Path, data: bytes) -> Path:
    path = directory / "region.toml"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", [b'a = "x"\n[t]\nb = 1\n', b'\xef\xbb\xbfa = "x"\r\n[t]\r\nb = 1\r\n'])
def test_a_sound_document_is_read_with_or_without_byte_order_mark(tmp_path: Path, data: bytes) -> None:
    assert read_toml(write(tmp_path, data)) == {"a": "x", "t": {"b": 1}}


@pytest.mark.parametrize(
    ("fault", "data", "line", "column"),
    [
        ("value missing", b"a = 1\nb = \nc = 3\n", 2, 5),
        ("value missing, CRLF", b"a = 1\r\nb = \r\nc = 3\r\n", 2, 5),
        ("value missing after a byte order mark", b"\xef\xbb\xbfa = \n", 1, 5),
        ("value missing at the very end", b"a = 1\nb = ", 2, 5),
        ("string that never ends", b'a = 1\nb = """x\n\ny', 4, 2),
        ("table declared twice", b"[a]\n[b]\n[a]\n", 3, 3),
        ("control character", b'a = "x\x01"\n', 1, 7),
        ("NUL", b'a = 1\nbc = "\0"\n', 2, 7),
        ("not UTF-8", b'a = 1\nb = "\xe6\x9d\xad\xff"\n', 2, 7),
        ("number of five thousand digits", b"a = 1\nb = " + b"1" * 5000 + b"\n", 2, 5),
    ],
)
def test_malformed_document_names_line_and_column(
    tmp_path: Path, fault: str, data: bytes, line: int, column: int
) -> None:
    path = write(tmp_path, data)
    with pytest.raises(BadFile) as caught:
        read_toml(path)
    assert (caught.value.path, caught.value.line, caught.value.column) == (path, line, column)
    assert str(path) in str(caught.value)
    assert caught.value.do in str(caught.value)


def test_missing_file_and_directory_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(BadFile, match=str(path)):
            read_toml(path)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="is empty"):
        read_toml(write(tmp_path, b""))


def test_bottomless_nesting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="deeply"):
        read_toml(write(tmp_path, b"a = " + b"[" * 100_000))


@given(data=st.binary(max_size=60) | st.text("ab1=\"'[]{}.#-:,\\\n\r 积", max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_an_error_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = write(tmp_path_factory.getbasetemp(), b"\n" + data)
    try:
        assert isinstance(read_toml(path), dict)
    except BadFile as error:
        refusal = error
    else:
        return
    assert refusal.line is not None  # some content is there, so there is a place
    assert refusal.column is not None
