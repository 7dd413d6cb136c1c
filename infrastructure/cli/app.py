"""All commands in one place."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from . import demo, emulator, explain, market_data, storage
from .console import FAILURE, LOST_OUTPUT, give_up_output, prepare_output, put


def _print_version(is_wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if is_wanted:
        put(version("market-backbone"))
        raise typer.Exit


app = typer.Typer(
    name="market-backbone",
    help="One channel for Upbit market data: complete series that say what is final and explain themselves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo.demo,
    market_data.candles,
    market_data.follow,
    storage.coverage,
    storage.download,
    storage.audit,
    market_data.markets,
    explain.explain,
    explain.adapters,
    explain.doctor,
    emulator.sandbox,
    explain.config,
):
    app.command()(command)


@app.callback()
def common(
    *,
    _: Annotated[
        bool,
        typer.Option("--version", help="Print the version, and nothing else.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """One channel for Upbit market data: complete series that say what is final and explain themselves."""


def main() -> None:
    """Run the command line; output that cannot be written ends in one sentence and code 1, and loses no work."""
    if not prepare_output():
        sys.exit(FAILURE)
    try:
        app()
    except OSError as error:
        if error.errno not in LOST_OUTPUT:
            raise
        give_up_output(error)
        sys.exit(FAILURE)
