"""Frames to a caller of pyupbit, through the queue of its second process.

Run: python pyupbit_stream.py KIND ADDRESS
"""

import asyncio
import functools
import resource
import threading

import pyupbit.websocket_api
from tally import Tally, addresses


def main() -> None:
    """Take one message after another until the flow ends."""
    kind, _, url = addresses()
    tally = Tally()
    connect = pyupbit.websocket_api.websockets.connect
    pyupbit.websocket_api.websockets.connect = functools.wraps(connect)(lambda _, **options: connect(url, **options))
    manager = pyupbit.WebSocketManager(kind, ["KRW-BTC"])

    def take() -> None:
        while True:
            manager.get()
            tally.hit()

    threading.Thread(target=take, daemon=True).start()
    try:
        asyncio.run(tally.watch())
    finally:
        manager.terminate()
    manager.join(5)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    tally.tell(cpu_seconds_of_its_other_process=children.ru_utime + children.ru_stime)


if __name__ == "__main__":
    main()
