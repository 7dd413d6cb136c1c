"""Frames in batches, and turns of the event loop between them."""

import asyncio
from collections.abc import Iterable, Iterator

from attrs import define

from ....domain.streaming import LifeBegan, LifeEnded, Received, Rejected, StreamItem

Run = list[Received]
"""At least one value; all of one topic, and of one reading of the socket."""


def in_runs(items: Iterable[StreamItem], longest: int) -> Iterator[Run | LifeBegan | LifeEnded | Rejected]:
    """Yield the items in their order, values in runs: what is done for a run is not done for each value.

    A run is as long as it can be, up to ``longest``. An item is asked for only after the run before it was yielded,
    unless it belongs to the run or ends it.
    """
    first: Received | None = None
    run: Run = []
    for item in items:
        if not isinstance(item, Received):
            if run:
                yield run
            first, run = None, []
            yield item
        elif (
            first is not None
            and item.topic is first.topic
            and item.received_at == first.received_at
            and len(run) < longest
        ):
            run.append(item)
        else:
            if run:
                yield run
            first, run = item, [item]
    if run:
        yield run


@define(eq=False)
class Turn:
    """Lets tasks that were woken go on before more is done; a turn that they have had meanwhile need not be given.

    Giving one always would cost a round of the event loop for each frame that comes alone: 10 µs and more.
    """

    _is_over: bool = True

    async def give(self) -> None:
        """Return once all who were woken since the last call have been running."""
        if not self._is_over:
            await asyncio.sleep(0)
        self.begin()

    def begin(self) -> None:
        """Note that somebody may be woken from now on, of whom the turn before knew nothing."""
        if self._is_over:
            self._is_over = False
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._is_over = True
