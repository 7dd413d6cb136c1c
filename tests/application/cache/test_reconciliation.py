"""What a page says about what is held, told from columns, is what comparing candle by candle says."""

from datetime import timedelta
from decimal import Decimal

from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from market_backbone import CandleSeries, Coverage, Finality, Symbol, Timeframe, TimeRange
from market_backbone.application.cache.reconciliation import compare
from market_backbone.domain.finality import SealedBy

MINUTE = timedelta(minutes=1)
SLOTS = 8

views = st.fixed_dictionaries(
    {},
    optional={
        slot: st.tuples(
            st.sampled_from(["1", "2", "1.0000000001", "1.0000000002"]),
            st.sampled_from([None, "5", "5.000000001"]),
            st.booleans(),
        )
        for slot in range(SLOTS)
    },
)
ranges = st.lists(st.tuples(st.integers(0, SLOTS), st.integers(0, SLOTS)).map(sorted), max_size=2)


def series_of(kit, rows, proven, provisional=()):
    """A series of these rows; (volume, turnover, whether FINAL) of each."""
    start = kit.candle(0).opened_at
    candles = [
        evolve(
            kit.candle(slot, volume=volume),
            quote_volume=None if turnover is None else Decimal(turnover),
            finality=Finality.FINAL if is_final else Finality.CLOSED,
            sealed_by=SealedBy.REST if is_final else None,
        )
        for slot, (volume, turnover, is_final) in sorted(rows.items())
    ]
    spans = [[TimeRange(start + MINUTE * a, start + MINUTE * b) for a, b in given] for given in (proven, provisional)]
    coverage = Coverage(asked=TimeRange(start, start + SLOTS * MINUTE), proven=spans[0], provisional=spans[1])
    return CandleSeries.of("test", Symbol("KRW-BTC"), Timeframe.M1, candles, coverage)


def slots_in(spans):
    return {at for span in spans for at in _slots(span)}


def _slots(span):
    at = span.start
    while at < span.end:
        yield at
        at += MINUTE


@given(held=views, page=views, spans=st.tuples(ranges, ranges, ranges))
@example(held={0: ("1.0000000001", None, True)}, page={0: ("1.0000000002", None, True)}, spans=([], [], []))
def test_rows_are_compared_as_their_candles_are(kit, held, page, spans):
    proven, known, watched = spans
    old, new = series_of(kit, held, known, watched), series_of(kit, page, proven)

    found = compare(old, new)

    mine = {candle.opened_at: candle for candle in old if candle.is_final}
    theirs = {candle.opened_at: candle for candle in new if candle.is_final}
    gone = {slot for slot in mine if slot not in theirs} & slots_in(new.coverage.proven)
    come = {slot for slot in theirs if slot not in mine}
    changed = {slot for slot in mine if slot in theirs and not mine[slot].is_same_market_data(theirs[slot])}
    come_known = come & slots_in(old.coverage.proven)
    assert set(found.shared) == {slot for slot in mine if slot in theirs} | gone | come_known
    assert set(found.differences) == changed | gone | come_known
    assert {span.start for span in found.doubted} == come & slots_in(old.coverage.provisional)
    assert list(found.shared) == sorted(found.shared)
    assert list(found.differences) == sorted(found.differences)
