"""Write the golden vectors beside this script, or check that they are what today's code makes.

    python proto/vectors/generate.py            write *.json
    python proto/vectors/generate.py --check    exit 1, naming the files that differ

Keys, salts and times are fixed, so the files are the same, byte for byte, whenever the protocol is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from making import (  # noqa: E402  (the path above comes first)
    attestations,
    clawback,
    disputes,
    handshakes,
    messages,
    people,
    points,
    receiving,
    roaming,
    trust,
    verdicts,
)

FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "frames": messages.frames,
    "bodies": messages.bodies,
    "signed": messages.signed,
    "merkle": messages.trees,
    "conversion": points.conversion,
    "blocks": points.blocks,
    "addresses": points.addresses,
    "offers": points.offers,
    "receiving": receiving.receiving,
    "handshakes": handshakes.handshakes,
    "people": people.people,
    "roaming": roaming.file,
    "rosters": trust.rosters,
    "proofs": trust.proofs,
    "attestations": attestations.attestations,
    "agreements": verdicts.agreements,
    "clawback": clawback.clawbacks,
    "disputes": disputes.disputes,
}


def main(arguments: list[str]) -> int:
    """The exit status."""
    differing = []
    for name, make in FILES.items():
        path = HERE / f"{name}.json"
        text = json.dumps(make(), ensure_ascii=False, indent=1) + "\n"
        if not path.exists() or path.read_text("utf-8") != text:
            differing.append(path.name)
            if "--check" not in arguments:
                path.write_text(text, "utf-8")
    strange = sorted({path.stem for path in HERE.glob("*.json")} - FILES.keys())
    for name in differing:
        print(f"{name}: {'differs' if '--check' in arguments else 'written'}")
    for name in strange:
        print(f"{name}.json: nothing here makes it")
    return int("--check" in arguments and bool(differing or strange))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
