"""Running seeds: one after another, each with what it says when it fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from node.services.recovery import page
from tests.simulation.acts import run
from tests.simulation.violation import Violation
from tests.simulation.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A seed whose history broke a promise."""

    seed: int
    what: str
    trace: tuple[str, ...]
    is_broken_promise: bool  # or else an error of the simulation itself
    restores: bool = False
    dealings: bool = False

    def __str__(self) -> str:
        kind = " --restores" * self.restores + " --dealings" * self.dealings
        return f"seed {self.seed}: {self.what}\nreplay: python -m tests.simulation{kind} --seed {self.seed} --trace"


@contextmanager
def pages_of(size: int) -> Iterator[None]:
    """What a restored peer is given back comes in pages of so many bytes, a frame at least."""
    usual, page.PAGE_BYTES = page.PAGE_BYTES, size
    try:
        yield
    finally:
        page.PAGE_BYTES = usual


def play(seed: int, *, restores: bool = False, dealings: bool = False) -> tuple[Counter[str], Failure | None, World]:
    """One whole history. Returns what happened, counted, and what went wrong."""
    world = World(seed, restores=restores, dealings=dealings)
    failure = None
    try:
        with pages_of(1 if restores and seed % 2 else page.PAGE_BYTES):
            run(world)
    except Exception as fault:
        # Whatever a region does, it never trips over itself: any error is a failure of the seed.
        what = str(fault) if isinstance(fault, AssertionError) else repr(fault)
        failure = Failure(
            seed=seed, what=what or repr(fault), trace=tuple(world.log),
            is_broken_promise=isinstance(fault, Violation), restores=restores, dealings=dealings,
        )  # fmt: skip
    world.close()
    return world.count, failure, world


def play_all(seeds: Iterable[int], *, restores: bool = False, dealings: bool = False) -> list[Failure]:
    """Many, one after another."""
    played = (play(seed, restores=restores, dealings=dealings)[1] for seed in seeds)
    return [failure for failure in played if failure is not None]
