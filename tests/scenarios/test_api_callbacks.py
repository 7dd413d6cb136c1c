"""Answers by callback, cancelling, and closing: nothing is left behind, whoever asks for it."""

import asyncio
import json

import pytest
from waiting import take, until

from market_backbone import (
    CandleUpdated,
    ClosedError,
    RequestFailed,
    UnknownSymbolError,
    UnsupportedRequestError,
    create_candle_request,
    create_realtime_request,
    create_ticker_request,
    create_unified_api,
)


async def test_three_symbols_at_once_with_plain_and_async_callbacks(api):
    seen = {"KRW-BTC": 0, "KRW-ETH": 0, "KRW-XRP": 0}

    def plain(event):
        if isinstance(event, CandleUpdated):
            seen[event.candle.symbol] += 1

    async def asynchronous(event):
        plain(event)

    callbacks = [plain, asynchronous, plain]
    requests = [
        create_realtime_request(symbol, "1m", callback) for symbol, callback in zip(seen, callbacks, strict=True)
    ]
    ids = await asyncio.gather(*(api.request_data(request) for request in requests))
    await until(lambda: min(seen.values()) >= 2)
    assert [await api.cancel_request(request_id) for request_id in ids] == [True, True, True]
    assert await api.cancel_request(ids[0]) is False


async def test_a_callback_that_raises_is_reported_and_the_stream_goes_on(open_market, capsys):
    calls = []

    def broken(event):
        calls.append(event)
        raise ValueError("my own mistake")

    async with open_market(settings={"log.level": "WARNING", "log.format": "json"}) as (_, api):
        await api.request_data(create_realtime_request("KRW-BTC", data_callback=broken, kind="trade"))
        await until(lambda: len(calls) >= 3)
    reports = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    failed = [report for report in reports if report["event"] == "callback_failed"]
    assert len(failed) >= 3
    assert failed[0]["error"] == "ValueError: my own mistake"


async def test_an_answer_by_callback_and_a_failure_by_callback(api):
    answers = asyncio.Queue()
    await api.request_data(create_candle_request("KRW-BTC", "1m", 3, data_callback=answers.put_nowait))
    assert len(await asyncio.wait_for(answers.get(), 10)) == 3
    request_id = await api.request_data(create_realtime_request("KRW-NOPE", data_callback=answers.put_nowait))
    failed = await asyncio.wait_for(answers.get(), 10)
    assert isinstance(failed, RequestFailed)
    assert (failed.request_id, type(failed.error)) == (request_id, UnknownSymbolError)
    with pytest.raises(UnsupportedRequestError, match="data_callback"):
        await api.request_data(create_ticker_request("KRW-BTC"))


async def test_after_close_every_call_says_so_and_followers_end(open_market):
    async with open_market() as (_, api):
        async with api.follow(create_realtime_request("KRW-BTC", kind="trade")) as events:
            await take(events, bool)
            await api.close()
            with pytest.raises(ClosedError):
                await take(events, lambda _: False)
        await api.close()
        calls = [
            lambda: api.get_candles("KRW-BTC"),
            lambda: api.request_data(create_ticker_request("KRW-BTC")),
            lambda: api.cancel_request("x"),
            api.get_markets,
        ]
        for call in calls:
            with pytest.raises(ClosedError, match="closed"):
                await call()
        for call in (
            lambda: api.explain(create_ticker_request("KRW-BTC")),
            api.channel_health,
            lambda: api.follow(create_realtime_request("KRW-BTC")),
        ):
            with pytest.raises(ClosedError):
                call()


async def test_closing_leaves_no_task_and_no_socket(open_market):
    before = len(asyncio.all_tasks())
    async with open_market() as (_, api):
        async with api.follow(create_realtime_request("KRW-BTC", "1m")) as events:
            await take(events, lambda taken: len(taken) >= 2)
        await api.get_ticker("KRW-BTC")
        await api.close()
    assert len(asyncio.all_tasks()) == before


async def test_awaiting_the_opening_works_as_well_and_close_ends_the_sandbox():
    api = await create_unified_api("test", {"log.level": "ERROR"})
    try:
        assert len(await api.get_candles("KRW-BTC", count=3)) == 3
    finally:
        await api.close()
    await api.close()


async def test_a_callback_may_cancel_its_own_request(api):
    seen = []
    holder = {}

    async def enough(event):
        seen.append(event)
        if len(seen) == 3:
            assert await api.cancel_request(holder["id"])

    holder["id"] = await api.request_data(create_realtime_request("KRW-BTC", data_callback=enough, kind="trade"))
    await until(lambda: len(seen) >= 3)
    await asyncio.sleep(0.3)
    assert len(seen) == 3
    assert await api.cancel_request(holder["id"]) is False


async def test_a_callback_may_close_the_api_and_nothing_is_left(open_market):
    before = len(asyncio.all_tasks())
    async with open_market() as (_, api):

        async def close(_event):
            await api.close()

        await api.request_data(create_realtime_request("KRW-BTC", data_callback=close, kind="trade"))
        await until(lambda: api._ending is not None and api._ending.done())
        with pytest.raises(ClosedError):
            await api.get_ticker("KRW-BTC")
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


async def test_a_request_cancelled_before_it_began_leaves_nothing(api):
    request_id = await api.request_data(create_ticker_request("KRW-BTC", data_callback=print))
    assert await api.cancel_request(request_id)
