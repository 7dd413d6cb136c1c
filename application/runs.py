"""Frames of one topic that came together, taken together. Pure."""

from collections.abc import Iterable, Iterator

from ..domain.streaming import LifeBegan, LifeEnded, Received, Rejected, StreamItem

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
