"""Steps of failover.feature."""

from datetime import timedelta
from itertools import pairwise

from pytest_bdd import given, scenarios, then, when

from market_backbone import (
    AllChannelsFailedError,
    CandleUpdated,
    ChannelSwitched,
    Degraded,
    Recovered,
    TickerUpdated,
    TradeReceived,
    create_realtime_request,
)
from market_backbone.infrastructure.sandbox import Fault

scenarios("failover.feature")

LOST_S = 15.0  # of market time
SILENT_S = 90.0
SETTLED_MS = 2_000  # younger trades may not have been published yet
MINUTE = timedelta(minutes=1)
THERE_AND_BACK = [("websocket", "rest"), ("rest", "websocket")]


def there_and_back(events):
    switches = [(event.old, event.new) for event in events if isinstance(event, ChannelSwitched)]
    return switches[-2:] == THERE_AND_BACK


@when("the socket is lost for a while")
def lose_the_socket(desk):
    desk.mark = len(desk.events)
    desk.sandbox.inject(Fault("refuse-upgrades", status=503, duration_s=LOST_S))
    desk.sandbox.inject(Fault("drop-sockets"))


@when("KRW-BTC alone falls silent for a while")
def fall_silent(desk):
    desk.mark = len(desk.events)
    desk.sandbox.inject(Fault("dead-code", symbol="KRW-BTC", channel="trade", duration_s=SILENT_S))


@when("REST breaks down")
def rest_breaks_down(desk):
    desk.mark = len(desk.events)
    desk.sandbox.inject(Fault("rest-status", status=500))


@when("the whole exchange goes down")
def exchange_goes_down(desk):
    desk.mark = len(desk.events)
    for fault in (Fault("rest-status", status=503), Fault("refuse-upgrades", status=503), Fault("drop-sockets")):
        desk.sandbox.inject(fault)


@given("the desk follows prices through an exchange that went down")
def followed_through_an_outage(desk):
    desk.follow(create_realtime_request("KRW-BTC", kind="ticker"))
    desk.wait_until(lambda events: any(isinstance(event, TickerUpdated) for event in events))
    exchange_goes_down(desk)
    desk.wait_until(lambda events: any(isinstance(event, Degraded) for event in events), since=desk.mark)


@when("the exchange comes back")
def exchange_comes_back(desk):
    desk.mark = len(desk.events)
    desk.sandbox.clear_faults()


@then("the trades go on through rest and come back to the websocket")
def trades_go_on(desk):
    desk.wait_until(there_and_back, since=desk.mark)
    desk.wait_until(lambda events: _sources(events, TradeReceived) == {"rest", "websocket"}, since=desk.mark)
    seen = len(desk.events)
    desk.wait_until(lambda events: len(events) >= 20, since=seen)


def _sources(events, kind):
    named = {TradeReceived: "trade", TickerUpdated: "ticker", CandleUpdated: "candle"}[kind]
    return {getattr(event, named).source for event in events if isinstance(event, kind)}


@then("the prices go on through rest and come back to the websocket")
def prices_go_on(desk):
    desk.wait_until(there_and_back, since=desk.mark)
    desk.wait_until(lambda events: _sources(events, TickerUpdated) == {"rest", "websocket"}, since=desk.mark)


@then("the candles go on through rest and come back to the websocket")
def candles_go_on(desk):
    desk.wait_until(there_and_back, since=desk.mark)
    desk.wait_until(lambda events: _sources(events, CandleUpdated) >= {"rest", "websocket"}, since=desk.mark)


@then("no trade is missing and none came twice")
def nothing_lost_nothing_twice(desk):
    trades = [event.trade for event in desk.have(TradeReceived)]
    ids = [trade.sequential_id for trade in trades]
    assert len(ids) == len(set(ids))
    first, last = (round(trade.traded_at.timestamp() * 1000) for trade in (trades[0], trades[-1]))
    truth = {trade.sequential_id for trade in desk.sandbox.market.trades("KRW-BTC", first, last - SETTLED_MS)}
    assert {number for number in truth if number >= ids[0]} <= set(ids)


@then("each price was a price of the market")
def prices_are_true(desk):
    tickers = [event.ticker for event in desk.have(TickerUpdated)]
    first, last = (round(ticker.traded_at.timestamp() * 1000) for ticker in (tickers[0], tickers[-1]))
    truth = {(trade.traded_ms, trade.price) for trade in desk.sandbox.market.trades("KRW-BTC", first, last + 1)}
    assert {(round(ticker.traded_at.timestamp() * 1000), ticker.price) for ticker in tickers} <= truth


@then("every minute became final exactly once, in order, as the market made it")
def finals_are_complete(desk):
    desk.wait_until(lambda events: len(_finals(events)) >= 3)
    finals = _finals(desk.events)
    assert all(newer.opened_at - older.opened_at == MINUTE for older, newer in pairwise(finals))
    for candle in finals:
        start = round(candle.opened_at.timestamp() * 1000)
        (truth,) = desk.sandbox.market.candles("KRW-BTC", "1m", start, start + 60_000)
        assert (candle.open, candle.high, candle.low, candle.close) == (truth.open, truth.high, truth.low, truth.close)
        assert candle.volume == truth.volume


def _finals(events):
    return [event.candle for event in events if isinstance(event, CandleUpdated) and event.candle.is_final]


@then("the desk is told of the change to rest and of the change back")
def told_of_changes(desk):
    desk.wait_until(there_and_back, since=desk.mark)
    assert desk.switches[-2:] == THERE_AND_BACK


@then("each change has a reason")
def changes_have_reasons(desk):
    assert all(event.reason for event in desk.have(ChannelSwitched))


@then("the trace tells that rest failed first")
def rest_failed_first(desk):
    rest, websocket = desk.answer.trace.steps[:2]
    assert (rest.channel, rest.status, websocket.channel, websocket.status) == ("rest", "failed", "websocket", "served")
    assert "500" in rest.error


@then("the prices go on through the websocket without a change")
def prices_stay(desk):
    desk.wait_until(lambda events: len(events) >= 20, since=desk.mark)
    assert desk.have(ChannelSwitched, desk.mark) == []
    assert _sources(desk.events[desk.mark :], TickerUpdated) == {"websocket"}


@then("the error names what is wrong with rest and with websocket")
def error_names_causes(desk):
    assert isinstance(desk.error, AllChannelsFailedError)
    causes = {error.channel: str(error) for error in desk.error.exceptions}
    assert set(causes) == {"rest", "websocket"}
    assert "500" in causes["rest"]
    assert "503" in causes["websocket"]


@then("the desk is told how old its data is getting")
def told_of_staleness(desk):
    desk.wait_until(lambda events: any(isinstance(event, Degraded) for event in events), since=desk.mark)
    told = desk.have(Degraded, desk.mark)[-1]
    assert told.staleness_s > 0
    assert "503" in told.reason


@then("its stream has not ended")
def stream_goes_on(desk):
    assert desk.ended_by is None


@then("the desk is told that its stream has recovered")
def told_of_recovery(desk):
    desk.wait_until(lambda events: any(isinstance(event, Recovered) for event in events), since=desk.mark)


@then("new prices arrive")
def new_prices(desk):
    desk.wait_until(lambda events: sum(isinstance(event, TickerUpdated) for event in events) >= 3, since=desk.mark)
