"""Who used the processors."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)
"""Columns of /proc/stat: idle, and idle while waiting for a disk."""
_GUEST = 8
"""From this column on time is counted that an earlier one has counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU seconds, user and system mode."""

    regions_s: float
    load_s: float
    """Of this process."""
    others_s: float
    """Of everything else on this machine."""

    def since(self, before: Cost) -> Cost:
        """What was used between two looks."""
        return Cost(
            regions_s=self.regions_s - before.regions_s,
            load_s=self.load_s - before.load_s,
            others_s=self.others_s - before.others_s,
        )


def cost_so_far(regions_s: float) -> Cost:
    """Look now; `regions_s` is what is being measured."""
    load_s = time.process_time()
    columns = [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1 : _GUEST + 1]]
    busy_s = sum(ticks for column, ticks in enumerate(columns) if column not in _IDLE) / _TICKS
    return Cost(regions_s=regions_s, load_s=load_s, others_s=busy_s - regions_s - load_s)
