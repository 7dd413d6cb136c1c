"""The newest candles of a followed series are answered again as plan and walk would answer: real sandbox and SQLite."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve
from waiting import take

from market_backbone import (
    CandleUpdated,
    ChannelUnavailableError,
    ClosedError,
    Finality,
    SealedBy,
    create_candle_request,
    create_realtime_request,
)
from market_backbone.application.requests.answer_cache import ANSWERS_A_TURN

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEWEST = create_candle_request("KRW-BTC", "1m", 60)


class CountingQueue:
    """Counts what goes through the queue of an API."""

    def __init__(self, queue):
        self.queue = queue
        self.count = 0

    async def submit(self, *arguments, **more):
        self.count += 1
        return await self.queue.submit(*arguments, **more)

    def __getattr__(self, name):
        return getattr(self.queue, name)

    def __len__(self):
        return len(self.queue)


class Desk:
    """An API that follows a series, and what it keeps of its answers."""

    def __init__(self, api):
        self.api = api
        self.live = api._parts.requests.answers
        self.queue = api._parts.requests.queue = CountingQueue(api._parts.requests.queue)

    async def ask(self, request=NEWEST):
        """Return an answer, and whether it was given again."""
        before = self.queue.count
        series = await self.api.request_data_sync(request)
        return series, self.queue.count == before

    async def ask_until_it_is_given_again(self, request=NEWEST):
        """Return an answer that was given again."""
        for _ in range(200):
            series, is_again = await self.ask(request)
            if is_again:
                return series
            await asyncio.sleep(0.005)
        raise AssertionError("no answer was given again")

    async def walk(self):
        """Return what plan and walk answer."""
        self.live._entries.clear()
        series, is_again = await self.ask()
        assert not is_again
        return series

    def standing(self):
        """Return what an answer rests on, and the open slots."""
        standing = self.live.key_for(NEWEST)
        return standing, standing and standing.topic.tracker.current()


@pytest.fixture
def followed(open_market):
    """Open a market that began at START, and follow a series of it."""

    class Followed:
        def __init__(self, speed):
            self.opened = open_market(starts_at=START + timedelta(seconds=25), speed=speed)  # somebody has traded

        async def __aenter__(self):
            self.sandbox, api = await self.opened.__aenter__()
            self.stream = api.follow(create_realtime_request("KRW-BTC", "1m", history=100))
            live = await self.stream.__aenter__()
            await take(live, lambda events: any(isinstance(event, CandleUpdated) for event in events))
            self.reading = asyncio.create_task(self._read(live))
            return Desk(api)

        async def _read(self, live):
            async for _ in live:
                pass

        async def __aexit__(self, *error):
            self.reading.cancel()
            await self.stream.__aexit__(*error)
            await self.opened.__aexit__(*error)

    return Followed


def all_that_matters(series):
    """Return everything that an answer says, but for how long it took."""
    trace = evolve(series.trace, steps=tuple(evolve(step, latency_ms=0.0) for step in series.trace.steps))
    return list(series), series.coverage, series.seams, trace


async def test_an_answer_that_is_given_again_is_the_one_that_plan_and_walk_give(followed):
    compared = tails = 0
    async with followed(30.0) as desk:
        for _ in range(300):
            kept = desk.live._entries.get((desk.live.cache.key(NEWEST), 60))
            before = desk.standing()
            again, is_again = await desk.ask()
            if is_again and before[0] is not None:
                tails += kept is not None and kept.open_slots != before[1]
                walked = await desk.walk()
                if desk.standing() == before:
                    compared += 1
                    assert all_that_matters(again) == all_that_matters(walked)
            await asyncio.sleep(0.004)
    assert compared > 20
    assert tails > 5


async def test_what_is_revised_in_the_store_is_never_answered_as_it_was(followed):
    async with followed(1.0) as desk:
        series = await desk.ask_until_it_is_given_again()
        final = next(candle for candle in reversed(series) if candle.is_final)
        revised = evolve(final, volume=final.volume + Decimal(1), sealed_by=SealedBy.REST, finality=Finality.FINAL)
        row = len(series) - 1 - next(n for n, candle in enumerate(reversed(series)) if candle.is_final)
        page = type(series).of(series.venue, series.symbol, series.timeframe, [revised], series[row : row + 1].coverage)
        await desk.api._parts.downloader.catalog.store.write(page)

        told, _ = await desk.ask()

    assert told[row].volume == revised.volume


async def test_a_channel_that_is_out_is_told_in_the_next_trace(followed):
    async with followed(1.0) as desk:
        await desk.ask_until_it_is_given_again()
        desk.api.update_channel_performance("rest", 5000.0, success=False)
        series, is_again = await desk.ask()
        plan = desk.api.explain(NEWEST)

    assert not is_again
    assert series.trace.channels == plan.channels


async def test_what_is_due_to_be_compared_with_the_venue_is_walked(followed):
    async with followed(1.0) as desk:
        await desk.ask_until_it_is_given_again()
        kept = desk.live._entries
        kept.update({key: evolve(one, verify_at=START - timedelta(days=1)) for key, one in kept.items()})
        _, is_again = await desk.ask()

    assert not is_again


async def test_while_something_sealed_is_not_written_nothing_is_given_again(followed):
    async with followed(1.0) as desk:
        series = await desk.ask_until_it_is_given_again()
        desk.api._parts.requests.cache.write_behind.take_page(series)
        _, is_again = await desk.ask()

    assert not is_again


@pytest.mark.parametrize(
    "error", [ChannelUnavailableError("the file is locked", channel="cache"), ClosedError("closed")]
)
@pytest.mark.parametrize("fails", ["state", "ledger"])
async def test_an_answer_is_given_even_if_the_store_fails_just_when_it_would_be_kept(followed, fails, error):
    class Failing:
        def __init__(self, store):
            self.store, self.looks = store, 0

        def state(self):
            self.looks += 1
            if fails == "state" and self.looks > 1:
                raise error
            return self.store.state()

        def ledger(self, key):
            raise error

    async with followed(1.0) as desk:
        await desk.ask_until_it_is_given_again()
        desk.live._entries.clear()
        desk.live._store = Failing(desk.live._store)
        series, is_again = await desk.ask()

    assert (len(series), is_again) == (60, False)
    assert not desk.live._entries


async def test_whoever_spoils_an_answer_spoils_no_other(followed):
    async with followed(1.0) as desk:
        series = await desk.ask_until_it_is_given_again()
        close = series[0].close
        series.columns.close.units[0] = 0
        again = await desk.ask_until_it_is_given_again()

    assert again[0].close == close


async def test_other_questions_and_other_series_are_walked(followed):
    others = (
        create_candle_request("KRW-BTC", "1m", 60, end=START),
        create_candle_request("KRW-BTC", "1m", 60, closed_only=True),
        create_candle_request("KRW-ETH", "1m", 60),
        create_candle_request("KRW-BTC", "1m", 600),
    )
    async with followed(1.0) as desk:
        await desk.ask_until_it_is_given_again()
        for request in others:
            await desk.ask(request)
            assert (await desk.ask(request))[1] is False


async def test_each_number_of_rows_has_an_answer_of_its_own(followed):
    async with followed(1.0) as desk:
        few = await desk.ask_until_it_is_given_again(create_candle_request("KRW-BTC", "1m", 5))
        many = await desk.ask_until_it_is_given_again()

    assert (len(few), len(many)) == (5, 60)
    assert few.trace.request != many.trace.request


async def test_whoever_asks_in_a_loop_leaves_others_their_turn(followed):
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with followed(1.0) as desk:
        await desk.ask_until_it_is_given_again()
        counting = asyncio.create_task(count())
        for _ in range(10 * ANSWERS_A_TURN):
            await desk.ask()
        counting.cancel()

    assert turns >= 5
