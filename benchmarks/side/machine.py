"""What the figures were measured on, and which core does what. Standard library only."""

import os
import platform
from pathlib import Path


def cores() -> tuple[int, int] | None:
    """Return one core for the server and one for the client; None where processes cannot be pinned to two."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else None


def pin(core: int | None) -> None:
    """Keep this process on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def describe() -> str:
    """Name processor, cores, system and Python."""
    pinned = "server and client on a core each" if cores() else "processes not pinned"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{_processor()}, {os.cpu_count()} cores ({pinned}), {platform.system()} {platform.release()}, {python}"


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
