"""All commands in one place."""

import typer

from . import demo, emulator
from . import explain as insight
from . import market_data as data
from . import storage as held

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
    data.candles,
    data.follow,
    held.coverage,
    held.download,
    held.audit,
    data.markets,
    insight.explain,
    insight.adapters,
    insight.doctor,
    emulator.sandbox,
    insight.config,
):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    app()
