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
    run: Run = []
    for item in items:
        if not isinstance(item, Received):
            if run:
                yield run
                run = []
            yield item
            continue
        if run and (item.topic is not topic or item.received_at != read_at or len(run) >= longest):
            yield run
            run = []
        if not run:
            topic, read_at = item.topic, item.received_at
        run.append(item)
    if run:
        yield run
