"""Past trades of a venue whose day may end at any call."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_backbone import Timeframe, TimeRange
from market_backbone.application.paging.readers import TradeReader, read_candles
from market_backbone.application.paging.trade_pager import DAYS_KEPT, TradePager

DAY = timedelta(days=1)


@pytest.fixture(scope="session")
def trade_at(kit):
    """Make a trade whose id is that of its instant, like the exchange's."""

    def make(at, number=0):
        milliseconds = (at - kit.START) // timedelta(milliseconds=1)
        return kit.trade((milliseconds + 10**12) * 10 + number, milliseconds=milliseconds)

    return make


class ModelServer:
    """Trades of nine days behind a clock that may cross midnight at any call, before it answers or after."""

    def __init__(self, trades, now, leaps, page, uncertain=0.0):
        self.trades = trades
        self.now = now
        self.uncertain = timedelta(seconds=uncertain)
        self.leaps = leaps
        self.page = page
        self.answered_at = []
        self.days_asked = []

    def earliest(self, at=None):
        return self.now - self.uncertain

    def latest(self, at=None):
        return self.now - self.uncertain + timedelta(seconds=1)

    async def sleep(self, seconds):
        self.now += timedelta(seconds=seconds)

    def leap(self):
        self.now += timedelta(seconds=self.leaps.pop(0) if self.leaps else 0.05)

    async def get_trade_page(self, symbol, count, *, before_id=None, days_ago=None):
        self.leap()
        assert days_ago is None or 1 <= days_ago <= DAYS_KEPT
        assert 1 <= count <= self.page
        self.days_asked.append(days_ago)
        self.answered_at.append(self.now)
        day = (self.now - DAY * (days_ago or 0)).date()
        rows = [trade for trade in self.trades if trade.traded_at <= self.now and trade.traded_at.date() == day]
        rows = [trade for trade in rows if before_id is None or trade.sequential_id < before_id][-count:]
        self.leap()
        return rows


@settings(max_examples=400, deadline=None)
@given(
    instants=st.lists(st.integers(0, 9 * 86_400), max_size=60, unique=True),
    near=st.lists(st.integers(-40, 40), max_size=30, unique=True),
    before_midnight=st.floats(0, 30),
    leaps=st.lists(st.sampled_from([0.0, 0.1, 0.9, 5.0, 20.0]), max_size=40),
    count=st.integers(1, 80),
    page=st.integers(1, 7),
    uncertain=st.floats(0, 0.999),
)
async def test_the_newest_trades_each_once_whenever_midnight_comes(  # noqa: PLR0917 - what hypothesis varies
    kit, trade_at, instants, near, before_midnight, leaps, count, page, uncertain
):
    midnight = kit.START + 9 * DAY
    seconds = sorted({*instants, *(9 * 86_400 + second for second in near)})
    trades = [trade_at(kit.START + timedelta(seconds=second)) for second in seconds]
    server = ModelServer(trades, midnight - timedelta(seconds=before_midnight), leaps, page, uncertain)
    paging = TradePager(page, count)
    await TradeReader(server, server).read(server, kit.BTC, paging)

    found = paging.trades
    assert len({trade.sequential_id for trade in found}) == len(found)
    known = [[trade for trade in trades if trade.traded_at <= at] for at in server.answered_at]
    kept_from = datetime.combine((server.now - DAYS_KEPT * DAY).date(), time(), UTC)
    kept = [trade for trade in found if trade.traded_at >= kept_from]
    assert any([t for t in one[-count:] if t.traded_at >= kept_from] == kept for one in known)
    assert found == trades[trades.index(found[0]) : trades.index(found[-1]) + 1] if found else True


async def test_a_whole_range_of_candles_comes_in_as_many_pages_as_it_takes(kit):
    clock = kit.Clock()
    clock.now += 100 * 60
    channel = kit.Channel(minutes=range(90), clock=clock, page=20)
    span = TimeRange(kit.START, kit.START + timedelta(minutes=90))
    series = await read_candles(channel, kit.BTC, Timeframe.M1, span)
    assert kit.minutes(series) == list(range(90))
    assert series.gaps() == ()
    assert len(channel.calls) == 5


async def test_of_past_trades_no_more_pages_are_asked_for_than_was_said(kit, trade_at):
    trades = [trade_at(kit.START + timedelta(seconds=second)) for second in range(50)]
    server = ModelServer(trades, kit.START + timedelta(hours=1), [], page=5)
    pager = TradePager(5, 50)
    await TradeReader(server, server).read(server, kit.BTC, pager, 3)
    assert pager.calls == 3
    assert pager.trades == trades[-15:]
