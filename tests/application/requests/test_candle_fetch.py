"""Candles are fetched page by page: every candle of a question, and a reason for every other slot."""

import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from market_backbone import (
    Reason,
    Timeframe,
    TimeRange,
    create_candle_request,
)
from market_backbone.application.cache.series_cache import SeriesCache
from market_backbone.application.cache.write_behind import WriteBehind
from market_backbone.application.paging.candle_pager import PROOF_DELAY_S
from market_backbone.application.requests.candle_fetch import CandleFetcher
from market_backbone.application.routing.channel_directory import ChannelDirectory
from market_backbone.application.routing.policies import SmartRoutingPolicy
from market_backbone.application.routing.router import SmartChannelRouter
from market_backbone.application.runtime.tasks import TaskSupervisor
from market_backbone.application.runtime.telemetry import StoreErrors
from market_backbone.application.streaming.live_view import LiveView

NOW_MINUTE = 400


async def pager(kit, minutes, *, page=10, **question):
    """Ask a fake venue, at minute 400 and 30 seconds, for candles of the given minutes."""
    clock = kit.Clock()
    clock.now += NOW_MINUTE * 60 + 30
    channel = kit.Channel(minutes=minutes, clock=clock, page=page)
    for bound in ("start", "end"):
        if isinstance(question.get(bound), int):
            question[bound] = kit.START + timedelta(minutes=question[bound])
    request = create_candle_request("KRW-BTC", "1m", question.pop("count", None), **question)
    server_time = kit.ServerTime(clock)
    directory = ChannelDirectory({channel.name: channel}, lambda _: server_time)
    tasks, errors = TaskSupervisor(print), StoreErrors()
    write_behind = WriteBehind(store=None, clock=clock, tasks=tasks, errors=errors)
    cache = SeriesCache(directory=directory, live=LiveView(), errors=errors, write_behind=write_behind)
    router = SmartChannelRouter(directory.channels, SmartRoutingPolicy(), clock, cool_down_s=30.0)
    fetch = CandleFetcher(request, clock, server_time, cache, router)
    series, fetched = await fetch._from_channel(channel)
    return series, fetched, channel


async def test_a_count_brings_the_newest_rows_and_the_forming_one(kit):
    series, fetched, _ = await pager(kit, range(NOW_MINUTE + 1), count=25)
    assert kit.minutes(series) == list(range(376, 401))
    assert fetched.calls == 3
    assert series.gaps() == ()
    assert not series[-1].is_final
    assert series[-2].is_final


async def test_count_means_candles_that_exist_not_slots(kit):
    minutes = range(0, NOW_MINUTE, 20)
    series, _, _ = await pager(kit, minutes, count=12)
    assert kit.minutes(series) == list(minutes)[-12:]
    assert series.gaps() == ()
    assert sum(Timeframe.M1.count_slots(part.span) for part in series.quiet()) == 11 * 19 + 19


async def test_an_outage_longer_than_many_pages_is_crossed(kit):
    minutes = [*range(30), *range(390, 400)]
    series, fetched, _ = await pager(kit, minutes, count=25)
    assert kit.minutes(series) == [*range(15, 30), *range(390, 400)]
    assert fetched.calls <= 4
    assert [part.reason for part in series.quiet()] == [Reason.NO_TRADE]


async def test_the_beginning_of_history_is_proven_by_a_second_read_a_second_later(kit):
    series, fetched, channel = await pager(kit, range(300, NOW_MINUTE), count=150)
    assert kit.minutes(series) == list(range(300, NOW_MINUTE))
    assert channel.calls[-1] == (1, kit.START + timedelta(minutes=300))
    assert fetched.calls == len(channel.calls)
    reasons = {part.reason for part in series.quiet()}
    assert reasons == {Reason.BEFORE_LISTING}
    assert series.gaps() == ()
    assert PROOF_DELAY_S >= 1.0


