"""Generate gateway/v1 from the .proto files beside this script, or check that it is what they generate.

    python proto/generate.py            write gateway/v1
    python proto/generate.py --check    exit 1, naming the files, if gateway/v1 differs from that

Published packages no longer carry Python code for `buf/validate/validate.proto`, which the field rules need, so it is
generated too, as `gateway.v1.buf.validate`: a top-level package `buf` could collide with somebody else's.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROTO = Path(__file__).resolve().parent
GENERATED = PROTO.parent / "gateway" / "v1"
RULES = "buf/validate/validate.proto"

#: `buf.validate` as a Python module, in an import or a stub; not the protobuf name inside a descriptor.
_RULES_MODULE = re.compile(r"^((?:from|import) )(?=buf\.validate)", re.MULTILINE)
_RULES_REFERENCE = re.compile(r"(?<![\w.])(?=buf\.validate\.validate_pb2\.)")


def _protoc(*arguments: str) -> None:
    environment = {"PATH": str(Path(sys.executable).parent)}  # where protoc-gen-mypy lives
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", *arguments], check=True, cwd=PROTO, env=environment
    )


def generate(out: Path) -> None:
    """Write all generated modules and stubs into the directory `out`, which stands for gateway/v1."""
    sources = sorted(PROTO.glob("gateway/v1/*.proto"))
    names = [str(source.relative_to(PROTO)) for source in sources]
    services = [name for name, source in zip(names, sources, strict=True) if "\nservice " in source.read_text("utf-8")]
    with tempfile.TemporaryDirectory() as scratch:
        _protoc(f"--python_out={scratch}", f"--mypy_out=quiet:{scratch}", *names, RULES)
        if services:
            _protoc(f"--grpc_python_out={scratch}", f"--mypy_grpc_out=quiet:{scratch}", *services)
        for path in sorted(Path(scratch).rglob("*.py*")):
            relative = path.relative_to(scratch)
            target = out / (relative.relative_to("gateway/v1") if relative.parts[0] == "gateway" else relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = _RULES_MODULE.sub(r"\1gateway.v1.", path.read_text("utf-8"))
            target.write_text(_RULES_REFERENCE.sub("gateway.v1.", text), "utf-8")
    for package in ("buf", "buf/validate"):
        (out / package / "__init__.py").write_text("", "utf-8")


def _contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*.py*")
        if path != directory / "__init__.py" and path.suffix in {".py", ".pyi"}
    }


def check() -> list[str]:
    """The names of the files in gateway/v1 that are missing, superfluous or different."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        wanted, found = _contents(Path(scratch)), _contents(GENERATED)
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main() -> int:
    """Do what the command line asks; the exit code."""
    if sys.argv[1:] == ["--check"]:
        drifted = check()
        for name in drifted:
            print(f"gateway/v1/{name} is not what proto/ generates: run `make proto`", file=sys.stderr)
        return 1 if drifted else 0
    for stale in [path for path in GENERATED.glob("*_pb2*.py*") if path.is_file()]:
        stale.unlink()
    shutil.rmtree(GENERATED / "buf", ignore_errors=True)
    generate(GENERATED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
