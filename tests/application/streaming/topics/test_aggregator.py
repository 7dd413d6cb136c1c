"""A forming candle made of minutes is what all its trades make: nothing twice, nothing left out."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from market_backbone import Candle, CandleSeries, Coverage, Finality, SealedBy, Symbol, Timeframe, TimeRange
from market_backbone.application.streaming.topics.aggregator import Aggregator, cover_with_timeframes
from market_backbone.domain.resampling import resample

BEGIN = datetime(2026, 11, 2, 21, 30, tzinfo=UTC)
"""Two and a half hours before a midnight."""
MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)
GRACE = timedelta(seconds=5)
HOURS_S = 4 * 3600
BTC = Symbol("KRW-BTC")


def after(seconds):
    return BEGIN + timedelta(seconds=seconds)


def bar(trades, timeframe, finality=Finality.FORMING, source="websocket"):
    """Make the candle of trades: (second after BEGIN, price, volume), oldest first."""
    prices = [Decimal(price) for _, price, _ in trades]
    return Candle(
        venue="test", symbol=BTC, timeframe=timeframe, opened_at=timeframe.floor(after(trades[0][0])),
        open=prices[0], high=max(prices), low=min(prices), close=prices[-1],
        volume=sum(Decimal(volume) for _, _, volume in trades),
        quote_volume=sum(Decimal(price) * Decimal(volume) for _, price, volume in trades),
        updated_at=after(trades[-1][0]), source=source, finality=finality,
        sealed_by=SealedBy.REST if finality is Finality.FINAL else None,
    )  # fmt: skip


def bars(trades, timeframe, now, span=None):
    """Make what the venue tells at ``now`` of the slots of ``span``."""
    for opened_at, group in groupby(trades, key=lambda trade: timeframe.floor(after(trade[0]))):
        known = [trade for trade in group if after(trade[0]) <= now]
        if known and (span is None or opened_at in span):
            is_final = now >= timeframe.next(opened_at) + GRACE
            yield bar(known, timeframe, Finality.FINAL if is_final else Finality.FORMING, "rest")


def told_by_the_stream(trades, since):
    """The views of a followed stream in their order: each trade at once, FINAL when a minute is over by the grace."""
    for _, group in groupby(trades, key=lambda trade: Timeframe.M1.floor(after(trade[0]))):
        minute = list(group)
        views = [(after(trade[0]), bar(minute[: number + 1], Timeframe.M1)) for number, trade in enumerate(minute)]
        sealed_at = views[-1][1].closed_at + GRACE
        views.append((sealed_at, bar(minute, Timeframe.M1, Finality.FINAL)))
        yield from ((at, view) for at, view in views if at >= since)


def all_minutes(trades, now):
    minutes = list(bars(trades, Timeframe.M1, now))
    asked = Coverage(asked=TimeRange(BEGIN, after(HOURS_S)))
    return CandleSeries.of("test", BTC, Timeframe.M1, minutes, asked)


TRADES = st.lists(
    st.tuples(st.integers(0, HOURS_S - 1), st.integers(90, 110), st.integers(1, 5)),
    min_size=1,
    max_size=40,
    unique_by=lambda trade: trade[0],
).map(sorted)


@settings(max_examples=300, deadline=None)
@given(
    TRADES, st.integers(0, HOURS_S), st.integers(0, 300), st.sampled_from([Timeframe.D1, Timeframe.W1, Timeframe.Y1])
)
def test_what_is_derived_is_what_all_minutes_make_at_every_moment(trades, since, delay, timeframe):
    """Minutes are followed since one instant, rows are read at a later one, and neither knows of the other."""
    read_at = after(since + delay)
    aggregator = Aggregator(timeframe)
    parts = cover_with_timeframes(timeframe, read_at, read_at - GRACE)
    rows = [row for timeframe, span in parts for row in bars(trades, timeframe, read_at, span)]
    views = sorted(told_by_the_stream(trades, after(since)), key=lambda view: view[0])
    followed = [view for at, view in views if at <= read_at and view.opened_at >= parts[-1][1].start]
    aggregator.begin(timeframe.floor(read_at), [*rows, *followed])
    for at, moment in groupby((view for view in views if view[0] > read_at), key=lambda view: view[0]):
        told = {candle.opened_at: candle for candle in [aggregator.add(view) for _, view in moment]}
        truth = {candle.opened_at: candle for candle in resample(all_minutes(trades, at), timeframe)}
        for opened_at, derived in told.items():
            assert derived.source == "derived"
            assert derived.finality is Finality.FORMING
            assert derived.is_same_market_data(truth[opened_at])
            assert derived.quote_volume == truth[opened_at].quote_volume


def test_the_rows_to_read_grow_shorter_towards_now():
    now = datetime(2026, 11, 18, 9, 41, 30, tzinfo=UTC)
    day, hour = datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 11, 18, 9, tzinfo=UTC)
    end = datetime(2026, 11, 18, 9, 42, tzinfo=UTC)
    to_now = [(Timeframe.H1, TimeRange(day, hour)), (Timeframe.M1, TimeRange(hour, end))]
    assert cover_with_timeframes(Timeframe.D1, now, now - GRACE) == to_now
    monday, november = datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    assert cover_with_timeframes(Timeframe.W1, now, now - GRACE) == [(Timeframe.D1, TimeRange(monday, day)), *to_now]
    assert cover_with_timeframes(Timeframe.MONTH, now, now - GRACE) == [
        (Timeframe.D1, TimeRange(november, day)),
        *to_now,
    ]
    months = (Timeframe.MONTH, TimeRange(datetime(2026, 1, 1, tzinfo=UTC), november))
    assert cover_with_timeframes(Timeframe.Y1, now, now - GRACE) == [
        months,
        (Timeframe.D1, TimeRange(november, day)),
        *to_now,
    ]


def test_a_row_that_is_not_over_by_the_grace_is_read_in_minutes():
    now = MIDNIGHT + timedelta(hours=1, seconds=3)
    assert cover_with_timeframes(Timeframe.D1, now, now - GRACE) == [
        (Timeframe.M1, TimeRange(MIDNIGHT, MIDNIGHT + timedelta(hours=1, minutes=1)))
    ]


@pytest.fixture
def aggregator():
    """A day that is told since its first minute, with a volume of 5."""
    aggregator = Aggregator(Timeframe.D1)
    aggregator.begin(MIDNIGHT, [])
    aggregator.add(minute(0, 5))
    return aggregator


def minute(number, volume, finality=Finality.FORMING):
    seconds = 9000 + 60 * number
    return bar([(seconds, 100, volume)], Timeframe.M1, finality)


def day(volume):
    return bar([(9000, 100, volume)], Timeframe.D1, source="rest")


def test_a_slot_whose_rows_were_not_read_is_not_told():
    assert Aggregator(Timeframe.D1).add(minute(0, 1)) is None


def test_a_slot_that_opens_while_minutes_are_followed_needs_no_rows():
    aggregator = Aggregator(Timeframe.D1)
    aggregator.begin(MIDNIGHT - timedelta(days=1), [minute(-1, 3)])
    assert aggregator.add(minute(0, 4)).volume == 4
    late = aggregator.add(minute(-1, 6))
    assert (late.opened_at, late.volume) == (MIDNIGHT - timedelta(days=1), 6)


def test_only_the_slot_before_the_open_one_is_still_told(aggregator):
    aggregator.add(minute(24 * 60, 1))
    aggregator.add(minute(48 * 60, 1))
    assert aggregator.add(minute(1, 9)) is None
    assert aggregator.add(minute(24 * 60 + 1, 9)) is not None


def test_a_view_of_a_minute_that_is_settled_counts_no_more(aggregator):
    aggregator.add(minute(0, 5, Finality.FINAL))
    assert aggregator.holds(minute(0, 5))
    assert aggregator.add(minute(0, 7)).volume == 5
    assert not aggregator.holds(minute(1, 7))


def test_a_view_of_the_venue_that_is_ahead_or_behind_for_a_moment_refutes_nothing(aggregator):
    assert not aggregator.is_refuted_by(day(7))
    aggregator.add(minute(1, 2))
    assert not aggregator.is_refuted_by(day(6))
    assert not aggregator.is_refuted_by(day(9))
    assert aggregator.corrections == 0


def test_what_lacks_trades_that_the_venue_told_of_a_read_ago_is_refuted(aggregator):
    assert not aggregator.is_refuted_by(day(7))
    aggregator.add(minute(1, 1))
    assert aggregator.is_refuted_by(day(8))
    assert aggregator.corrections == 1


def test_what_told_more_a_read_ago_than_the_venue_knows_now_is_refuted(aggregator):
    assert not aggregator.is_refuted_by(day(4))
    assert aggregator.is_refuted_by(evolve(day(4), close=Decimal(100)))


def test_a_day_in_which_nothing_was_derived_is_refuted_by_one_that_traded():
    aggregator = Aggregator(Timeframe.D1)
    assert not aggregator.is_refuted_by(day(1))
    aggregator.begin(MIDNIGHT, [])
    assert not aggregator.is_refuted_by(day(1))
    assert aggregator.is_refuted_by(day(1))


def test_reads_of_two_slots_are_not_compared_with_each_other(aggregator):
    assert not aggregator.is_refuted_by(day(7))
    aggregator.add(minute(24 * 60, 1))
    tomorrow = bar([(9000 + 86_400, 100, 1)], Timeframe.D1, source="rest")
    assert not aggregator.is_refuted_by(tomorrow)
