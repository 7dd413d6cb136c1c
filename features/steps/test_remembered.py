"""Steps of remembered.feature."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from pytest_bdd import given, parsers, scenarios, then, when

from market_backbone import (
    CandleRevised,
    CandleSeries,
    CandleUpdated,
    HistoryLoaded,
    HistoryRewritten,
    IntegrityError,
    Reason,
    SeamVerdict,
    TradeReceived,
    create_candle_request,
    create_realtime_request,
)
from market_backbone.application.paging.prefetch import MAX_AHEAD
from market_backbone.domain.coverage_report import CANDLES, HOLE
from market_backbone.domain.ledger import SeriesKey
from market_backbone.infrastructure.sandbox import Fault

scenarios("remembered.feature")

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = datetime(2026, 11, 20, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
STANDSTILL = (datetime(2026, 11, 10, 18, tzinfo=UTC), timedelta(minutes=358))  # of seed 7
NIGHT = {"start": STANDSTILL[0] - HOUR, "end": STANDSTILL[0] + 8 * HOUR}
LARGE = ("KRW-BTC", "KRW-ETH", "KRW-XRP")
THREE_DAYS = {"start": TODAY - 4 * DAY, "end": TODAY - DAY}
PAGES = -(-3 * 1440 // 200)
SPEED = 60.0
SETTLED = timedelta(seconds=2)  # younger trades may not have been published yet


def at(hour):
    return TODAY + int(hour) * HOUR


def ms(instant):
    return round(instant.timestamp() * 1000)


def facts(candles):
    return [(one.opened_at, one.open, one.high, one.low, one.close, one.volume, one.finality) for one in candles]


def calls(desk):
    """How often the exchange was asked for candles."""
    return desk.sandbox.counters.requests["candles"]


def ask_hours(desk, symbol, first, last):
    desk.mark = calls(desk)
    desk.other = desk.answer
    desk.ask(create_candle_request(symbol, "1m", start=at(first), end=at(last)))
    assert desk.error is None, desk.error


def finals(events):
    return [event.candle for event in events if isinstance(event, CandleUpdated) and event.candle.is_final]


def hold(desk, series):
    """Have the desk hold what the exchange no longer says."""

    async def written():
        store = desk.api.channels["cache"].store
        await store.quarantine(SeriesKey(series.venue, series.symbol, series.timeframe), "for this scenario")
        await store.write(series)

    desk.run(written())


def with_changed(series, row):
    rows = list(series)
    rows[row] = evolve(rows[row], high=rows[row].high + 1, volume=rows[row].volume * 3)
    return CandleSeries.of(series.venue, series.symbol, series.timeframe, rows, series.coverage)


@given("a desk at noon")
def desk_at_noon(desk):
    desk.open_market(starts_at=NOON, speed=SPEED)
    desk.open()


@given(parsers.parse("the desk has asked for the hours from {first:d} to {last:d} of {symbol}"))
@when(parsers.parse("the desk asks for the hours from {first:d} to {last:d} of {symbol:S}"))
def asks_hours(desk, symbol, first, last):
    ask_hours(desk, symbol, first, last)


@when(parsers.parse("the desk asks for the hours from {first:d} to {last:d} of {symbol:S} while it follows it"))
def asks_while_following(desk, symbol, first, last):
    desk.follow(create_realtime_request(symbol, "1m"))
    desk.wait_until(lambda events: any(isinstance(event, CandleUpdated) for event in events))
    ask_hours(desk, symbol, first, last)


@given("the desk has been closed for a while and opened again")
def closed_and_opened(desk):
    desk.close()
    desk.run(asyncio.sleep(75 / SPEED))
    desk.open()
    desk.run(desk.api.get_markets())  # a practice market says by its first reply whose data this is


@given("three of these minutes have become final")
def three_finals(desk):
    desk.wait_until(lambda events: len(finals(events)) >= 3)


@given(parsers.parse("{symbol} is no longer listed"))
def delisted(desk, symbol):
    desk.sandbox.inject(Fault("delist", symbol=symbol))
    desk.run(desk.api._parts.requests.clock.sleep(15))  # the market list is asked for every ten seconds at most


@given("the exchange once stood still for six hours")
def stood_still(desk):
    began, lasted = STANDSTILL
    for symbol in LARGE:
        assert not list(desk.sandbox.market.candles(symbol, "1m", ms(began), ms(began + lasted)))


@given("the desk has asked for that night of the large markets")
def night_of_large_markets(desk):
    for symbol in LARGE:
        desk.run(desk.api.get_candles(symbol, "1m", **NIGHT))


@given("the desk holds one minute of the hours from 2 to 7 that the exchange has changed since")
def one_minute_changed(desk):
    ask_hours(desk, "KRW-BTC", 2, 7)
    desk.other = desk.answer
    hold(desk, with_changed(desk.answer, row=-1))


@given("the exchange has made one KRW-ETH into ten")
def redenominated(desk):
    desk.sandbox.inject(Fault("redenominate", symbol="KRW-ETH", factor=10))


@given("a download of three days of KRW-ETH that was interrupted half-way")
def interrupted_download(desk):
    async def half():
        pages = []
        is_half = asyncio.Event()

        def tell(progress):
            pages.append(progress)
            if len(pages) >= PAGES // 2:
                is_half.set()

        task = asyncio.create_task(desk.api.download(["KRW-ETH"], "1m", **THREE_DAYS, on_progress=tell))
        await is_half.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    desk.run(half())


@given("a download of three days of KRW-ETH that has finished")
def finished_download(desk):
    desk.run(desk.api.download(["KRW-ETH"], "1m", **THREE_DAYS))


@given("one minute of yesterday is held wrongly")
def wrong_minute(desk):
    series = desk.run(desk.api.get_candles("KRW-BTC", "1m", start=TODAY - DAY, end=TODAY))
    hold(desk, with_changed(series, row=600))  # of the hour that opens at 10:00


@when("the desk asks for the minutes that it has followed")
def asks_followed(desk):
    desk.other = finals(desk.events)
    desk.mark = calls(desk)
    desk.ask(create_candle_request("KRW-BTC", "1m", start=desk.other[0].opened_at, end=desk.other[-1].closed_at))


@when("the desk asks for that night of KRW-AWE")
def night_of_a_thin_market(desk):
    desk.ask(create_candle_request("KRW-AWE", "1m", **NIGHT))


@when(parsers.parse("the desk looks at what it holds of the hours from {first:d} to {last:d}"))
def looks_at_what_is_held(desk, first, last):
    desk.mark = calls(desk)
    desk.answer = desk.run(desk.api.coverage("KRW-BTC", "1m", start=at(first), end=at(last)))


@when("the same download is started again")
def download_again(desk):
    desk.mark = calls(desk)
    (desk.answer,) = desk.run(desk.api.download(["KRW-ETH"], "1m", **THREE_DAYS))


@when("the desk audits yesterday")
def audits(desk):
    desk.answer = desk.run(desk.api.audit("KRW-BTC", (TODAY - DAY).date()))


@when("the desk audits yesterday and has it repaired")
def audits_and_repairs(desk):
    desk.answer = desk.run(desk.api.audit("KRW-BTC", (TODAY - DAY).date(), repair=True))


@when("the desk goes on after the last trade that it had")
def goes_on_with_trades(desk):
    trades = [event.trade for event in desk.have(TradeReceived)]
    desk.other = max(trades, key=lambda trade: (trade.traded_at, trade.sequential_id))
    desk.mark = len(desk.events)
    desk.follow(create_realtime_request("KRW-BTC", kind="trade", resume_after=desk.other))


@when("the desk goes on after the last candle that it had as final")
def goes_on_with_candles(desk):
    desk.other = finals(desk.events)
    desk.mark = len(desk.events)
    desk.follow(create_realtime_request("KRW-BTC", "1m", resume_after=desk.other[-1]))


@then("the exchange is not asked")
def not_asked(desk):
    assert calls(desk) == desk.mark


@then("the answer is the one that the desk had before")
def same_answer(desk):
    assert len(desk.answer) > 0
    assert facts(desk.answer) == facts(desk.other)
    assert desk.answer.gaps() == ()


@then("the same minutes are known to be quiet")
def same_quiet(desk):
    assert desk.answer.quiet()
    assert desk.answer.quiet() == desk.other.quiet()


@then("the exchange is asked once, for the hours from 7 to 10")
def asked_once(desk):
    assert calls(desk) == desk.mark + 1
    fetched = [step.rows for step in desk.answer.trace.steps if step.channel == "rest"]
    assert fetched == [180]


@then("no minute lacks")
def nothing_lacks(desk):
    assert len(desk.answer) == 360
    assert desk.answer.strict() is desk.answer


@then("what was held and what is new are proven to fit at 7")
def proven_joint(desk):
    assert [(seam.at, seam.verdict) for seam in desk.answer.seams] == [(at(7), SeamVerdict.PROVEN)]


@then("what was held and what is new were repaired at 7")
def repaired_joint(desk):
    assert {(seam.at, seam.verdict) for seam in desk.answer.seams} == {(at(7), SeamVerdict.REPAIRED)}


@then("the hours from 2 to 7 are there")
def held_part_is_there(desk):
    assert facts(desk.answer) == facts(desk.other)
    assert len(desk.answer) == 5 * 60


@then(parsers.parse("the hours from 7 to 10 lack because they are {reason}"))
def rest_lacks(desk, reason):
    assert [(gap.start, gap.end, gap.reason) for gap in desk.answer.gaps()] == [(at(7), at(10), Reason[reason])]


@then("the trace tells that the answer may be stale")
def told_stale(desk):
    assert any(note.startswith("stale") for note in desk.answer.trace.notes)


@then("a strict reader is refused, and told what lacks")
def strict_is_refused(desk):
    with pytest.raises(IntegrityError, match="2026-11-20T07:00:00Z"):
        desk.answer.strict()


@then("the six hours are an outage")
def six_hours_out(desk):
    out = [part for part in desk.answer.quiet() if part.reason is Reason.OUTAGE]
    assert [(part.start, part.end - part.start) for part in out] == [STANDSTILL]


@then("other minutes without a candle are minutes without a trade")
def others_are_silent(desk):
    assert {part.reason for part in desk.answer.quiet()} == {Reason.OUTAGE, Reason.NO_TRADE}


@then("it sees candles until 7 and a hole until 10")
def sees_hole(desk):
    assert desk.answer.strip(8) == CANDLES * 5 + HOLE * 3
    assert (desk.answer.rows, desk.answer.slots_by_reason()) == (300, {Reason.UNKNOWN: 180})


@then("that minute is as the exchange tells it now")
def minute_is_true(desk):
    (minute,) = [candle for candle in desk.answer if candle.opened_at == at(7) - MINUTE]
    assert facts([minute]) == facts(desk.other[-1:])
    assert minute.revision == 1


@then("the desk is told of both views of it")
def told_of_revision(desk):
    desk.wait_until(lambda events: any(isinstance(event, CandleRevised) for event in events))
    (told,) = desk.have(CandleRevised)
    assert (told.old.volume, told.new.volume) == (desk.other[-1].volume * 3, desk.other[-1].volume)


@then("every candle of the past is as the exchange tells it now")
def past_is_true(desk):
    assert len(desk.answer) == 8 * 60
    assert [candle.close for candle in desk.answer[:300]] == [candle.close * 10 for candle in desk.other]
    assert desk.answer.gaps() == ()


@then("the desk is told that history was rewritten")
def told_of_rewriting(desk):
    desk.wait_until(lambda events: any(isinstance(event, HistoryRewritten) for event in events))
    assert {event.symbol for event in desk.have(HistoryRewritten)} == {"KRW-ETH"}


@then("what was held before is set aside and not lost")
def quarantine(desk):
    aside = [line for line in desk.run(desk.api.inventory()) if line.quarantine_reason]
    assert [(line.key.symbol, line.rows >= len(desk.other)) for line in aside] == [("KRW-ETH", True)]


@then("it brings what lacked and nothing twice")
def only_the_rest(desk):
    assert 0 < calls(desk) - desk.mark <= PAGES - PAGES // 2 + 2
    assert calls(desk) <= PAGES + 3 + MAX_AHEAD  # what was on its way is asked for again


@then("the three days are as the market made them")
def days_are_true(desk):
    async def held():
        parts = desk.api.held_parts("KRW-ETH", "1m", **THREE_DAYS)
        return [(ms(one.opened_at), one.close, one.volume) async for part in parts for one in part]

    truth = desk.sandbox.market.candles("KRW-ETH", "1m", ms(THREE_DAYS["start"]), ms(THREE_DAYS["end"]))
    assert desk.answer.is_answered
    assert desk.run(held()) == [(one.opened_ms, one.close, one.volume) for one in truth]


@then("the day and its 24 hours equal its minutes")
def clean_day(desk):
    assert desk.answer.is_clean
    assert (desk.answer.compared, desk.answer.minutes) == (25, 1440)


@then("the day and the hour of that minute differ from their minutes")
def day_differs(desk):
    found = {(one.timeframe, one.opened_at) for one in desk.answer.differences}
    assert found == {("1d", TODAY - DAY), ("1h", TODAY - DAY + 10 * HOUR)}


@then("one candle has been changed")
def one_mended(desk):
    assert desk.answer.repaired == 1


def _sources(events):
    return {event.trade.source for event in events if isinstance(event, TradeReceived)}


@then("every trade since then came exactly once")
def trades_once(desk):
    desk.wait_until(lambda events: _sources(events) == {"rest", "websocket"}, since=desk.mark)
    seen = len(desk.events)
    desk.wait_until(lambda events: len(events) >= 20, since=seen)
    came = [event.trade for event in desk.have(TradeReceived)]
    ids, newest = [trade.sequential_id for trade in came], max(trade.traded_at for trade in came)
    assert len(ids) == len(set(ids))
    truth = desk.sandbox.market.trades("KRW-BTC", ms(desk.other.traded_at), ms(newest - SETTLED))
    assert {one.sequential_id for one in truth if one.sequential_id > desk.other.sequential_id} <= set(ids)


@then("every minute became final exactly once, in order")
def finals_once(desk):
    desk.wait_until(lambda events: len(finals(events)) >= 2, since=desk.mark)
    (missed,) = [event.series for event in desk.have(HistoryLoaded, desk.mark)]
    came = [*desk.other, *(one for one in missed if one.is_final), *finals(desk.events[desk.mark :])]
    opened = [candle.opened_at for candle in came]
    assert opened == [opened[0] + number * MINUTE for number in range(len(opened))]
    assert len(missed) > 0
