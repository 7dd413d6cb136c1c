"""How much one program holds on to: everything that can be reached from it, but for the world around it."""

import asyncio
import gc
import sys
from types import FrameType, FunctionType, ModuleType

WORLD = ("simulated_", "market_backbone.infrastructure.sandbox", "structlog", "logging")
SHARED = (type, ModuleType, FunctionType, FrameType, asyncio.AbstractEventLoop, asyncio.Task)


def held_bytes(root):
    """Return the bytes of all objects that can be reached from ``root``; what a whole process shares is left out."""
    seen, waiting, held = {id(root)}, [root], 0
    while waiting:
        one = waiting.pop()
        held += sys.getsizeof(one)
        for other in gc.get_referents(one):
            if id(other) not in seen and not _is_shared(other):
                seen.add(id(other))
                waiting.append(other)
    return held


def _is_shared(one):
    return isinstance(one, SHARED) or type(one).__module__.startswith(WORLD)
