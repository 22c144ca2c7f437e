"""The tree against a naive reading of RFC 9162, section 2.1, and against every one-bit lie."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.merkle import (
    EMPTY_ROOT,
    NODE_LEVEL,
    Frontier,
    Node,
    consistency_proof,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    node_hash,
    root_at,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"frame %d" % number) for number in range(4096)]
EDGES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 255, 256, 257, 511, 512, 1023, 1024, 1025, 2048, 4096]

sizes = st.integers(1, 300)


# --- the oracle: the definitions of the RFC, word for word and slow --------------------------------------------


def naive_split(count: int) -> int:
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def naive_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = naive_split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = naive_split(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(first: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = naive_split(len(leaves))
    if first <= k:
        return [*naive_subproof(first, leaves[:k], whole=whole), naive_root(leaves[k:])]
    return [*naive_subproof(first - k, leaves[k:], whole=False), naive_root(leaves[:k])]


class MemoryNodes:
    """A log kept whole in memory; it remembers what it was asked for."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self.asked: list[tuple[int, int]] = []

    def node(self, level: int, index: int) -> bytes:
        self.asked.append((level, index))
        low, high = index << level, (index + 1) << level
        assert 0 <= low < high <= len(self.leaves), "asked for a subtree that is not complete"
        return naive_root(self.leaves[low:high])


def flips(value: bytes) -> Iterator[bytes]:
    """The value with each of its bits changed in turn."""
    for bit in range(len(value) * 8):
        changed = bytearray(value)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def tampered(proof: list[bytes]) -> Iterator[list[bytes]]:
    """The proof with each bit changed, each hash left out, doubled or moved, and one hash too many."""
    for at, value in enumerate(proof):
        yield from ([*proof[:at], changed, *proof[at + 1 :]] for changed in flips(value))
        yield [*proof[:at], *proof[at + 1 :]]
        yield [*proof[: at + 1], *proof[at:]]
        yield [*proof[:at], value[:31], *proof[at + 1 :]]
    if len(proof) > 1:
        yield proof[::-1]
    yield [*proof, EMPTY_ROOT]
    yield [EMPTY_ROOT, *proof]


def grow(leaves: Sequence[bytes], cuts: Sequence[int]) -> tuple[Frontier, list[Node]]:
    frontier, nodes = Frontier(), []
    bounds = [0, *sorted(cuts), len(leaves)]
    for low, high in pairwise(bounds):
        frontier, completed = frontier.extend_with_nodes(leaves[low:high])
        nodes += completed
    return frontier, nodes


# --- hashes and frontier ---------------------------------------------------------------------------------------


def test_hashes_are_those_of_the_rfc() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(LEAVES[0], LEAVES[1]) == sha256(b"\x01" + LEAVES[0] + LEAVES[1]).digest()
    assert leaf_hashes([b"a", b""]) == [leaf_hash(b"a"), leaf_hash(b"")]


def test_published_certificate_transparency_roots_are_reproduced() -> None:
    frames = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = leaf_hashes(bytes.fromhex(frame) for frame in frames)
    assert Frontier().extend(leaves).root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", EDGES)
def test_root_at_the_edges_is_the_naive_root(size: int) -> None:
    frontier = Frontier().extend(LEAVES[:size])
    assert frontier.size == size
    assert frontier.root() == naive_root(LEAVES[:size])


@given(st.integers(0, 1200), st.lists(st.integers(0, 1200), max_size=8))
def test_any_split_into_batches_gives_the_same_frontier_and_nodes(size: int, cuts: list[int]) -> None:
    leaves = LEAVES[:size]
    frontier, nodes = grow(leaves, [min(cut, size) for cut in cuts])
    at_once, nodes_at_once = grow(leaves, [])
    assert frontier == at_once
    assert frontier.root() == naive_root(leaves)
    assert sorted(nodes) == sorted(nodes_at_once)


@given(st.integers(0, 2100), st.integers(0, 2100))
def test_nodes_handed_out_are_all_complete_subtrees_a_store_must_keep(first: int, second: int) -> None:
    first, second = sorted((first, second))
    _, nodes = Frontier().extend(LEAVES[:first]).extend_with_nodes(LEAVES[first:second])
    expected = {
        (level, index, naive_root(LEAVES[index << level : (index + 1) << level]))
        for level in range(NODE_LEVEL, second.bit_length())
        for index in range(first >> level, second >> level)
    }
    assert len(nodes) == len(expected)
    assert set(nodes) == expected


