"""The command `hutong`."""

from importlib.metadata import version

import typer

app = typer.Typer(name="hutong", no_args_is_help=True, add_completion=False)


@app.callback(invoke_without_command=True)
def root(show_version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """互通 Hutong: regions move civic points between their own ledgers."""
    if show_version:
        typer.echo(version("hutong"))
        raise typer.Exit


def main() -> None:
    """What the installed command `hutong` runs."""
    app()
