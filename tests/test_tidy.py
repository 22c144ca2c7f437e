"""The repository's own rules: what may lie where, how long a file may be, who may import whom."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ROOT / "gateway" / "v1"
CEILING = 400  # lines a file

TOP_LEVEL = {
    ".ci", ".gitattributes", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
    "README.zh-CN.md", "benchmarks", "deploy", "gateway", "node", "proto", "pyproject.toml", "requirements", "tests",
}  # fmt: skip

#: Names that say nothing about what is inside.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}

# Spelled in two halves so that this file does not contain them.
UNFINISHED = re.compile(
    r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error", "HA" + "CK"]) + r")\b"
    r"|pytest\." + r"(?:mark\.)?" + r"(?:skip|skipif|xfail|importorskip)\b"
)


def sources(*directories: str) -> Iterator[Path]:
    """The Python files below the directories, without generated ones."""
    for directory in directories:
        for path in sorted((ROOT / directory).rglob("*.py")):
            if GENERATED not in path.parents:
                yield path


def test_no_file_is_longer_than_the_ceiling() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in sources("gateway", "node", "tests", "benchmarks", "deploy", "proto")
    }
    assert {name: lines for name, lines in lengths.items() if lines > CEILING} == {}


def test_no_file_is_named_after_nothing() -> None:
    everything = sources("gateway", "node", "tests", "benchmarks", "deploy", "proto")
    assert [path for path in everything if EMPTY_NAMES & {*path.parts[len(ROOT.parts) : -1], path.stem}] == []


def test_nothing_is_left_unfinished_or_skipped() -> None:
    marked = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources("gateway", "node", "tests", "benchmarks", "deploy", "proto")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert marked == []


def test_imports_run_one_way() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_generated_code_is_what_the_wire_description_generates() -> None:
    generated = subprocess.run(
        [sys.executable, "proto/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_pinned_requirements_name_no_index_and_no_path(name: str) -> None:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.lstrip().startswith(("#", "--hash=sha256:"))]
    assert pins
    assert [line for line in pins if not re.match(r"^[a-z0-9][\w.-]*(\[[\w,-]+\])?==[\w.!+]+( ;.*)? \\$", line)] == []
    assert [line for line in lines if re.search(r"://|index-url|find-links|@ |(^|\s)/", line)] == []


@pytest.mark.parametrize(("name", "wanted"), [("runtime", "dependencies"), ("dev", "optional-dependencies")])
def test_package_metadata_and_pinned_requirements_ask_for_the_same(name: str, wanted: str) -> None:
    lines = (ROOT / "requirements" / f"{name}.in").read_text("utf-8").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = project[wanted] if wanted == "dependencies" else project[wanted]["dev"]
    assert sorted(line for line in lines if line and line[0] not in "#-") == sorted(declared)


def test_the_top_level_holds_only_what_it_should() -> None:
    """Somebody's own files beside the project (regions, notes) are not its business; what git tracks is."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        found = {name.split("/")[0] for name in listed.split("\0") if name}
    except (OSError, subprocess.CalledProcessError):  # no git here, or an unpacked archive: look for code instead
        found = {path.name for path in ROOT.iterdir() if path.suffix in {".py", ".toml", ".cfg", ".ini", ".lock"}}
        found |= {path.parent.name for path in ROOT.glob("[!.]*/__init__.py")} - {"build", "dist"}
    assert found - TOP_LEVEL == set()
