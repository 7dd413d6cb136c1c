"""Frames to a callback by picows and uvloop, with nothing around them.

Run: python parts_picows.py floats|exact KIND ADDRESS
"""

import sys
from collections.abc import Callable

import picows
import uvloop
from parts_frames import reader_of
from tally import Tally, addresses, subscription


class Listener(picows.WSListener):
    """Subscribes, and takes frames as they come."""

    def __init__(self, text: str, take: Callable[[bytes], None]) -> None:
        """Say what to subscribe, and who takes a frame."""
        self._text = text
        self._take = take

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Subscribe."""
        transport.send(picows.WSMsgType.TEXT, self._text.encode())

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Hand the payload over without a copy."""
        self._take(frame.get_payload_as_memoryview())


async def main(numbers: str) -> None:
    """Receive until the flow ends."""
    kind, _, url = addresses()
    tally = Tally()
    take = reader_of(kind, tally, is_exact=numbers == "exact")
    transport, _ = await picows.ws_connect(lambda: Listener(subscription(kind), take), url)
    await tally.watch()
    tally.tell()
    transport.disconnect()


if __name__ == "__main__":
    chosen = sys.argv.pop(1)
    uvloop.run(main(chosen))
