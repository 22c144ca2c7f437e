"""Ids of commands: always 16 bytes, whatever the key looks like."""

import pytest

from tests.federation import pair


@pytest.mark.parametrize(
    "key",
    [
        "k",
        "",
        "019a5e2c-7d10-7f3a-8b21-0c9d3e4f5a6b",
        "0190    -    -7123-8123-123456789012",
        "0 1 9 0 -1 2 -7123-8123-123456789012",
        "zzzzzzzz-zzzz-7123-8123-123456789012",
        "居民",
        "x" * 200,
    ],
)
def test_an_id_has_16_bytes_and_is_another_callers_for_no_key(key: str) -> None:
    office = pair(open_now=False).regions[330100].office
    assert len(office.public_id("client", key)) == 16
    assert office.public_id("client", key) == office.public_id("client", key)
    assert office.public_id("other", key) != office.public_id("client", key)


def test_ids_of_uuid7_keys_sort_by_time() -> None:
    office = pair(open_now=False).regions[330100].office
    keys = [f"019a5e2c-7d{n:02x}-7f3a-8b21-0c9d3e4f5a6b" for n in range(50)]
    ids = [office.public_id("client", key) for key in keys]
    assert ids == sorted(ids)
