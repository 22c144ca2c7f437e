"""The figures of a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.figures import Figure, figure
from benchmarks.product import Run
from benchmarks.session import Measured


def figures(found: Measured) -> list[Figure]:
    """All of them, the product's first."""
    return [*_product(found), *_ratios(found), *_agreements(found), *_rest(found), *yardsticks(found)]


def yardsticks(found: Measured) -> list[Figure]:
    """Throughput and CPU of every yardstick measured."""
    listed = []
    for name, measured in found.yardsticks.items():
        yardstick, _, database = name.partition("_")
        rates = [result.transfers_per_s for result in measured]
        costs = [result.cpu_us_per_transfer for result in measured]
        listed.append(figure(f"{yardstick}_transfers_per_s_{database}", "transfers/s", rates))
        listed.append(figure(f"{yardstick}_cpu_us_per_transfer_{database}", "µs", costs))
    return listed


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _product(found: Measured) -> Iterator[Figure]:
    for database, runs in found.product.items():
        yield figure(f"transfers_per_s_{database}", "transfers/s", [run.transfers_per_s for run in runs])
        yield figure(f"cpu_us_per_transfer_{database}", "µs", [run.cpu_us_per_transfer for run in runs])
        yield figure(f"load_cpu_us_per_transfer_{database}", "µs", [run.load_cpu_us_per_transfer for run in runs])
        yield figure(f"cores_busy_elsewhere_{database}", "cores", [run.others_cores for run in runs])
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            yield figure(f"{name}_ms_at_saturation_{database}", "ms", [percentile(r.saturated_ms, share) for r in runs])
            if all(run.light_ms for run in runs):
                light = [percentile(run.light_ms, share) for run in runs]
                yield figure(f"{name}_ms_at_10_percent_load_{database}", "ms", light)
        yield from _space(database, runs)


def _space(database: str, runs: Sequence[Run]) -> Iterator[Figure]:
    grown = [run.bytes_per_transfer for run in runs]
    yield figure(f"database_bytes_per_transfer_{database}", "B", grown)
    suffix = "" if database == "sqlite" else f"_{database}"
    yield figure(f"memory_mb_source{suffix}", "MiB", [run.source_mb for run in runs])
    yield figure(f"memory_mb_destination{suffix}", "MiB", [run.destination_mb for run in runs])


def _ratios(found: Measured) -> Iterator[Figure]:
    """Each run against the yardstick's run of the same round."""
    for database, runs in found.product.items():
        for yardstick in ("floor", "ordinary"):
            measured = found.yardsticks.get(f"{yardstick}_{database}")
            if measured:
                pairs = zip(runs, measured, strict=True)
                ratios = [run.transfers_per_s / result.transfers_per_s for run, result in pairs]
                yield figure(f"transfers_ratio_to_{yardstick}_{database}", "×", ratios)


def _agreements(found: Measured) -> Iterator[Figure]:
    """Runs under an agreement against those of the same round under a file of terms."""
    if found.agreed:
        ratios = [
            agreed.transfers_per_s / terms.transfers_per_s
            for agreed, terms in zip(found.agreed, found.product["sqlite"], strict=True)
        ]
        yield figure("transfers_ratio_agreements_to_terms_sqlite", "×", ratios)
        yield figure("agreements_transfers_per_s_sqlite", "transfers/s", [run.transfers_per_s for run in found.agreed])
        cpu = [run.cpu_us_per_transfer for run in found.agreed]
        yield figure("agreements_cpu_us_per_transfer_sqlite", "µs", cpu)


def _rest(found: Measured) -> Iterator[Figure]:
    outages, openings = found.outages, found.openings
    if outages:
        yield figure("backlog_100k_resend_ratio", "×", [o.drain_per_s / o.steady_per_s for o in outages])
        yield figure("backlog_100k_resend_transfers_per_s", "transfers/s", [o.drain_per_s for o in outages])
        yield figure("backlog_100k_memory_mb_source", "MiB", [o.source_mb for o in outages])
        yield figure("backlog_100k_memory_mb_destination", "MiB", [o.destination_mb for o in outages])
    if found.floods:
        ratios = [flooded.beside_per_s / flooded.alone_per_s for flooded in found.floods]
        yield figure("transfers_ratio_with_flooding_peer", "×", ratios)
    if found.recoveries:
        yield figure("recovery_messages_per_s", "messages/s", [r.messages_per_s for r in found.recoveries])
        yield figure("recovery_cpu_us_per_message", "µs", [r.cpu_s * 1e6 / r.messages for r in found.recoveries])
        yield figure("recovery_memory_mb", "MiB", [r.peak_mb for r in found.recoveries])
    if found.greetings:
        yield figure("handshake_333_peers_s", "s", [greeted.seconds for greeted in found.greetings])
        yield figure("handshake_333_peers_memory_mb", "MiB", [greeted.peak_mb for greeted in found.greetings])
    if openings:
        yield figure("open_region_s", "s", [opened.seconds for opened in openings])
        yield figure("open_region_memory_mb", "MiB", [opened.peak_mb for opened in openings])
    yield from found.proofs
    yield from found.decisions
    yield from found.purchases
