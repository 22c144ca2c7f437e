"""`python -m node.cli` is `hutong`."""

from node.cli import main

if __name__ == "__main__":
    main()