def test_extending_by_nothing_changes_nothing() -> None:
    frontier = Frontier().extend(LEAVES[:13])
    assert frontier.extend([]) == frontier
    assert Frontier().extend([]).root() == EMPTY_ROOT


@given(st.integers(0, 600))
def test_frontier_survives_storage(size: int) -> None:
    frontier = Frontier().extend(LEAVES[:size])
    again = Frontier.from_bytes(size, frontier.to_bytes())
    assert again == frontier
    assert again.extend(LEAVES[size : size + 5]) == Frontier().extend(LEAVES[: size + 5])


@pytest.mark.parametrize(
    ("size", "blob"),
    [
        (0, bytes(32)),
        (1, b""),
        (1, bytes(31)),
        (1, bytes(33)),
        (3, bytes(32)),
        (4, bytes(64)),
        (-1, b""),
        (-1, bytes(32)),
    ],
)
def test_a_stored_frontier_of_the_wrong_length_is_refused(size: int, blob: bytes) -> None:
    with pytest.raises(ValueError, match=r"hashes|peaks"):
        Frontier.from_bytes(size, blob)


# --- proofs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", EDGES)
def test_frontier_of_the_past_is_found_again_in_the_nodes(size: int) -> None:
    assert frontier_at(MemoryNodes(LEAVES), size) == Frontier().extend(LEAVES[:size])
    assert root_at(MemoryNodes(LEAVES), size) == naive_root(LEAVES[:size])


def test_every_inclusion_proof_of_a_small_log_is_that_of_the_rfc_and_verifies() -> None:
    nodes = MemoryNodes(LEAVES)
    for size in range(1, 35):
        root = naive_root(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(nodes, index, size)
            assert proof == naive_path(index, LEAVES[:size])
            assert verify_inclusion(LEAVES[index], index, size, proof, root)


def test_every_consistency_proof_of_a_small_log_is_that_of_the_rfc_and_verifies() -> None:
    nodes = MemoryNodes(LEAVES)
    for second in range(1, 35):
        for first in range(1, second + 1):
            proof = consistency_proof(nodes, first, second)
            assert proof == naive_subproof(first, LEAVES[:second], whole=True)
            assert verify_consistency(first, naive_root(LEAVES[:first]), second, naive_root(LEAVES[:second]), proof)


@given(sizes, st.data())
def test_proofs_of_larger_logs_verify(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(0, size))
    nodes, root = MemoryNodes(LEAVES[:size]), naive_root(LEAVES[:size])
    inclusion = inclusion_proof(nodes, index, size)
    assert inclusion == naive_path(index, LEAVES[:size])
    assert verify_inclusion(LEAVES[index], index, size, inclusion, root)
    assert verify_consistency(first, naive_root(LEAVES[:first]), size, root, consistency_proof(nodes, first, size))


def test_proofs_over_ten_million_leaves_ask_for_few_nodes() -> None:
    class Counting:
        asked = 0

        def node(self, level: int, index: int) -> bytes:
            assert (index + 1) << level <= 10_000_001
            self.asked += 1
            return sha256(b"%d/%d" % (level, index)).digest()

    nodes = Counting()
    inclusion_proof(nodes, 7_654_321, 10_000_001)
    consistency_proof(nodes, 7_654_321, 10_000_001)
    root_at(nodes, 10_000_001)
    assert nodes.asked <= 5 * 24


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 5), (5, 5), (9, 5)])
def test_proving_a_leaf_that_is_not_there_is_refused(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="is not among"):
        inclusion_proof(MemoryNodes(LEAVES[:5]), index, size)


@pytest.mark.parametrize(("first", "second"), [(1, 0), (6, 5), (-1, 5)])
def test_proving_that_a_log_shrank_is_refused(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="cannot have grown"):
        consistency_proof(MemoryNodes(LEAVES[:5]), first, second)
    with pytest.raises(ValueError, match="no size"):
        root_at(MemoryNodes(LEAVES), -1)


