"""The figures the READMEs quote are those of the last benchmark run that was kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_ROW = re.compile(r"^\| `(\w+)` \|[^|]*\| ([\d.,]+) \(([\d.,]+)–([\d.,]+)\) \|", re.MULTILINE)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_quotes_the_benchmark_run_that_is_kept(name: str) -> None:
    kept = json.loads((ROOT / "benchmarks/results.json").read_text())
    figures = {f["name"]: tuple(_shown(f[key]) for key in ("value", "low", "high")) for f in kept["figures"]}
    text = (ROOT / name).read_text()
    quoted = {row[0]: row[1:] for row in _ROW.findall(text)}
    assert len(quoted) >= 10
    assert quoted == {figure: figures[figure] for figure in quoted}
    assert kept["machine"]["date"][:10] in text