async def test_a_market_without_candles_is_proven_empty_too(kit):
    series, fetched, _ = await pager(kit, [], count=5)
    assert len(series) == 0
    assert fetched.calls == 2
    assert {part.reason for part in series.quiet()} == {Reason.BEFORE_LISTING}


async def test_a_range_brings_everything_inside_and_nothing_else(kit):
    series, _, _ = await pager(kit, range(NOW_MINUTE), start=95, end=130)
    assert kit.minutes(series) == list(range(95, 130))
    assert series.coverage.asked == TimeRange(kit.START + timedelta(minutes=95), kit.START + timedelta(minutes=130))


async def test_bounds_inside_a_slot_take_slots_that_open_inside(kit):
    half = timedelta(minutes=10, seconds=30)
    series, _, _ = await pager(
        kit, range(NOW_MINUTE), start=kit.START + half, end=kit.START + half + timedelta(minutes=3)
    )
    assert kit.minutes(series) == [11, 12, 13]


async def test_start_with_count_means_the_first_candles_also_on_a_thin_market(kit):
    series, _, _ = await pager(kit, range(0, NOW_MINUTE, 7), start=50, count=10)
    assert kit.minutes(series) == list(range(56, 56 + 70, 7))
    assert series.gaps() == ()


async def test_start_with_count_stops_at_now_when_fewer_exist(kit):
    series, _, _ = await pager(kit, range(390, NOW_MINUTE), start=385, count=50)
    assert kit.minutes(series) == list(range(390, NOW_MINUTE))


async def test_a_start_alone_means_everything_until_now(kit):
    series, _, _ = await pager(kit, range(NOW_MINUTE + 1), start=380)
    assert kit.minutes(series) == list(range(380, NOW_MINUTE + 1))


async def test_a_range_in_the_future_is_empty_and_says_nothing_is_missing(kit):
    series, _, _ = await pager(kit, range(NOW_MINUTE), start=500, end=510)
    assert len(series) == 0
    assert series.gaps() == ()


async def test_closed_only_and_final_only_leave_out_what_is_not(kit):
    closed, _, _ = await pager(kit, range(NOW_MINUTE + 1), count=5, closed_only=True)
    assert kit.minutes(closed) == list(range(395, 400))
    final, _, _ = await pager(kit, range(NOW_MINUTE + 1), count=5, final_only=True)
    assert kit.minutes(final) == list(range(395, 400))
    assert all(row.is_final for row in final)


@settings(max_examples=60, deadline=None)
@given(
    minutes=st.sets(st.integers(0, 399), max_size=120),
    page=st.integers(2, 30),
    bounds=st.tuples(st.integers(0, 399), st.integers(0, 399)).map(sorted),
)
async def test_every_existing_candle_of_any_range_comes_and_every_other_slot_is_explained(kit, minutes, page, bounds):
    start, end = bounds
    series, fetched, _ = await pager(kit, minutes, page=page, start=start, end=end)
    assert kit.minutes(series) == sorted(minute for minute in minutes if start <= minute < end)
    assert series.gaps() == () or start == end
    assert fetched.calls <= len(minutes) // page + 4
    quiet = sum(Timeframe.M1.count_slots(part.span) for part in series.quiet())
    assert quiet + len(series) == end - start


@settings(max_examples=40, deadline=None)
@given(minutes=st.sets(st.integers(0, 399), max_size=120), page=st.integers(2, 30), count=st.integers(1, 150))
async def test_every_count_brings_the_newest_or_says_why_fewer(kit, minutes, page, count):
    series, _, _ = await pager(kit, minutes, page=page, count=count)
    assert kit.minutes(series) == sorted(minutes)[-count:]
    if len(series) < count:
        assert any(part.reason is Reason.BEFORE_LISTING for part in series.quiet())


async def test_a_long_walk_through_a_channel_that_never_waits_leaves_others_their_turn(kit):
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    _, fetched, _ = await pager(kit, range(NOW_MINUTE + 1), count=300)
    counting.cancel()

    assert fetched.calls == 30
    assert turns >= 29
