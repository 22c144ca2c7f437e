"""The Merkle tree of a log: RFC 9162, section 2.1, over SHA-256.

Three ways to hold the same tree:

* a :class:`Frontier` is what a log's end keeps: O(log n) hashes, enough to append and to name the root;
* :class:`Nodes` is what a store offers: any perfect subtree, from which roots of the past and proofs are made;
* a proof is a list of hashes that lets somebody without the log check one leaf, or one growth, against a root.

Levels count from 0 (leaves); node ``(level, index)`` covers the leaves ``[index << level, (index + 1) << level)``.
Every hash is 32 bytes. The makers raise ``ValueError`` when asked for what the tree does not hold;
the verifiers, which read what a stranger sent, answer ``False`` and never raise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import Protocol, TypeGuard

HASH_BYTES = 32
"""Length of every hash, in bytes."""

NODE_LEVEL = 8
"""The lowest level worth storing: a node below it is cheaper to hash again (at most 256 leaves) than to keep."""

EMPTY_ROOT = sha256().digest()
"""Root of the log with no leaves (RFC 9162, 2.1.1)."""

Node = tuple[int, int, bytes]
"""Level, index within the level, hash of one perfect subtree."""


def leaf_hash(frame: bytes) -> bytes:
    """Hash of one leaf; the 0x00 keeps a leaf from passing for an interior node."""
    return sha256(b"\x00" + frame).digest()


def leaf_hashes(frames: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each frame, in order, without a call per frame."""
    digest = sha256
    return [digest(b"\x00" + frame).digest() for frame in frames]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node over the hashes of its two children."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The right edge of a tree: all that appending and naming the root need.

    ``Frontier()`` is the empty log. Raises ``ValueError`` when `peaks` cannot belong to `size`.
    """

    size: int = 0
    """Number of leaves."""
    peaks: tuple[bytes, ...] = ()
    """Roots of the perfect subtrees that make up the tree, largest (leftmost) first: one per 1-bit of `size`."""

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"{len(self.peaks)} peaks cannot be the frontier of {self.size} leaves")

    def root(self) -> bytes:
        """Root of the tree over all `size` leaves."""
        return _fold(self.peaks)

    def extend(self, leaves: Sequence[bytes]) -> "Frontier":
        """The frontier after appending these leaf hashes, which may be none."""
        return self.extend_with_nodes(leaves)[0]

    def extend_with_nodes(self, leaves: Sequence[bytes]) -> tuple["Frontier", list[Node]]:
        """As `extend`, and every node of at least `NODE_LEVEL` that this batch completed, lower levels first.

        However a log was cut into batches, the union of their nodes is the same.
        """
        digest = sha256
        left = list(self.peaks)
        right: list[bytes] = []
        nodes: list[Node] = []
        row = list(leaves)
        level, first = 0, self.size
        while row:
            if level >= NODE_LEVEL:
                nodes += [(level, index, value) for index, value in enumerate(row, first)]
            if first & 1:
                row.insert(0, left.pop())
            if len(row) & 1:
                right.append(row.pop())
            pairs = iter(row)
            row = [digest(b"\x01" + a + b).digest() for a, b in zip(pairs, pairs, strict=True)]
            level, first = level + 1, first >> 1
        right.reverse()
        return Frontier(size=self.size + len(leaves), peaks=(*left, *right)), nodes

    def to_bytes(self) -> bytes:
        """The peaks one after another; `size` is stored beside them."""
        return b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, size: int, blob: bytes) -> "Frontier":
        """Read what `to_bytes` wrote; ``ValueError`` when it is not the right length for `size`."""
        if len(blob) % HASH_BYTES:
            raise ValueError(f"{len(blob)} bytes are not a whole number of hashes")
        peaks = tuple(blob[at : at + HASH_BYTES] for at in range(0, len(blob), HASH_BYTES))
        return cls(size=size, peaks=peaks)


class Nodes(Protocol):
    """A source of perfect subtrees of one log."""

    def node(self, level: int, index: int) -> bytes:
        """Hash of the perfect subtree over the leaves ``[index << level, (index + 1) << level)``.

        Asked only for subtrees that lie wholly within the `size` named to the function that asks. A store keeps
        levels from `NODE_LEVEL` up in a table and hashes lower ones from at most 256 leaves.
        """
        ...


def frontier_at(nodes: Nodes, size: int) -> Frontier:
    """The frontier when the log had `size` leaves: at most one node per bit of `size`."""
    if size < 0:
        raise ValueError(f"a log has no size {size}")
    return Frontier(size=size, peaks=tuple(_peaks(nodes, 0, size)))


def root_at(nodes: Nodes, size: int) -> bytes:
    """Root when the log had `size` leaves."""
    return frontier_at(nodes, size).root()


def inclusion_proof(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """Proof that leaf `index` is in the tree of `size` leaves, nearest sibling first (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not among {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_root(nodes, middle, high))
            high = middle
        else:
            path.append(_range_root(nodes, low, middle))
            low = middle
    path.reverse()
    return path


def consistency_proof(nodes: Nodes, first: int, second: int) -> list[bytes]:
    """Proof that the tree of `second` leaves grew from the tree of `first` (RFC 9162, 2.1.4.1).

    Empty when the sizes are equal or `first` is 0: there is nothing to prove.
    """
    if not 0 <= first <= second:
        raise ValueError(f"{first} leaves cannot have grown into {second}")
    if first in (0, second):
        return []
    path: list[bytes] = []
    low, high = 0, second
    while high != first:
        middle = low + _split(high - low)
        if first <= middle:
            path.append(_range_root(nodes, middle, high))
            high = middle
        else:
            path.append(_range_root(nodes, low, middle))
            low = middle
    if low:  # otherwise what remains is the whole first tree, whose root the verifier already has
        path.append(_range_root(nodes, low, high))
    path.reverse()
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that the leaf hash `leaf` is number `index` under `root` (RFC 9162, 2.1.3.2).

    `size` must come from the same signed head as `root`: a root alone does not fix the size.
    """
    if not 0 <= index < size or not _are_hashes((leaf, root)) or not _are_hashes(proof):
        return False
    value, position, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            value = node_hash(sibling, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and value == root


def verify_consistency(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree under `second_root` begins with the one under `first_root` (2.1.4.2).

    Every log begins with the empty one, so ``first == 0`` needs `EMPTY_ROOT` and an empty proof and then says
    nothing about `second_root`.
    """
    if not 0 <= first <= second or not _are_hashes((first_root, second_root)) or not _are_hashes(proof):
        return False
    if first == second:
        return not proof and first_root == second_root and (first > 0 or first_root == EMPTY_ROOT)
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    if not proof:
        return False
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(count: int) -> int:
    """The largest power of two below `count` leaves, where RFC 9162 cuts a tree of two or more."""
    return 1 << (count - 1).bit_length() - 1


def _peaks(nodes: Nodes, low: int, high: int) -> list[bytes]:
    """Perfect subtrees of the leaves ``[low, high)``, largest first; `low` is aligned to the largest."""
    peaks: list[bytes] = []
    while low < high:
        level = (high - low).bit_length() - 1
        peaks.append(nodes.node(level, low >> level))
        low += 1 << level
    return peaks


def _range_root(nodes: Nodes, low: int, high: int) -> bytes:
    return _fold(_peaks(nodes, low, high))


def _fold(peaks: Sequence[bytes]) -> bytes:
    """Root over perfect subtrees given largest first: the smaller ones join up before they meet a larger."""
    if not peaks:
        return EMPTY_ROOT
    *_, root = accumulate(reversed(peaks), lambda right, left: node_hash(left, right))
    return root


def _are_hashes(values: object) -> TypeGuard[Sequence[bytes]]:
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):  # an empty text is no list of hashes
        return False
    return all(isinstance(value, bytes) and len(value) == HASH_BYTES for value in values)
