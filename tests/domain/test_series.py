from datetime import UTC, datetime, timedelta
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.candle import Candle
from market_backbone.domain.coverage import Coverage, Reason
from market_backbone.domain.errors import IntegrityError
from market_backbone.domain.finality import Finality
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe

START = datetime(2026, 1, 1, tzinfo=UTC)
BTC = Symbol("KRW-BTC")


def minute(number):
    return START + timedelta(minutes=number)


def candle(number, close="100", **changes):
    price = Decimal(close)
    fields = {
        "venue": "upbit-kr",
        "symbol": BTC,
        "timeframe": Timeframe.M1,
        "opened_at": minute(number),
        "open": price,
        "high": price + 1,
        "low": price - 1,
        "close": price,
        "volume": Decimal("0.12345678"),
        "quote_volume": Decimal("12.5"),
        "source": "rest",
        "finality": Finality.CLOSED,
    }
    return Candle(**fields | changes)


def series(slots, asked=(0, 20), proven=((0, 20),), explained=()):
    coverage = Coverage(
        asked=TimeRange(*map(minute, asked)), proven=tuple(TimeRange(*map(minute, part)) for part in proven)
    )
    for start, end, reason in explained:
        coverage = coverage.explain(TimeRange(minute(start), minute(end)), reason)
    return CandleSeries.of("upbit-kr", BTC, Timeframe.M1, [candle(slot, str(100 + slot)) for slot in slots], coverage)


@given(st.sets(st.integers(0, 19)), st.randoms())
def test_a_series_is_a_sequence_of_candles_oldest_first_in_whatever_order_they_came(slots, random):
    candles = [candle(slot) for slot in sorted(slots)]
    shuffled = random.sample(candles, len(candles))

    made = CandleSeries.of("upbit-kr", BTC, Timeframe.M1, shuffled, Coverage(asked=TimeRange(minute(0), minute(20))))

    assert list(made) == candles
    assert [made[row] for row in range(-len(candles), len(candles))] == candles * 2
    assert made == CandleSeries.of("upbit-kr", BTC, Timeframe.M1, candles, made.coverage)
    assert list(reversed(made)) == candles[::-1]


@given(
    st.sets(st.integers(0, 19)), st.one_of(st.none(), st.integers(-25, 25)), st.one_of(st.none(), st.integers(-25, 25))
)
def test_a_slice_is_a_series_that_asks_for_no_more_than_it_holds(slots, start, stop):
    whole = series(slots)

    part = whole[start:stop]

    assert list(part) == list(whole)[start:stop]
    inside = set(Timeframe.M1.slots(part.coverage.asked))
    assert {one.opened_at for one in part} <= inside <= set(Timeframe.M1.slots(whole.coverage.asked))
    assert sum(Timeframe.M1.count_slots(quiet.span) for quiet in part.quiet()) == len(inside) - len(part)


def test_a_series_can_be_cut_but_not_thinned():
    with pytest.raises(ValueError, match="step of 2"):
        _ = series([1, 2])[::2]


@pytest.mark.parametrize("index", [2, -3])
def test_an_index_outside_is_an_index_error(index):
    with pytest.raises(IndexError, match="a series of 2 candles"):
        _ = series([1, 2])[index]


def test_series_differ_by_any_candle_and_by_whose_they_are():
    assert series([1, 2]) == series([1, 2], proven=())
    assert series([1, 2]) != series([1, 3])
    assert series([1, 2]) != series([1])
    assert series([1]) != [candle(1)]
    with pytest.raises(TypeError, match="unhashable"):
        hash(series([1]))


@pytest.mark.parametrize(
    "stranger", [{"venue": "sandbox:x"}, {"symbol": Symbol("KRW-ETH")}, {"timeframe": Timeframe.S1}]
)
def test_one_series_never_mixes_venues_symbols_or_timeframes(stranger):
    with pytest.raises(IntegrityError, match="does not belong"):
        CandleSeries.of("upbit-kr", BTC, Timeframe.M1, [candle(1, **stranger)], Coverage.nothing(START))


def test_one_slot_has_one_candle():
    with pytest.raises(IntegrityError, match="one candle per slot"):
        CandleSeries.of("upbit-kr", BTC, Timeframe.M1, [candle(1), candle(1)], Coverage.nothing(START))


