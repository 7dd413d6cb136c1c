"""Frames in batches, and turns of the event loop between them."""

import asyncio
from collections.abc import Iterable, Iterator

from attrs import define

from ....domain.streaming import LifeBegan, LifeEnded, Received, Rejected, StreamItem

Batch = list[Received]
"""At least one value; all of one topic, and of one reading of the socket."""


def batch_by_topic(items: Iterable[StreamItem], longest: int) -> Iterator[Batch | LifeBegan | LifeEnded | Rejected]:
    """Yield the items in their order, values in runs: what is done for a run is not done for each value.

    A run is as long as it can be, up to ``longest``. An item is asked for only after the run before it was yielded,
    unless it belongs to the run or ends it.
    """
    first: Received | None = None
    batch: Batch = []
    for item in items:
        if not isinstance(item, Received):
            if batch:
                yield batch
            first, batch = None, []
            yield item
        elif (
            first is not None
            and item.topic is first.topic
            and item.received_at == first.received_at
            and len(batch) < longest
        ):
            batch.append(item)
        else:
            if batch:
                yield batch
            first, batch = item, [item]
    if batch:
        yield batch


@define(eq=False)
class LoopYield:
    """Lets tasks that were woken go on before more is done; a turn that they have had meanwhile need not be given.

    Giving one always would cost a round of the event loop for each frame that comes alone: 10 µs and more.
    """

    _is_over: bool = True

    async def run_woken(self) -> None:
        """Return once all who were woken since the last call have been running."""
        if not self._is_over:
            await asyncio.sleep(0)
        self.note_wakeup()

    def note_wakeup(self) -> None:
        """Note that somebody may be woken from now on, of whom the turn before knew nothing."""
        if self._is_over:
            self._is_over = False
            # called after everybody who is ready now, so they have had their turn by then
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._is_over = True
