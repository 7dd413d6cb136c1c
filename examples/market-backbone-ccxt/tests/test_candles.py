"""What is claimed of candles that come through ccxt, and what is not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from conftest import BTC

from market_backbone import (
    Finality,
    MalformedReplyError,
    Reason,
    SealedBy,
    UnknownSymbolError,
    UnsupportedRequestError,
    create_candle_request,
    create_unified_api,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def answer(make_rest):
    """Return a channel whose ``fetch_ohlcv`` answers what the test says."""

    def answering(*replies, **options):
        channel, asked = make_rest(**options), []
        rest = list(replies)
        original = channel._exchange.raw.fetch_ohlcv

        async def fetch(market, frame, since, limit):
            asked.append((frame, since, limit))
            await original(market, frame, since, limit)  # brings a Date
            return rest.pop(0)

        channel._exchange.raw.fetch_ohlcv = fetch
        return channel, asked

    return answering


def row(at, price=1.0):
    return [round(at.timestamp() * 1000), price, price, price, price, 0.5]


def today():
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def test_numbers_are_what_the_exchange_wrote(make_rest, sandbox):
    series = await make_rest().get_candles(BTC, "1m", 5)
    truth = {one.opened_at: one for one in await _truth(sandbox, 5)}
    for candle in series:
        if candle.is_final:
            assert candle.is_same_market_data(truth[candle.opened_at])


async def _truth(sandbox, count):
    async with create_unified_api("test", _addresses(sandbox)) as api:
        return await api.get_candles("KRW-BTC", "1m", count)


def _addresses(sandbox):
    return {
        "upbit.rest_url": sandbox.rest_url,
        "upbit.websocket_url": sandbox.websocket_url,
        "log.level": "ERROR",
        "plugins.adapters": ["rest", "websocket", "cache"],
    }


async def test_a_row_is_final_a_slot_and_the_grace_after_its_end(answer):
    opened = datetime.now(UTC).replace(second=0, microsecond=0)
    channel, _ = answer([row(opened - 3 * MINUTE), row(opened - MINUTE), row(opened)])
    series = await channel.get_candles(BTC, "1m", 3)
    assert [candle.finality for candle in series] == [Finality.FINAL, Finality.CLOSED, Finality.FORMING]
    assert series[0].sealed_by is SealedBy.REST


async def test_a_slot_without_a_row_is_not_known_unless_the_owner_vouches_for_the_exchange(answer):
    begin = today() - DAY
    rows = [row(begin), row(begin + 3 * MINUTE)]
    channel, _ = answer(rows)
    series = await channel.get_candles(BTC, "1m", 5, end=begin + 5 * MINUTE)
    assert [(gap.start, gap.end) for gap in series.gaps()] == [
        (begin + MINUTE, begin + 3 * MINUTE),
        (begin + 4 * MINUTE, begin + 5 * MINUTE),
    ]
    channel, _ = answer(rows, complete=True)
    known = await channel.get_candles(BTC, "1m", 5, end=begin + 5 * MINUTE)
    assert (known.gaps(), [part.reason for part in known.quiet()]) == ((), [Reason.NO_TRADE] * 2)


async def test_an_empty_page_is_no_end_the_day_candles_tell_where_to_go_on(answer):
    end = today() - DAY
    channel, asked = answer([], [row(end - 20 * DAY), row(end - 9 * DAY)])
    series = await channel.get_candles(BTC, "1m", 100, end=end)
    assert (len(series), series.coverage.claimed_beginning) == (0, None)
    assert series.coverage.asked.start == end - 8 * DAY  # the newest day that traded is read next
    assert [(gap.start, gap.end) for gap in series.gaps()] == [(end - 8 * DAY, end)]
    assert [frame for frame, _, _ in asked] == ["1m", "1d"]


async def test_where_no_day_traded_either_history_is_said_to_begin(answer):
    end = today() - DAY
    channel, _ = answer([], [])
    series = await channel.get_candles(BTC, "1m", 100, end=end)
    assert series.coverage.claimed_beginning == end - 100 * MINUTE


async def test_nothing_is_said_of_the_future(answer):
    channel, asked = answer([])
    await channel.get_markets()
    later = today() + 2 * DAY
    series = await channel.get_candles(BTC, "1m", start=later, end=later + HOUR)
    assert (len(series), bool(series.coverage.asked), series.coverage.claimed_beginning, asked) == (0, False, None, [])


async def test_what_was_not_asked_for_is_left_out_and_a_contradiction_is_refused(answer):
    begin = today() - DAY
    channel, _ = answer([row(begin - MINUTE), row(begin), row(begin + 9 * MINUTE)], [row(begin), row(begin, 2.0)])
    series = await channel.get_candles(BTC, "1m", 5, end=begin + 5 * MINUTE)
    assert [candle.opened_at for candle in series] == [begin]
    with pytest.raises(MalformedReplyError, match="two candles of one slot"):
        await channel.get_candles(BTC, "1m", 5, end=begin + 5 * MINUTE)


@pytest.mark.parametrize("rows", [[[1, 2]], [row(today(), None)], ["no"], [row(today() + timedelta(seconds=7))]])
async def test_a_row_that_is_none_is_refused(answer, rows):
    channel, _ = answer(rows)
    with pytest.raises(MalformedReplyError):
        await channel.get_candles(BTC, "1m", 5)


async def test_an_outage_longer_than_a_page_costs_no_candle(sandbox):
    """What ccxt's own paging takes for the end of history: six hours in which nobody could trade."""
    begin = today() - 2 * DAY
    traded = [begin + n * MINUTE for n in (*range(142), *range(500, 642))]

    async with _opened(sandbox) as api:
        raw = api.channels["ccxt"]._exchange.raw
        original = raw.fetch_ohlcv

        async def fetch(market, frame, since, limit):
            await original(market, frame, since, limit)  # brings a Date
            rows = [row(at) for at in (traded if frame == "1m" else [begin])]
            return [one for one in rows if since is None or one[0] >= since][:limit]

        raw.fetch_ohlcv = fetch
        series = await api.get_candles(BTC, "1m", start=begin, end=begin + 642 * MINUTE)
    assert [candle.opened_at for candle in series] == traded
    assert [(gap.start, gap.end) for gap in series.gaps()] == [(begin + 142 * MINUTE, begin + 500 * MINUTE)]


