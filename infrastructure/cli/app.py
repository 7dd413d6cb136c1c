"""All commands in one place."""

import typer

from . import demo, emulator, explain, market_data, storage

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


def main() -> None:
    """Run the command line."""
    app()
