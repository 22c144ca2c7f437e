"""The command `hutong`."""

import sys


def main() -> None:
    """What the installed command `hutong` runs."""
    from node.cli import words

    arguments = words.choose(sys.argv[1:])  # before the commands are imported: their help texts are chosen then
    from node.cli.run import run

    sys.exit(run(arguments))