def _opened(sandbox, policy=None, **options):
    settings = {
        "plugins.adapters": ["ccxt*", "cache"],
        "plugins.options.ccxt": {"exchange": "upbit", "url": sandbox.rest_url, **options},
        "upbit.rest_url": sandbox.rest_url,  # so that no second sandbox is started
        "log.level": "ERROR",
    }
    return create_unified_api("test", settings, policy)


async def test_other_symbols_and_timeframes_are_refused_with_what_there_is(make_rest):
    channel = make_rest()
    with pytest.raises(UnknownSymbolError, match="upbit does not list upbit:BTC/KWR; did you mean upbit:BTC/KRW"):
        await channel.get_candles("upbit:BTC/KWR")
    with pytest.raises(UnsupportedRequestError, match="ask the API for what follows a start"):
        await channel.get_candles(BTC, "1m", start=today())


async def test_a_second_venue_is_asked_kept_and_explained_like_the_first(sandbox):
    async with _opened(sandbox) as api:
        plan = api.explain(create_candle_request(BTC, "1m", 30))
        assert plan.channels == ("ccxt",)
        end = datetime.now(UTC).replace(second=0, microsecond=0) - 10 * MINUTE
        first = await api.get_candles(BTC, "1m", start=end - HOUR, end=end)
        again = await api.get_candles(BTC, "1m", start=end - HOUR, end=end)
        assert (len(first), first.trace.served_by) == (60, ("ccxt",))
        assert (list(again), again.trace.served_by) == (list(first), ("cache",))
        assert first.venue == f"custom:127.0.0.1:{sandbox.rest_url.rpartition(':')[2]}"
        assert len(await api.get_candles(BTC, "1m", 3, start=end - HOUR)) == 3
        (done,) = await api.download([BTC], "5m", start=end - 2 * HOUR, end=end)
        assert (done.error, done.is_answered) == (None, True)
        book = await api.get_orderbook(BTC, 5)
        trades = await api.get_trades(BTC, 10)
        assert (book.venue, len(trades), isinstance(trades[0].price, Decimal)) == (first.venue, 10, True)
        assert BTC in {market.symbol for market in await api.get_markets("upbit")}
