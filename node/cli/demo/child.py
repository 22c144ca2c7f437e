"""A region's process that does not outlive the demonstration: `python -m node.cli.demo.child PARENT ARGUMENTS`.

It runs the command `hutong ARGUMENTS`, after asking the kernel to end it when the process PARENT is gone, however that
ended (prctl(2), PR_SET_PDEATHSIG). Where there is no such call the demonstration still ends what it started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Never returns."""
    parent = int(arguments[0])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the kernel could be asked
        sys.exit(1)
    os.execv(sys.executable, [sys.executable, "-m", "node.cli", *arguments[1:]])  # noqa: S606 -- its own interpreter


if __name__ == "__main__":
    main(sys.argv[1:])
