"""Both stores beside a model that is too simple to be wrong: a dictionary of slots."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.ledger import keep
from market_backbone.domain.time_range import TimeRange
from market_backbone.infrastructure.candle_store import MemoryCandleStore, SqliteCandleStore

FIRST, BEYOND = 1420, 1460
"""Minutes on both sides of the border of a block."""

minutes = st.integers(FIRST, BEYOND)
halves = st.tuples(st.integers(2 * FIRST, 2 * BEYOND), st.integers(2 * FIRST, 2 * BEYOND)).map(
    lambda pair: tuple(sorted(pair))
)
views = st.tuples(
    st.integers(10, 12), st.sampled_from(SealedBy), st.sampled_from([Finality.FINAL, Finality.FINAL, Finality.CLOSED])
)
writes = st.fixed_dictionaries(
    {
        "rows": st.dictionaries(minutes, views, max_size=20),
        "proven": st.lists(halves, max_size=2),
        "provisional": st.lists(halves, max_size=2),
        "asked": st.one_of(st.just((2 * FIRST, 2 * BEYOND)), halves),
    }
)
steps = st.lists(st.one_of(writes, writes, halves, st.just("aside")), max_size=8)


class Model:
    """Slot by slot."""

    def __init__(self):
        self.rows, self.proven, self.provisional = {}, set(), set()

    def write(self, series, pages):
        unsealed = {candle.opened_at for candle in series if not candle.is_final}
        asked = series.coverage.asked
        added, revised = 0, []
        for candle in series:
            if candle.is_final:
                old = self.rows.get(candle.opened_at)
                new = self.rows[candle.opened_at] = keep(old, candle)
                added += old is None
                revised += [(old, new)] if old and not old.is_same_market_data(new) else []
        self.proven |= whole(series.coverage.proven, asked, pages) - unsealed
        self.provisional |= whole(series.coverage.provisional, asked, pages) - unsealed
        self.provisional -= self.proven
        return added, revised

    def invalidate(self, span):
        minute = timedelta(minutes=1)
        self.provisional -= {
            slot for slot in self.provisional if slot < span.end and span.start < slot + minute and span
        }


def whole(ranges, asked, pages):
    """Every slot that the ranges hold together, end to end, inside the question."""
    half = timedelta(seconds=30)
    known = {
        pages.START + half * number
        for span in ranges
        for number in range(2 * FIRST - 2, 2 * BEYOND + 2)
        if pages.START + half * number in span and pages.START + half * number in asked
    }
    return {at for at in known if at.second == 0 and at + half in known}


def half_span(pages, pair):
    first, beyond = (pages.START + timedelta(seconds=30 * number) for number in pair)
    return TimeRange(first, beyond)


def series_of(pages, step):
    rows = [
        pages.candle(number, price, by=by, finality=finality) for number, (price, by, finality) in step["rows"].items()
    ]
    empty = pages.series(rows)
    coverage = type(empty.coverage)(
        asked=half_span(pages, step["asked"]),
        proven=[half_span(pages, pair) for pair in step["proven"]],
        provisional=[half_span(pages, pair) for pair in step["provisional"]],
    )
    return type(empty)(empty.columns, coverage)


async def agree(pages, taken, path):
    stores = [MemoryCandleStore(), SqliteCandleStore(path, report=lambda *told: None)]
    model = Model()
    try:
        for step in taken:
            await take(pages, stores, model, step)
            if step == "aside":
                model = Model()
            await compare(pages, stores, model)
    finally:
        for store in stores:
            await store.close()


async def take(pages, stores, model, step):
    if step == "aside":
        counts = [await store.quarantine(pages.KEY, "because") for store in stores]
        assert counts == [len(model.rows)] * 2
    elif isinstance(step, tuple):
        for store in stores:
            await store.invalidate(pages.KEY, half_span(pages, step))
        model.invalidate(half_span(pages, step))
    else:
        series = series_of(pages, step)
        expected = model.write(series, pages)
        for store in stores:
            remembered = await store.write(series)
            assert (remembered.added, list(remembered.revised)) == expected


async def compare(pages, stores, model):
    everything, cut = pages.span(FIRST - 5, BEYOND + 5), pages.span(FIRST + 10, BEYOND - 10)
    expected = [model.rows[slot] for slot in sorted(model.rows)]
    for store in stores:
        assert list(await store.read(pages.KEY, everything)) == expected
        assert list(await store.read(pages.KEY, cut)) == [row for row in expected if row.opened_at in cut]
        assert list(await store.read_newest(pages.KEY, 5, everything)) == expected[-5:]
        assert pages.slots(store.ledger(pages.KEY).proven) == model.proven
        assert pages.slots(store.ledger(pages.KEY).provisional) == model.provisional
    assert stores[0].ledger(pages.KEY) == stores[1].ledger(pages.KEY)
    assert await stores[0].inventory() == await stores[1].inventory()


@settings(max_examples=60, deadline=None)
@given(steps)
def test_both_stores_hold_what_a_dictionary_of_slots_would_hold_after_any_writes(pages, taken):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(agree(pages, taken, Path(folder) / "candles.sqlite"))
