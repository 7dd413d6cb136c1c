"""The seeded market: one process, many views, and they all agree."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_backbone.infrastructure.sandbox.market.engine import Closure, TradeProcess
from market_backbone.infrastructure.sandbox.market.sources import SeededSource
from market_backbone.infrastructure.sandbox.market.symbols import specs
from market_backbone.infrastructure.sandbox.market.ticks import tick_size
from market_backbone.infrastructure.sandbox.market.values import bar_of
from market_backbone.infrastructure.sandbox.units import DAY, HOUR, MINUTE, SECOND, UNITS, unit_named, utc

START = 1_795_348_830_000  # 2026-11-22T12:00:30Z
ROWS = {row.symbol: row for row in specs("kr", START)}
SOURCES = {symbol: SeededSource(7, row) for symbol, row in ROWS.items()}
QUIET = ("KRW-AWE", "KRW-STRAX", "BTC-XRP", "USDT-DOGE", "KRW-KAIA")
LATER = START + DAY

symbols = st.sampled_from(sorted(ROWS))
instants = st.integers(START - 400 * DAY, START)


def aggregate(source, start, end, as_of=LATER):
    return bar_of(start, source.trades(start, end, as_of))


@given(
    symbol=symbols,
    instant=instants,
    unit=st.sampled_from([name for name, unit in UNITS.items() if unit.length <= HOUR]),
)
@settings(max_examples=60, deadline=None)
def test_every_short_candle_equals_its_trades(symbol, instant, unit):
    source, grid = SOURCES[symbol], UNITS[unit]
    start = grid.floor(instant)
    assert source.bar(start, grid.following(start), LATER) == aggregate(source, start, grid.following(start))


@given(symbol=st.sampled_from(QUIET), instant=instants, unit=st.sampled_from(["240m", "1d"]))
@settings(max_examples=25, deadline=None)
def test_every_long_candle_equals_its_trades(symbol, instant, unit):
    source, grid = SOURCES[symbol], UNITS[unit]
    start = grid.floor(instant)
    assert source.bar(start, grid.following(start), LATER) == aggregate(source, start, grid.following(start))


@pytest.mark.parametrize("unit", ["1w", "1M", "1y"])
def test_weeks_months_and_years_equal_the_trades_of_a_quiet_pair(unit):
    source, grid = SOURCES["USDT-DOGE"], UNITS[unit]
    start = grid.floor(START - DAY)
    assert source.bar(start, grid.following(start), START) == aggregate(source, start, grid.following(start), START)


def test_a_busy_day_equals_its_hundred_thousand_trades():
    source = SOURCES["KRW-BTC"]
    day = START // DAY * DAY - DAY
    bar = source.bar(day, day + DAY, LATER)
    assert bar == aggregate(source, day, day + DAY)
    assert 60_000 < bar.trades < 250_000


@given(symbol=symbols, instant=instants, length=st.integers(1, 3 * HOUR))
@settings(max_examples=40, deadline=None)
def test_any_span_equals_its_trades(symbol, instant, length):
    source = SOURCES[symbol]
    assert source.bar(instant, instant + length, LATER) == aggregate(source, instant, instant + length)


@given(symbol=symbols, instant=instants, unit=st.sampled_from(["1s", "1m", "3m", "15m", "60m", "240m", "1d"]))
@settings(max_examples=60, deadline=None)
def test_a_page_holds_exactly_the_slots_that_traded(symbol, instant, unit):
    source, grid = SOURCES[symbol], UNITS[unit]
    page = []
    for bar in source.bars_before(grid, instant, LATER):
        page.append(bar)
        if len(page) == 20:
            break
    if not page:
        assert source.bar(0, grid.floor(instant - 1), LATER) is None
        return
    oldest, slot, slots = page[-1].start, grid.floor(instant - 1), []
    while slot >= oldest and len(slots) < 3_000:
        if (bar := source.bar(slot, grid.following(slot), LATER)) is not None:
            slots.append(bar)
        slot = grid.previous(slot)
    assert slots == page[: len(slots)]


@given(symbol=symbols, questions=st.permutations([0, 1, 2, 3, 4]), instant=instants)
@settings(max_examples=20, deadline=None)
def test_the_order_of_questions_changes_no_answer(symbol, questions, instant):
    fresh = SeededSource(7, ROWS[symbol])
    ask = (
        lambda source: source.bar(instant - DAY, instant, LATER),
        lambda source: source.trades(instant, instant + MINUTE, LATER),
        lambda source: source.last_trade(instant),
        lambda source: source.book(instant),
        lambda source: source.bar(UNITS["1w"].floor(instant), instant, LATER),
    )
    answers = {question: ask[question](fresh) for question in questions}
    assert answers == {question: ask[question](SOURCES[symbol]) for question in range(5)}


@given(symbol=symbols, instant=instants)
@settings(max_examples=40, deadline=None)
def test_a_reader_sees_what_was_stored_and_nothing_later(symbol, instant):
    source = SOURCES[symbol]
    truth = source.trades(instant - HOUR, instant + HOUR, LATER)
    seen = source.trades(instant - HOUR, instant + HOUR, instant)
    assert seen == [trade for trade in truth if trade.stored_ms <= instant]
    assert source.bar(instant - HOUR, instant + HOUR, instant) == bar_of(instant - HOUR, seen)


def test_a_trade_is_seen_from_the_very_millisecond_in_which_it_was_stored():
    source = SOURCES["KRW-BTC"]
    for trade in source.trades(START - MINUTE, START, LATER):
        assert trade in source.trades(START - HOUR, START, trade.stored_ms)
        assert trade not in source.trades(START - HOUR, START, trade.stored_ms - 1)


@given(symbol=symbols, instant=instants)
@settings(max_examples=40, deadline=None)
def test_prices_lie_on_the_tick_table_and_ids_rise(symbol, instant):
    trades = SOURCES[symbol].trades(instant, instant + 10 * MINUTE, LATER)
    quote = symbol.partition("-")[0]
    assert all(trade.price_e8 > 0 and trade.price_e8 % tick_size(quote, trade.price_e8) == 0 for trade in trades)
    assert all(0 < trade.stored_ms - trade.traded_ms <= 54 for trade in trades)
    identities = [trade.sequential_id for trade in trades]
    assert identities == sorted(set(identities))
    assert all(trade.sequential_id // 10_000 == trade.traded_ms for trade in trades)


def test_another_seed_is_another_market_and_the_same_seed_is_the_same():
    row = ROWS["KRW-ETH"]
    span = (START - MINUTE, START)
    assert list(TradeProcess(7, row).trades(*span)) == list(TradeProcess(7, row).trades(*span))
    assert list(TradeProcess(7, row).trades(*span)) != list(TradeProcess(8, row).trades(*span))


def test_a_candle_may_be_stamped_after_its_own_end():
    bars = [SOURCES["KRW-BTC"].bar(start, start + MINUTE, LATER) for start in range(START - 6 * HOUR, START, MINUTE)]
    late = [bar for bar in bars if bar and bar.stored_ms >= bar.start + MINUTE]
    assert late
    assert all(bar.stored_ms < bar.start + MINUTE + 54 for bar in late)


def test_sockets_get_some_trades_late_and_out_of_order_but_every_one_once():
    source = SOURCES["KRW-BTC"]
    published = source.published(START - HOUR, START)
    lateness = [due - trade.stored_ms for due, trade in published]
    assert 0 < max(lateness) <= 386
    identities = [trade.sequential_id for _, trade in published]
    assert identities != sorted(identities)
    steps = [
        identity
        for at in range(START - HOUR, START, 7_000)
        for identity in source.published(at, min(at + 7_000, START))
    ]
    assert [trade.sequential_id for _, trade in steps] == identities


def test_the_thin_pair_trades_about_every_third_minute():
    source = SOURCES["KRW-AWE"]
    traded = sum(source.bar(start, start + MINUTE, LATER) is not None for start in range(START - DAY, START, MINUTE))
    assert 1_440 / 5 < traded < 1_440 / 2


def test_one_pair_sleeps_twelve_hours_a_day():
    source = SOURCES["KRW-STRAX"]
    day = START // DAY * DAY - DAY
    assert source.bar(day + 12 * HOUR, day + DAY, LATER) is None
    assert source.bar(day, day + 12 * HOUR, LATER) is not None


def test_history_begins_with_the_listing():
    source = SOURCES["KRW-BTC"]
    oldest = list(source.bars_before(UNITS["1y"], LATER, LATER))[-1]
    assert utc(oldest.start).year == 2017
    first_minutes = list(source.bars_before(UNITS["60m"], ROWS["KRW-BTC"].listed_ms + HOUR, LATER))
    assert [utc(bar.start).isoformat() for bar in first_minutes] == ["2017-09-25T03:00:00+00:00"]
    assert source.last_trade(ROWS["KRW-BTC"].listed_ms - 1) is None
    assert SOURCES["KRW-KAIA"].bar(0, ROWS["KRW-KAIA"].listed_ms, LATER) is None


def test_nobody_trades_in_a_closure_and_the_rest_is_untouched():
    process, open_process = (TradeProcess(7, ROWS["KRW-BTC"]) for _ in range(2))
    closure = Closure(START - HOUR - 17_345, START - 5 * MINUTE)
    process.close(closure)
    day = START // DAY * DAY
    kept = [trade for trade in open_process.trades(day, START) if not closure.start <= trade.traded_ms < closure.end]
    assert list(process.trades(day, START)) == kept
    assert process.bar(day, START) == bar_of(day, kept)
    assert process.bar(day, day + DAY).trades == open_process.bar(day, day + DAY).trades - len(
        list(open_process.trades(closure.start, closure.end))
    )


def test_a_page_of_any_unit_comes_fast():
    source = SeededSource(3, ROWS["KRW-BTC"])
    began = time.perf_counter()
    days = [bar for bar, _ in zip(source.bars_before(UNITS["1d"], START, START), range(200), strict=False)]
    assert len(days) == 200
    assert time.perf_counter() - began < 2
    began = time.perf_counter()
    minutes = [bar for bar, _ in zip(source.bars_before(UNITS["1m"], START, START), range(200), strict=False)]
    assert len(minutes) >= 199
    assert time.perf_counter() - began < 0.2


@pytest.mark.parametrize("symbol", sorted(ROWS))
def test_the_extremes_of_a_year_are_found_without_adding_all_its_days(symbol):
    source, day = SOURCES[symbol], START // DAY * DAY
    days = [bar for bar in source.bars_before(UNITS["1d"], day, START) if bar.start > day - 364 * DAY]
    highest, lowest = source.extremes(day - 363 * DAY, day, START)
    assert highest.high == max(bar.high for bar in days)
    assert lowest.low == min(bar.low for bar in days)
    assert source.extremes(0, DAY, START) is None


@given(symbol=symbols, day=st.integers(0, 3_300))
@settings(max_examples=300, deadline=None)
def test_no_day_leaves_its_bounds(symbol, day):
    process = SOURCES[symbol]._process
    start = START // DAY * DAY - day * DAY
    upper, lower, _ = process._day_bounds(start)
    bar = process.bar(start, start + DAY)
    assert bar is None or lower <= bar.low <= bar.high <= upper


def test_units_know_their_grid():
    monday = UNITS["1w"].floor(START)
    assert utc(monday).strftime("%A %Y-%m-%d") == "Monday 2026-11-16"
    december = UNITS["1M"].following(UNITS["1M"].floor(START))
    assert utc(UNITS["1M"].following(december)).isoformat() == "2027-01-01T00:00:00+00:00"
    assert utc(UNITS["1y"].following(UNITS["1y"].floor(START))).year == 2027
    assert unit_named("4h") is UNITS["240m"]
    assert UNITS["1s"].previous(5 * SECOND) == 4 * SECOND
