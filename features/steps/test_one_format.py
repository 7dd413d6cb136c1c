"""Steps of one_format.feature."""

from datetime import UTC, datetime, timedelta

from pytest_bdd import given, scenarios, then, when

from market_backbone import CandleUpdated, Finality, TradeReceived, create_candle_request
from market_backbone.infrastructure.sandbox import Fault

scenarios("one_format.feature")

NAMES = ("candle", "ticker", "trade", "orderbook")
MINUTE = timedelta(minutes=1)


def carried(events):
    return [getattr(event, name) for event in events for name in NAMES if hasattr(event, name)]


def ms(instant):
    return round(instant.timestamp() * 1000)


def figures(candle):
    return (candle.opened_at, candle.open, candle.high, candle.low, candle.close, candle.volume)


def facts(trade):
    return (trade.identity, trade.price, trade.volume, trade.taker_side, trade.traded_at)


def finals(events):
    return [event.candle for event in events if isinstance(event, CandleUpdated) and event.candle.is_final]


@given("an hour in which nobody could trade")
def closed_hour(desk):
    desk.sandbox.inject(Fault("outage", hours=1))
    closed_at = datetime.fromtimestamp(desk.sandbox.now_ms() / 1000, UTC)
    desk.first_quiet = closed_at.replace(second=0, microsecond=0) + MINUTE

    async def passing():
        await desk.api.get_markets()
        await desk.api._parts.requests.clock.sleep(4 * 60 + 15)

    desk.run(passing())


@when("a followed minute has become final")
def minute_is_final(desk):
    def is_final_after_forming(events):
        forming = {one.opened_at for one in carried(events) if one.finality is Finality.FORMING}
        return any(candle.opened_at in forming for candle in finals(events))

    desk.wait_until(is_final_after_forming)


@when("the desk asks for the candles around that hour")
def ask_around(desk):
    desk.ask(
        create_candle_request("KRW-BTC", "1m", start=desk.first_quiet - 5 * MINUTE, end=desk.first_quiet + 3 * MINUTE)
    )


@when("the desk opens another practice market with another seed")
def another_market(desk):
    desk.answer = desk.run(desk.api.get_candles("KRW-BTC", "1m", 1))
    desk.open_market(seed=8)
    desk.open()
    desk.other = desk.run(desk.api.get_candles("KRW-BTC", "1m", 1))


@then("rest gives the same candle of that minute")
def same_candle(desk):
    live = finals(desk.events)[-1]
    page = desk.run(desk.api.channels["rest"].get_candles("KRW-BTC", "1m", 1, end=live.closed_at))
    (asked,) = page
    assert asked.source == "rest"
    assert figures(asked) == figures(live)
    assert asked.identity == live.identity


@then("every trade that both brought is one and the same")
def same_trades(desk):
    live = {event.trade.identity: facts(event.trade) for event in desk.have(TradeReceived)}
    asked = {trade.identity: facts(trade) for trade in desk.answer}
    both = live.keys() & asked.keys()
    assert len(both) >= 3
    assert {key: live[key] for key in both} == {key: asked[key] for key in both}


@then("every piece of data names its symbol, its venue and its source")
def named(desk):
    desk.wait_until(lambda events: len(carried(events)) >= 3)
    for item in carried(desk.events):
        assert item.symbol == "KRW-BTC"
        assert item.venue == f"sandbox:{desk.sandbox.dataset}"
        assert item.source in {"rest", "websocket"}


@then("every instant is in UTC")
def in_utc(desk):
    for item in carried(desk.events):
        instants = [getattr(item, name) for name in ("opened_at", "updated_at", "traded_at") if hasattr(item, name)]
        assert instants
        assert all(instant.tzinfo is UTC for instant in instants if instant is not None)


@then("every finished candle equals the market's own to the last digit")
def exact_candles(desk):
    first, last = desk.answer[0].opened_at, desk.answer[-1].closed_at
    own = {candle.opened_ms: candle for candle in desk.sandbox.market.candles("KRW-BTC", "1m", ms(first), ms(last))}
    finished = [candle for candle in desk.answer if candle.is_final]
    assert len(finished) > 400
    for candle in finished:
        truth = own[ms(candle.opened_at)]
        assert figures(candle)[1:] == (truth.open, truth.high, truth.low, truth.close, truth.volume)


@then("no number is written with an exponent")
def no_exponents(desk):
    written = [f"{candle.close:f} {candle.volume:f}" for candle in desk.answer] + [repr(desk.answer[0])]
    assert not any("E+" in text or "E-" in text for text in written)


@then("every trade equals the market's own to the last digit")
def exact_trades(desk):
    first, last = ms(desk.answer[0].traded_at), ms(desk.answer[-1].traded_at)
    own = {trade.sequential_id: trade for trade in desk.sandbox.market.trades("KRW-BTC", first, last + 1)}
    assert len(desk.answer) == 300
    for trade in desk.answer:
        truth = own[trade.sequential_id]
        assert (trade.price, trade.volume) == (truth.price, truth.volume)
        assert (ms(trade.traded_at), trade.taker_side == "SELL") == (truth.traded_ms, truth.is_ask)


@then("that minute was forming first and final last")
def forming_then_final(desk):
    opened = finals(desk.events)[-1].opened_at
    steps = [one.finality for one in carried(desk.events) if one.opened_at == opened]
    assert (steps[0], steps[-1]) == (Finality.FORMING, Finality.FINAL)
    assert steps == sorted(steps)
    assert steps.count(Finality.FINAL) == 1


@then("it says what made it final")
def says_why(desk):
    assert finals(desk.events)[-1].sealed_by in {"rest", "successor", "stream-quiet"}


@then("old candles are final and the newest is not")
def newest_moves(desk):
    assert all(candle.is_final for candle in desk.answer[:-3])
    assert not desk.answer[-1].is_final


@then("that hour is quiet, with a reason")
def hour_is_quiet(desk):
    spans = desk.answer.quiet()
    assert any(span.start <= desk.first_quiet and desk.first_quiet + 3 * MINUTE <= span.end for span in spans), spans
    assert all(span.reason.is_known_empty for span in spans)


@then("nothing is unknown")
def nothing_unknown(desk):
    assert desk.answer.gaps() == ()


@then("every candle says that it comes from a sandbox")
def says_sandbox(desk):
    assert {candle.venue for candle in desk.answer} == {f"sandbox:{desk.sandbox.dataset}"}


@then("the two have different venues")
def different_venues(desk):
    assert desk.answer.venue != desk.other.venue
    assert desk.answer[0].identity != desk.other[0].identity
