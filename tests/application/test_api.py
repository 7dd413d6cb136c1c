"""The public surface against the real sandbox, over real sockets."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from waiting import take

from market_backbone import (
    AllChannelsFailedError,
    CandleSeries,
    CandleUpdated,
    ChannelSwitched,
    ChannelUnavailableError,
    CircuitState,
    DeadlineExceededError,
    HistoryLoaded,
    InvalidRangeError,
    OrderBookUpdated,
    PluginError,
    Reason,
    TickerUpdated,
    TradeReceived,
    UnknownSymbolError,
    UnsupportedRequestError,
    create_candle_request,
    create_orderbook_request,
    create_realtime_request,
    create_ticker_request,
    create_trades_request,
    create_unified_api,
)
from market_backbone.infrastructure.sandbox import Fault


async def test_five_hundred_candles_come_in_one_format_with_a_trace(sandbox, api):
    series = await api.request_data_sync(create_candle_request("KRW-BTC", "1m", 500))
    assert isinstance(series, CandleSeries)
    assert len(series) == 500
    assert series.venue == f"sandbox:{sandbox.dataset}"
    assert {candle.source for candle in series} == {"rest"}
    assert series.trace.served_by == ("rest",)
    assert series.trace.calls == 3
    assert str(series.trace).startswith("candles KRW-BTC 1m count=500")


@pytest.mark.parametrize("timeframe", ["1s", "1m", "3m", "5m", "10m", "15m", "30m", "1h", "4h", "1d", "1w", "1M", "1y"])
async def test_candles_of_every_timeframe_are_what_the_exchange_has(sandbox, api, timeframe):
    series = await api.get_candles(
        "KRW-BTC", timeframe, 3, end=datetime(2026, 6, 1, tzinfo=UTC) if timeframe != "1s" else None
    )
    unit = {"1h": "60m", "4h": "240m"}.get(timeframe, timeframe)
    first, beyond = (round(at.timestamp() * 1000) for at in (series[0].opened_at, series[-1].closed_at))
    truth = {candle.opened_ms: candle for candle in sandbox.market.candles("KRW-BTC", unit, first, beyond)}
    for candle in series:
        if candle.is_final:
            known = truth[round(candle.opened_at.timestamp() * 1000)]
            assert (candle.open, candle.high, candle.low, candle.close) == (
                known.open,
                known.high,
                known.low,
                known.close,
            )
            assert candle.volume == known.volume
    assert len(series) == 3


async def test_quotes_come_from_the_socket_and_trades_from_rest(api):
    tickers = await api.request_data_sync(create_ticker_request(["KRW-BTC", "KRW-ETH"]))
    assert [ticker.symbol for ticker in tickers] == ["KRW-BTC", "KRW-ETH"]
    book = await api.request_data_sync(create_orderbook_request("KRW-BTC", depth=7))
    assert (len(book.bids), book.source) == (7, "websocket")
    assert book.best_bid.price < book.best_ask.price
    trades = await api.request_data_sync(create_trades_request("KRW-BTC", 700))
    assert len({trade.sequential_id for trade in trades}) == 700
    assert [trade.traded_at for trade in trades] == sorted(trade.traded_at for trade in trades)
    assert (await api.get_ticker("KRW-ETH")).price > 0
    assert (await api.get_orderbook("KRW-ETH")).asks
    assert len(await api.get_trades("KRW-ETH", 5)) == 5


async def test_following_begins_with_history_and_seals_every_minute_once(sandbox, api):
    request = create_realtime_request("KRW-BTC", "1m", history=20)

    def three_sealed(taken):
        return sum(isinstance(event, CandleUpdated) and event.candle.is_final for event in taken) >= 3

    async with api.follow(request) as events:
        taken = await take(events, three_sealed)
    assert isinstance(taken[0], HistoryLoaded)
    history = taken[0].series
    assert len(history) == 20
    finals = [event.candle for event in taken if isinstance(event, CandleUpdated) and event.candle.is_final]
    first_open = next(candle.opened_at for candle in history if not candle.is_final)
    assert [candle.opened_at for candle in finals] == [first_open + timedelta(minutes=n) for n in range(3)]
    for candle in finals:
        start = round(candle.opened_at.timestamp() * 1000)
        truth = sandbox.market.candles("KRW-BTC", "1m", start, start + 60_000)[0]
        assert (candle.close, candle.volume) == (truth.close, truth.volume)


@pytest.mark.parametrize(
    ("kind", "event"), [("ticker", TickerUpdated), ("orderbook", OrderBookUpdated), ("trade", TradeReceived)]
)
async def test_every_kind_can_be_followed(api, kind, event):
    async with api.follow(create_realtime_request("KRW-BTC", kind=kind)) as events:
        taken = await take(events, lambda taken: sum(isinstance(one, event) for one in taken) >= 3)
    assert {type(one) for one in taken} <= {event, ChannelSwitched}


async def test_a_timeframe_without_a_stream_is_made_of_minutes(api):
    assert api.explain(create_realtime_request("KRW-BTC", "1d")).rule == "live-derived"
    async with api.follow(create_realtime_request("KRW-BTC", "1d", history=3)) as events:
        taken = await take(events, lambda taken: len(taken) >= 3)
    assert len(taken[0].series) == 3
    assert taken[1].candle.timeframe == "1d"


async def test_a_cut_socket_loses_and_doubles_no_trade(sandbox, api):
    async with api.follow(create_realtime_request("KRW-BTC", kind="trade")) as events:
        taken = await take(events, lambda taken: len(taken) >= 20)
        sandbox.inject(Fault("drop-sockets"))
        taken += await take(events, lambda more: sum(isinstance(e, ChannelSwitched) for e in more) >= 2)
        taken += await take(events, lambda more: len(more) >= 40)
    trades = [event.trade for event in taken if isinstance(event, TradeReceived)]
    ids = [trade.sequential_id for trade in trades]
    assert len(ids) == len(set(ids))
    first, last = (round(trade.traded_at.timestamp() * 1000) for trade in (trades[0], trades[-1]))
    truth = sandbox.market.trades("KRW-BTC", first, last - 2000)
    assert {trade.sequential_id for trade in truth if trade.sequential_id >= ids[0]} <= set(ids)
    assert [(e.old, e.new) for e in taken if isinstance(e, ChannelSwitched)][-2:] == [
        ("websocket", "rest"),
        ("rest", "websocket"),
    ]


async def test_a_report_from_outside_makes_the_next_plans_avoid_the_channel(api):
    api._channel_router.update_channel_performance("websocket", 5000.0, False)
    assert api.channel_health()["websocket"].circuit is CircuitState.OPEN
    assert (await api.get_ticker("KRW-BTC")).source == "rest"
    assert api.explain(create_realtime_request("KRW-BTC")).channels[0] == "rest"
    async with api.follow(create_realtime_request("KRW-BTC", kind="ticker")) as events:
        taken = await take(events, lambda taken: len(taken) >= 2)
        assert {event.ticker.source for event in taken} == {"rest"}
        taken = await take(events, lambda taken: isinstance(taken[-1], ChannelSwitched))
        assert (taken[-1].old, taken[-1].new) == ("rest", "websocket")


async def test_a_followed_quote_is_answered_from_memory(api):
    async with api.follow(create_realtime_request("KRW-BTC", kind="ticker")) as events:
        await take(
            events, lambda taken: isinstance(taken[-1], TickerUpdated) and taken[-1].ticker.source == "websocket"
        )
        plan = api.explain(create_ticker_request("KRW-BTC"))
        assert plan.rule == "quote-followed"
        began = time.perf_counter()
        assert (await api.get_ticker("KRW-BTC")).source == "websocket"
        assert time.perf_counter() - began < 5


async def test_rest_dead_means_an_error_with_each_cause_and_recovery_by_itself(sandbox, api):
    sandbox.inject(Fault("rest-status", status=500))
    with pytest.raises(AllChannelsFailedError) as caught:
        await api.get_candles("KRW-BTC", "1m", 10)
    assert "500" in str(caught.value)
    sandbox.clear_faults()
    assert len(await api.get_candles("KRW-BTC", "1m", 10)) == 10


async def test_pages_that_arrived_are_kept_when_a_later_one_fails(open_market):
    async with open_market(speed=1.0, limits=False) as (_, api):
        request = create_candle_request("KRW-BTC", "1m", 1000)
        channel = api.channels["rest"]
        asked = channel.get_candles

        async def fails_from_the_fourth_on(*arguments, **named):
            if len(pages) == 3:
                raise ChannelUnavailableError("down", channel="rest")
            pages.append(1)
            return await asked(*arguments, **named)

        pages = []
        channel.get_candles = fails_from_the_fourth_on
        series = await api.request_data_sync(request)
    assert len(series) == 600
    assert any(gap.end == series[0].opened_at for gap in series.gaps())
    assert "incomplete" in series.trace.notes[0]


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda api: api.get_candles("KRW-NOPE"), UnknownSymbolError, "unknown symbol 'KRW-NOPE'"),
        (lambda api: api.get_candles("krw-btc"), UnknownSymbolError, "did you mean 'KRW-BTC'"),
        (lambda api: api.get_candles("KRW-BTC", "2m"), UnsupportedRequestError, "unknown timeframe '2m'"),
        (lambda api: api.get_candles("KRW-BTC", count=0), InvalidRangeError, "got 0"),
        (lambda api: api.get_candles("KRW-BTC", count=-1), InvalidRangeError, "got -1"),
        (lambda api: api.get_candles("KRW-BTC", count=10**12), InvalidRangeError, "from 1 to"),
        (
            lambda api: api.get_candles("KRW-BTC", start=datetime(2026, 1, 1), end=datetime(2026, 1, 2)),
            ValueError,
            "time zone",
        ),
        (
            lambda api: api.get_candles(
                "KRW-BTC", start=datetime(2026, 1, 2, tzinfo=UTC), end=datetime(2026, 1, 1, tzinfo=UTC)
            ),
            InvalidRangeError,
            "swap",
        ),
        (lambda api: api.get_ticker("KRW-NOPE"), UnknownSymbolError, "KRW-NOPE"),
        (lambda api: api.request_data_sync("KRW-BTC"), UnsupportedRequestError, "got str"),
    ],
)
async def test_bad_input_is_refused_with_what_was_expected_and_what_came(api, ask, error, said):
    with pytest.raises(error) as caught:
        await ask(api)
    assert said in str(caught.value)


async def test_a_future_end_is_cut_to_now_and_the_trace_says_so(api):
    series = await api.get_candles("KRW-BTC", "1m", 5, end=datetime.now(UTC) + timedelta(days=30))
    assert len(series) == 5
    assert "future" in series.trace.notes[0]


async def test_a_deadline_that_passes_is_an_error_of_its_own(sandbox, api):
    await api.get_candles("KRW-BTC", count=1)
    sandbox.inject(Fault("slow-rest", seconds=20))
    with pytest.raises(DeadlineExceededError, match=r"within 2 s"):
        await api.request_data_sync(create_candle_request("KRW-BTC", "1m", 5, deadline=2))


async def test_markets_are_listed_with_their_warnings(api):
    markets = await api.get_markets()
    assert "KRW-BTC" in {market.symbol for market in markets}
    assert any(market.is_warned for market in markets)
    assert api.venue.startswith("sandbox:")


async def test_a_policy_can_be_given_by_name_or_object_and_an_unknown_one_is_refused(open_market):
    async with open_market(policy="rest-only") as (_, api):
        assert (await api.get_ticker("KRW-BTC")).source == "rest"
        assert api.explain(create_realtime_request("KRW-BTC")).channels == ("rest",)
    with pytest.raises(PluginError, match="did you mean 'smart'"):
        await create_unified_api("test", policy="smartt")


async def test_one_address_is_enough_and_the_other_follows_from_it(sandbox):
    for section in ({"upbit.rest_url": sandbox.rest_url}, {"upbit.websocket_url": sandbox.websocket_url}):
        async with create_unified_api("test", {**section, "log.level": "ERROR"}) as single:
            assert (await single.get_ticker("KRW-BTC")).venue == f"sandbox:{sandbox.dataset}"
            assert (await single.get_candles("KRW-BTC", count=2)).venue == f"sandbox:{sandbox.dataset}"


async def test_the_first_candles_of_a_young_market_are_found_without_walking_the_years_before_it(api):
    series = await api.get_candles("KRW-KAIA", "1m", 10, start=datetime(2017, 9, 1, tzinfo=UTC))
    assert len(series) == 10
    assert series.trace.calls < 60
    assert series.gaps() == ()
    assert series.quiet()[0].reason is Reason.BEFORE_LISTING
    deep = await api.get_candles("KRW-BTC", "1d", 5, start=datetime(2010, 1, 1, tzinfo=UTC))
    assert deep[0].opened_at.year == 2017
