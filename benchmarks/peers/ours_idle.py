"""An API that is opened and does nothing: how long until it is open, imports and all, and how much memory it takes.

Run: python ours_idle.py idle ADDRESS
"""

import asyncio
import importlib
import json
import time

import memory

IDLE_S = 1.0


async def idle(opened: object, began: float) -> None:
    """Open, wait, look."""
    async with opened():
        open_ms = (time.perf_counter() - began) * 1000
        await asyncio.sleep(IDLE_S)
        print(json.dumps({"resident_mib": memory.resident(), "open_ms": open_ms}), flush=True)


def main() -> None:
    """Import only now, because that is measured, too."""
    began = time.perf_counter()
    ours = importlib.import_module("ours_api")
    ours.run(idle(ours.opened, began))


if __name__ == "__main__":
    main()
