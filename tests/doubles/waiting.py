"""Waiting for something to happen, and never for ever."""

import asyncio
import sys
from contextlib import contextmanager


@contextmanager
def untraced():
    """Measure no coverage meanwhile: hours of virtual time take half as long, and show nothing new."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


async def take(events, enough, *, seconds=30):
    """Read events until ``enough(them)`` is true."""
    taken = []
    async with asyncio.timeout(seconds):
        async for event in events:
            taken.append(event)
            if enough(taken):
                return taken
    return taken


async def until(condition, *, seconds=30):
    """Wait until something has happened."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.02)