def test_a_series_says_what_it_is_and_what_it_lacks():
    assert repr(series([3, 5], asked=(3, 9), proven=((3, 7),))) == (
        "<CandleSeries KRW-BTC 1m at upbit-kr: 2 candles [2026-01-01T00:03:00Z, 2026-01-01T00:09:00Z), 2 quiet, 1 gaps>"
    )
    assert "0 candles empty" in repr(series([], proven=()))


def test_quiet_slots_are_filled_with_the_close_before_them_and_nothing_before_the_first_candle():
    filled = series([3, 5], asked=(0, 8), proven=((0, 8),)).fill_forward()

    assert [(one.opened_at, one.close, one.is_empty) for one in filled] == [
        (minute(3), Decimal(103), False),
        (minute(4), Decimal(103), True),
        (minute(5), Decimal(105), False),
        (minute(6), Decimal(105), True),
        (minute(7), Decimal(105), True),
    ]
    assert filled[1].volume == filled[1].quote_volume == 0
    assert (filled[1].open, filled[1].high, filled[1].low) == (103, 103, 103)


def test_outages_are_filled_and_what_lies_before_the_listing_is_not():
    explained = [(0, 2, Reason.BEFORE_LISTING), (4, 7, Reason.OUTAGE)]

    filled = series([2, 7], asked=(0, 8), proven=((2, 8),), explained=explained).fill_forward()

    assert [one.opened_at for one in filled] == [minute(number) for number in range(2, 8)]


def test_the_unknown_is_never_filled_but_named():
    torn = series([1, 6], asked=(0, 8), proven=((0, 3), (5, 8)))

    with pytest.raises(IntegrityError, match=r"\[2026-01-01T00:03:00Z, 2026-01-01T00:05:00Z\) UNKNOWN"):
        torn.fill_forward()


def test_a_partial_fill_leaves_out_the_unknown_and_the_quiet_whose_close_nobody_knows():
    """Slot 5 is known to be quiet, but what the price was before it happened in a hole."""
    torn = series([1, 6], asked=(0, 8), proven=((0, 3), (5, 8)))

    filled = torn.fill_forward(partial=True)

    assert [one.opened_at for one in filled] == [minute(number) for number in (1, 2, 6, 7)]


def test_a_hole_before_the_first_candle_hinders_no_fill():
    filled = series([5], asked=(0, 7), proven=((5, 7),)).fill_forward()

    assert [one.opened_at for one in filled] == [minute(5), minute(6)]


def test_a_series_without_candles_has_nothing_to_fill():
    empty = series([])

    assert empty.fill_forward() is empty


@given(st.sets(st.integers(0, 19), min_size=1))
def test_a_filled_series_has_every_slot_from_its_first_candle_on(slots):
    filled = series(slots).fill_forward()

    assert [one.opened_at for one in filled] == [minute(number) for number in range(min(slots), 20)]
    assert [one for one in filled if not one.is_empty] == list(series(slots))
    assert filled.gaps() == ()


def test_a_series_that_lacks_nothing_is_itself_when_it_has_to_be_strict():
    whole = series([1, 6], asked=(0, 8), proven=((0, 8),))

    assert whole.strict() is whole
    assert series([]).strict() == series([])


def test_a_series_with_gaps_is_refused_when_it_has_to_be_strict_and_the_gaps_are_named():
    torn = series([1, 6], asked=(0, 8), proven=((0, 3), (5, 8)))
    shattered = series(range(0, 20, 2), asked=(0, 20), proven=())

    with pytest.raises(IntegrityError, match=r"KRW-BTC 1m is not complete: \[2026-01-01T00:03:00Z, .* UNKNOWN; ask"):
        torn.strict()
    with pytest.raises(IntegrityError, match="and 5 more; ask again later"):
        shattered.strict()


def test_fillers_can_be_dropped_again_and_nothing_else_is():
    traded = series([3, 5], asked=(0, 8), proven=((0, 8),))

    assert traded.fill_forward().drop_empty() == traded
    assert traded.fill_forward().drop_empty().quiet() == traded.quiet()
    assert traded.drop_empty() is traded


def test_what_is_told_about_a_series_can_be_changed_without_its_candles():
    whole = series([1, 2])

    assert attrs.evolve(whole, trace=None) == whole
    assert (whole.venue, whole.symbol, whole.timeframe) == ("upbit-kr", BTC, Timeframe.M1)