# --- lies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (1, 2), (2, 3), (3, 7), (6, 7), (4, 8), (12, 13)])
def test_one_changed_bit_breaks_an_inclusion_proof(index: int, size: int) -> None:
    root, proof = naive_root(LEAVES[:size]), naive_path(index, LEAVES[:size])
    assert verify_inclusion(LEAVES[index], index, size, proof, root)
    assert not any(verify_inclusion(leaf, index, size, proof, root) for leaf in flips(LEAVES[index]))
    assert not any(verify_inclusion(LEAVES[index], index, size, proof, other) for other in flips(root))
    assert not any(verify_inclusion(LEAVES[index], index, size, lie, root) for lie in tampered(proof))
    assert not any(verify_inclusion(LEAVES[index], index ^ 1 << bit, size, proof, root) for bit in range(64))


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 3), (3, 7), (4, 7), (6, 7), (4, 8), (5, 8), (8, 13)])
def test_one_changed_bit_breaks_a_consistency_proof(first: int, second: int) -> None:
    before, after = naive_root(LEAVES[:first]), naive_root(LEAVES[:second])
    proof = naive_subproof(first, LEAVES[:second], whole=True)
    assert verify_consistency(first, before, second, after, proof)
    assert not any(verify_consistency(first, other, second, after, proof) for other in flips(before))
    assert not any(verify_consistency(first, before, second, other, proof) for other in flips(after))
    assert not any(verify_consistency(first, before, second, after, lie) for lie in tampered(proof))
    assert not any(verify_consistency(other, before, second, after, proof) for other in range(10) if other != first)


@given(sizes, st.data())
def test_a_leaf_is_not_found_anywhere_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    elsewhere = data.draw(st.integers(0, size - 1).filter(lambda other: other != index) if size > 1 else st.just(1))
    proof = naive_path(index, LEAVES[:size])
    assert not verify_inclusion(LEAVES[index], elsewhere, size, proof, naive_root(LEAVES[:size]))


@given(st.integers(2, 200), st.data())
def test_a_rewritten_past_is_never_consistent(second: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, second - 1))
    victim = data.draw(st.integers(0, first - 1))
    rewritten = [*LEAVES[:victim], leaf_hash(b"forged"), *LEAVES[victim + 1 : second]]
    proof = consistency_proof(MemoryNodes(rewritten), first, second)
    assert not verify_consistency(first, naive_root(LEAVES[:first]), second, naive_root(rewritten), proof)


def test_the_empty_log_is_the_beginning_of_every_log_and_of_nothing_else() -> None:
    root = naive_root(LEAVES[:5])
    assert verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    assert verify_consistency(0, EMPTY_ROOT, 5, root, [])
    assert not verify_consistency(0, root, 5, root, [])
    assert not verify_consistency(0, root, 0, root, [])
    assert not verify_consistency(0, EMPTY_ROOT, 5, root, [root])
    assert not verify_consistency(5, root, 0, EMPTY_ROOT, [])


def test_an_interior_node_does_not_pass_for_a_leaf() -> None:
    root = naive_root(LEAVES[:4])
    interior = node_hash(LEAVES[0], LEAVES[1])
    assert not verify_inclusion(interior, 0, 4, [node_hash(LEAVES[2], LEAVES[3])], root)


garbage_hash = st.one_of(
    st.binary(max_size=40), st.binary(min_size=32, max_size=32), st.none(), st.integers(), st.text()
)
garbage_size = st.integers(-(2**70), 2**70)
garbage_proof = st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.lists(garbage_hash, max_size=80))


@given(garbage_hash, garbage_size, garbage_size, garbage_proof, garbage_hash)
def test_garbage_is_answered_false_and_never_raises(
    value: object, index: int, size: int, proof: object, root: object
) -> None:
    assert verify_inclusion(value, index, size, proof, root) is (  # type: ignore[arg-type]
        (index, size, proof) == (0, 1, []) and value == root and type(value) is bytes and len(value) == 32
    )
    if (index, proof) != (0, []):
        assert verify_consistency(index, value, size, root, proof) is (  # type: ignore[arg-type]
            0 < index == size and proof == [] and value == root and type(value) is bytes and len(value) == 32
        )
