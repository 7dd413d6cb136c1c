"""Pages asked for before their turn: nothing twice, nothing lost, nothing left behind."""

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import ChannelUnavailableError, Priority, Timeframe, create_candle_request
from market_backbone.application.paging.candle_pager import CandlePager, Page, read_through
from market_backbone.application.paging.prefetch import MAX_AHEAD, OPTIMISTIC_PAGES, PagePrefetcher
from market_backbone.domain.call_context import CallContext, current_call_context, use_call_context

MINUTE = timedelta(minutes=1)
PAGE = 20


class FarChannel:
    """A channel a round trip away, that counts who is on the way at once."""

    name = "far"

    def __init__(self, kit, minutes, *, turns=40, calls_per_s=1000.0):
        clock = kit.Clock()
        self.inner = kit.Channel(minutes=minutes, clock=clock, page=PAGE)
        clock.now = 10**9
        self.capabilities = evolve(self.inner.capabilities, calls_per_s=calls_per_s)
        self.turns, self.on_their_way, self.most = turns, 0, 0

    async def get_candles(self, *args, **bounds):
        current_call_context().note_call(0.0)
        self.on_their_way += 1
        self.most = max(self.most, self.on_their_way)
        try:
            for _ in range(self.turns):
                await asyncio.sleep(0)
            return await self.inner.get_candles(*args, **bounds)
        finally:
            self.on_their_way -= 1


async def walk(kit, channel, request, seconds=0.01, *, is_optimistic=False):
    """Walk as a fetch does, or as a download; answers rows, calls and waste."""
    prefetcher = PagePrefetcher.of(channel, TickingClock(seconds), is_optimistic=is_optimistic)
    pager = CandlePager.of(request, PAGE)
    try:
        series = await read_through(prefetcher, pager)
    finally:
        await prefetcher.close()
    return series, pager.calls, prefetcher.wasted


def page_before(kit, minute, *, missing, floor=None):
    """The page that a pager asks for first."""
    return Page(
        symbol=kit.BTC,
        timeframe=Timeframe.M1,
        count=PAGE,
        end=kit.START + minute * MINUTE,
        missing=missing,
        floor=floor,
    )


