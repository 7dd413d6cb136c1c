"""Every answer says how it came about; questions that are contained in others share one fetch."""

import asyncio

import pytest
from attrs import evolve

from market_backbone import (
    AllChannelsFailedError,
    DeadlineExceededError,
    MalformedReplyError,
    UnknownSymbolError,
    create_candle_request,
    create_orderbook_request,
    create_ticker_request,
    create_trades_request,
)
from market_backbone.application.requests.service import check_identity
from market_backbone.infrastructure.sandbox import Fault


@pytest.fixture
async def market(open_market):
    async with open_market(speed=1.0) as (sandbox, api):
        yield sandbox, api


async def test_every_answer_has_its_trace(market):
    _, api = market
    tickers = await api.request_data_sync(create_ticker_request(["KRW-BTC", "KRW-ETH"]))
    book = await api.request_data_sync(create_orderbook_request("KRW-BTC"))
    trades = await api.request_data_sync(create_trades_request("KRW-BTC", 10))
    ticker = await api.get_ticker("KRW-BTC")
    rules = [answer.trace.rule for answer in (tickers, book, trades, ticker)]
    assert rules == ["quote-snapshot", "quote-snapshot", "trades", "quote-snapshot"]
    assert trades.trace.calls == 1
    assert trades.trace.steps[0].latency_ms > 0


async def test_a_trace_tells_calls_that_failed_and_the_wait_for_the_budget(market):
    sandbox, api = market
    sandbox.inject(Fault("rest-status", status=500, group="candles", share=1.0, duration_s=0.1))
    series = await api.get_candles("KRW-BTC", "1m", 3000)
    (step,) = [step for step in series.trace.steps if step.channel == "rest"]
    assert step.retries == 1
    assert step.calls == 16
    assert step.waited_ms > 100
    assert step.waited_ms < step.latency_ms


async def test_when_the_socket_has_said_all_that_it_may_the_price_comes_from_rest(market):
    _, api = market
    symbols = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL", "KRW-DOGE", "KRW-ADA", "KRW-AWE"]
    await api.get_ticker("KRW-BTC")
    traces = [ticker.trace for ticker in await asyncio.gather(*map(api.get_ticker, symbols))]
    by_rest = [trace for trace in traces if trace.served_by == ("rest",)]
    assert 2 <= len(by_rest) < len(symbols)
    assert all("another channel can answer at once" in trace.steps[0].error for trace in by_rest)
    assert api.channel_health()["websocket"].success_rate == 1.0


async def test_contained_questions_in_flight_share_one_fetch(market):
    sandbox, api = market
    before = sandbox.counters.requests["candles"]
    large, small, same = await asyncio.gather(
        api.get_candles("KRW-BTC", "1m", 200),
        api.get_candles("KRW-BTC", "1m", 20),
        api.get_candles("KRW-BTC", "1m", 200),
    )
    assert sandbox.counters.requests["candles"] == before + 1
    assert list(small) == list(large)[-20:]
    assert list(same) == list(large)
    assert small.trace.notes == ("part of the answer to: candles KRW-BTC 1m count=200",)


async def test_a_chart_does_not_wait_for_a_download_that_holds_its_candles(market):
    _, api = market
    download = asyncio.create_task(api.request_data_sync(create_candle_request("KRW-BTC", "1m", 20_000)))
    await asyncio.sleep(0.2)
    chart = await api.get_candles("KRW-BTC", "1m", 100)
    assert (len(chart), download.done()) == (100, False)
    assert not any(note.startswith("part of the answer to") for note in chart.trace.notes)
    download.cancel()
    with pytest.raises(asyncio.CancelledError):
        await download


async def test_what_is_wrong_with_a_larger_question_is_not_wrong_with_the_smaller(market):
    _, api = market
    await api.get_markets()
    wrong, right = await asyncio.gather(
        api.request_data_sync(create_ticker_request(["KRW-BTC", "KRW-NOPE"])),
        api.request_data_sync(create_ticker_request("KRW-BTC")),
        return_exceptions=True,
    )
    assert isinstance(wrong, UnknownSymbolError)
    assert [ticker.symbol for ticker in right] == ["KRW-BTC"]


async def test_a_deadline_of_one_does_not_end_the_fetch_of_the_other(market):
    sandbox, api = market
    sandbox.inject(Fault("slow-rest", seconds=0.5, group="candles"))
    request = create_candle_request("KRW-BTC", "1m", 50)
    patient = asyncio.create_task(api.request_data_sync(request))
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExceededError):
        await api.request_data_sync(evolve(request, deadline=0.05))
    assert len(await patient) == 50


def test_an_answer_about_something_else_is_refused(kit):
    channel = kit.Channel("files")
    check_identity(channel, ["KRW-BTC"], ["KRW-BTC"])
    with pytest.raises(MalformedReplyError, match="asked for KRW-BTC, got KRW-ETH"):
        check_identity(channel, ["KRW-BTC"], ["KRW-ETH"])
    with pytest.raises(MalformedReplyError, match="got nothing"):
        check_identity(channel, ["KRW-BTC"], [])


async def test_a_question_that_fails_is_told_once_with_its_cause(open_market, capsys):
    async with open_market(settings={"log.level": "INFO"}) as (sandbox, api):
        sandbox.inject(Fault("rest-status", status=500))
        with pytest.raises(AllChannelsFailedError):
            await api.get_trades("KRW-BTC", 10)
    lines = [line for line in capsys.readouterr().err.splitlines() if "request_failed" in line]
    assert len(lines) == 1
    assert "trades KRW-BTC count=10" in lines[0]
