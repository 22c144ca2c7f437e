"""What the figures have to reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on the median of one figure."""

    bound: float
    at_least: bool

    def holds(self, value: float) -> bool:
        """Whether the value is on the right side."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,.4g}"


GATES = {
    "transfers_ratio_to_ordinary_sqlite": Gate(60, at_least=True),
    "transfers_ratio_to_floor_sqlite": Gate(1 / 8, at_least=True),
    "cpu_us_per_transfer_sqlite": Gate(80, at_least=False),
    "p99_ms_at_10_percent_load_sqlite": Gate(30, at_least=False),
    "open_region_s": Gate(3, at_least=False),
    "open_region_memory_mb": Gate(300, at_least=False),
    "merkle_inclusion_ms_10m": Gate(10, at_least=False),
    "merkle_consistency_ms_10m": Gate(10, at_least=False),
    "transfers_ratio_agreements_to_terms_sqlite": Gate(0.8, at_least=True),
    "transfers_ratio_with_flooding_peer": Gate(0.8, at_least=True),
    "recovery_messages_per_s": Gate(20_000, at_least=True),
    "recovery_memory_mb": Gate(300, at_least=False),
    "handshake_333_peers_s": Gate(5, at_least=False),
    "backlog_100k_resend_ratio": Gate(0.8, at_least=True),
    "authorise_p50_ms": Gate(200, at_least=False),
    "deciding_cpu_us_source": Gate(25, at_least=False),
    "deciding_cpu_us_destination": Gate(25, at_least=False),
}
