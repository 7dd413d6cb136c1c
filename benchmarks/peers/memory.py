"""How much memory this process takes. Standard library only."""

import resource
import sys
from pathlib import Path

MIB = 1 << 20


def resident() -> float:
    """Return what is resident now, in MiB; where the system does not tell, the most that ever was."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() / MIB if statm.exists() else most()


def most() -> float:
    """Return the most that ever was resident, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MIB if sys.platform == "darwin" else 1024)
