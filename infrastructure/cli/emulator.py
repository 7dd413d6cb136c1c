"""The command ``sandbox``: an Upbit on this computer, for any client."""

from pathlib import Path
from typing import Annotated

import typer

from ..sandbox import SandboxConfig, serve
from .console import parse_instant, put, run


def sandbox(  # noqa: PLR0917 - typer reads the signature
    port: Annotated[int, typer.Option(help="Port on this computer; 0 for any free one.")] = 8765,
    seed: Annotated[int, typer.Option(help="One seed is one market, for ever.")] = 7,
    speed: Annotated[float, typer.Option(help="Market seconds per real second.")] = 1.0,
    replay: Annotated[Path | None, typer.Option(help="Serve a recording instead of the seeded market.")] = None,
    faults: Annotated[Path | None, typer.Option(help="A fault script (TOML or JSON).")] = None,
    region: Annotated[str, typer.Option(help="kr, sg, id or th.")] = "kr",
    start: Annotated[str | None, typer.Option(help="Market time at the start, such as 2026-11-01 (UTC).")] = None,
    *,
    limits: Annotated[bool, typer.Option(help="Enforce the rate limits.")] = True,
) -> None:
    """Run the Upbit emulator until Ctrl-C; point any Upbit client at the address that it prints."""

    async def work() -> None:
        config = SandboxConfig(
            seed=seed,
            speed=speed,
            port=port,
            starts_at=parse_instant(start, "--start"),
            replay=replay,
            faults=faults,
            region=region,
            limits=limits,
        )
        await serve(config, put)

    run(work)