class TickingClock:
    """Every look at it is a little later."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)


def until(kit, minute, **more):
    return create_candle_request("KRW-BTC", "1m", end=kit.START + minute * MINUTE, **more)


async def test_a_dense_past_is_asked_for_in_parallel_and_comes_whole(kit):
    channel = FarChannel(kit, range(1000))
    series, calls, wasted = await walk(kit, channel, until(kit, 1000, start=kit.START))
    assert kit.minutes(series) == list(range(1000))
    assert series.gaps() == ()
    assert (calls, wasted) == (50, 0)
    assert len(channel.inner.calls) == 50
    assert 3 < channel.most <= MAX_AHEAD


async def test_a_thin_past_is_asked_for_page_by_page(kit):
    channel = FarChannel(kit, range(0, 3000, 3))
    series, calls, wasted = await walk(kit, channel, until(kit, 3000, start=kit.START))
    assert kit.minutes(series) == list(range(0, 3000, 3))
    assert (calls, wasted, channel.most) == (50, 0, 1)


async def test_a_download_asks_ahead_of_its_first_page_and_wastes_nothing_in_a_dense_past(kit):
    channel = FarChannel(kit, range(1000))
    prefetcher = PagePrefetcher.of(channel, TickingClock(0.01), is_optimistic=True)
    asking = asyncio.create_task(prefetcher.read(page_before(kit, 1000, missing=1000, floor=kit.START)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert channel.on_their_way == 1 + OPTIMISTIC_PAGES
    await asking
    await prefetcher.close()

    series, calls, wasted = await walk(kit, channel, until(kit, 1000, start=kit.START), is_optimistic=True)
    assert kit.minutes(series) == list(range(1000))
    assert (calls, wasted) == (50, 0)


async def test_a_download_of_a_thin_past_has_asked_for_little_in_vain(kit):
    channel = FarChannel(kit, range(0, 3000, 3))
    series, calls, wasted = await walk(kit, channel, until(kit, 3000, start=kit.START), is_optimistic=True)
    assert kit.minutes(series) == list(range(0, 3000, 3))
    assert calls + wasted <= 50 + OPTIMISTIC_PAGES
    assert channel.most == 1 + OPTIMISTIC_PAGES


@pytest.mark.parametrize(("rows", "most"), [(PAGE, 1), (PAGE + 1, 2)])
async def test_a_download_of_a_page_presumes_no_more(kit, rows, most):
    channel = FarChannel(kit, range(1000))
    await walk(kit, channel, until(kit, 1000, start=kit.START + (1000 - rows) * MINUTE), is_optimistic=True)
    assert channel.most == most


async def test_a_channel_that_names_no_rate_is_asked_one_page_at_a_time(kit):
    channel = FarChannel(kit, range(1000), calls_per_s=0.0)
    series, _, wasted = await walk(kit, channel, until(kit, 1000, start=kit.START))
    assert (len(series), wasted, channel.most) == (1000, 0, 1)


async def test_where_the_market_becomes_thin_few_pages_are_for_nothing(kit):
    minutes = [minute for minute in range(4000) if minute >= 3000 or minute % 5 == 0]
    channel = FarChannel(kit, minutes)
    series, calls, wasted = await walk(kit, channel, until(kit, 4000, start=kit.START))
    assert kit.minutes(series) == minutes
    assert wasted <= MAX_AHEAD
    assert len(channel.inner.calls) == calls + wasted <= len(minutes) / PAGE + 3 + MAX_AHEAD


async def test_a_count_asks_for_no_page_beyond_it(kit):
    channel = FarChannel(kit, range(1000))
    series, calls, wasted = await walk(kit, channel, until(kit, 1000, count=200))
    assert kit.minutes(series) == list(range(800, 1000))
    assert (calls, wasted) == (10, 0)


@given(st.sets(st.integers(0, 400), min_size=1), st.integers(1, 400), st.booleans(), st.booleans())
def test_whatever_traded_the_answer_is_that_of_serial_paging(kit, minutes, extent, by_count, is_optimistic):
    bounds = {"count": extent} if by_count else {"start": kit.START + (401 - extent) * MINUTE}
    request = until(kit, 401, **bounds)

    async def both():
        serial, serial_calls, _ = await walk(kit, FarChannel(kit, minutes, turns=0, calls_per_s=0.0), request)
        channel = FarChannel(kit, minutes, turns=3)
        prefetcher, calls, wasted = await walk(kit, channel, request, is_optimistic=is_optimistic)
        return serial, serial_calls, prefetcher, calls + wasted

    serial, serial_calls, prefetcher, calls = asyncio.run(both())
    assert prefetcher == serial
    assert (prefetcher.gaps(), prefetcher.quiet()) == (serial.gaps(), serial.quiet())
    assert calls <= serial_calls * 1.06 + 2 * MAX_AHEAD


@pytest.mark.parametrize("quiet", [0, 1, 3])
async def test_the_beginning_of_history_is_proven_by_a_read_of_its_own(kit, quiet):
    minutes = [minute for minute in range(400, 1000) if minute >= 401 + quiet or minute == 400]
    channel = FarChannel(kit, minutes)
    series, _, _ = await walk(kit, channel, until(kit, 1000, start=kit.START))
    assert kit.minutes(series) == minutes
    assert channel.inner.calls[-1] == (1, kit.START + 400 * MINUTE)


async def test_after_what_is_held_pages_ahead_begin_anew_below_it(kit):
    channel = FarChannel(kit, range(3000), turns=0)
    prefetcher = PagePrefetcher.of(channel, TickingClock(0.01))
    try:
        for end in (2040, 2020, 1000):  # what lies between 1000 and 2000 is held, and never asked for
            page = page_before(kit, end, missing=200)
            is_held = end > 2000
            floor = kit.START + 2000 * MINUTE if is_held else None
            await prefetcher.read(evolve(page, floor=floor, is_floor_held=is_held))
        await kit.turns()
    finally:
        await prefetcher.close()
    asked = [round((end - kit.START).total_seconds() / 60) for _, end in channel.inner.calls]
    assert not [minute for minute in asked if 1000 < minute <= 2000]


@pytest.mark.parametrize("turn", [0, 1, 2, 5, 10, 41, 42, 43, 60, 81, 83, 100, 125, 200])
async def test_cancelled_at_any_turn_nothing_is_left(kit, turn):
    channel = FarChannel(kit, range(1000))
    before = asyncio.all_tasks()
    task = asyncio.create_task(walk(kit, channel, until(kit, 1000, start=kit.START)))
    for _ in range(turn):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert asyncio.all_tasks() == before
    assert channel.on_their_way == 0


async def test_a_page_that_fails_fails_its_reader_and_is_asked_for_again(kit):
    channel = FarChannel(kit, range(400))
    prefetcher = PagePrefetcher.of(channel, TickingClock(0.01))
    paging = CandlePager.of(until(kit, 400, start=kit.START), PAGE)
    failures = 0
    try:
        while (page := paging.next_page()) is not None:
            if paging.calls == 5 and not failures:
                channel.inner.failures.append(ChannelUnavailableError("down", channel="rest"))
            try:
                found = (await prefetcher.read(page)).series
            except ChannelUnavailableError:
                failures += 1
                continue
            paging.take(found)
    finally:
        await prefetcher.close()
    assert failures == 1
    assert kit.minutes(paging.result()) == list(range(400))


async def test_pages_on_their_way_hurry_with_the_walk_that_they_belong_to(kit):
    seen = []

    class Watching(FarChannel):
        async def get_candles(self, *args, **bounds):
            context = current_call_context()
            found = await super().get_candles(*args, **bounds)
            seen.append(context.priority)
            return found

    context = CallContext(Priority.BULK)
    with use_call_context(context):
        task = asyncio.create_task(walk(kit, Watching(kit, range(400)), until(kit, 400, start=kit.START)))
    await kit.turns(100)
    context.priority = Priority.INTERACTIVE
    await task
    assert seen[0] is Priority.BULK
    assert set(seen[4:]) == {Priority.INTERACTIVE}


async def test_the_cost_of_every_page_is_the_callers(kit):
    channel = FarChannel(kit, range(1000))
    context = CallContext()
    with use_call_context(context):
        _, calls, wasted = await walk(kit, channel, until(kit, 1000, count=500))
    assert context.calls == calls + wasted == len(channel.inner.calls)
