"""Trades of one topic: each once, whatever the channels do."""

from datetime import timedelta

import pytest
from attrs import evolve

from market_backbone import DataKind, Reason
from market_backbone.application.paging.readers import TradeReader
from market_backbone.application.streaming.topics.trades import TradeTopic
from market_backbone.domain.request import Topic


class CrossedRest:
    """REST whose answer is under way while something happens."""

    def __init__(self, kit, trades, meanwhile):
        self.capabilities = kit.Channel().capabilities
        self._trades = trades
        self._meanwhile = meanwhile

    async def get_trade_page(self, symbol, count, *, before_id=None, days_ago=None):
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return [] if before_id or days_ago else self._trades


def ids(events):
    return [event.trade.sequential_id for event in events]


@pytest.mark.parametrize("crossing", ["a new life", "its first frame"])
async def test_an_answer_that_was_asked_for_before_the_socket_spoke_is_thrown_away_and_asked_for_again(kit, crossing):
    clock = kit.Clock()
    topic = TradeTopic(Topic(DataKind.TRADE, kit.BTC), TradeReader(clock, kit.ServerTime(clock)))
    topic.apply(kit.trade(1))
    if crossing == "a new life":

        def meanwhile():
            topic.begin_life()
            topic.apply(kit.trade(9))

    else:
        topic.begin_life()

        def meanwhile():
            topic.apply(kit.trade(9))

    early = [kit.trade(number) for number in (1, 2)]
    assert await topic.catch_up(CrossedRest(kit, early, meanwhile)) == []
    assert topic.is_behind
    complete = [kit.trade(number) for number in (1, 2, 5, 9)]
    assert ids(await topic.catch_up(CrossedRest(kit, complete, lambda: None))) == [2, 5, 9]
    assert not topic.is_behind


async def test_polling_a_quiet_market_walks_back_over_its_empty_days_once(kit):
    clock = kit.Clock()
    clock.now += 5 * 86_400 + 3600
    rest = kit.Channel(clock=clock)
    topic = TradeTopic(Topic(DataKind.TRADE, kit.BTC), TradeReader(clock, kit.ServerTime(clock)))
    topic.deduplicator.start_at(kit.trade(1, milliseconds=3_600_000))
    await topic.catch_up(rest)
    assert [days_ago for _, _, days_ago in rest.calls] == [None, 1, 2, 3, 4, 5]
    rest.calls.clear()
    await topic.catch_up(rest)
    assert [days_ago for _, _, days_ago in rest.calls] == [None]


async def test_a_break_that_rest_keeps_no_trades_of_is_a_gap_up_to_where_it_does(kit):
    clock = kit.Clock()
    clock.now += 9 * 86_400
    topic = TradeTopic(Topic(DataKind.TRADE, kit.BTC), TradeReader(clock, kit.ServerTime(clock)))
    topic.deduplicator.start_at(kit.trade(1))
    gap, *_ = await topic.catch_up(kit.Channel(clock=clock))
    assert gap.reason is Reason.BEYOND_RETENTION
    assert (gap.range.start, gap.range.end) == (kit.trade(1).traded_at, kit.START + timedelta(days=2))


async def test_a_trade_that_a_socket_dropped_without_a_word_comes_late_but_once(kit):
    clock = kit.Clock()
    clock.now += 60
    topic = TradeTopic(Topic(DataKind.TRADE, kit.BTC), TradeReader(clock, kit.ServerTime(clock)))
    rest = kit.Channel(clock=clock)
    rest.trades = [kit.trade(number, milliseconds=1000 * number, source="rest") for number in range(1, 20)]
    for number in (1, 2, 4, 5, 19):  # 3 was dropped; 6 to 18 may still be on their way or were dropped, too
        topic.apply(kit.trade(number, milliseconds=1000 * number))
    brought = await topic.audit(rest)
    assert [event.trade.sequential_id for event in brought] == [3, *range(6, 18)]
    assert all(event.trade.is_late for event in brought)
    assert await topic.audit(rest) == []
    topic.apply(kit.trade(25, milliseconds=25_000))
    assert [event.trade.sequential_id for event in await topic.audit(rest)] == [18]


class LongRest:
    """REST that knows two trades a second, up to the time of a clock."""

    EVERY_S = 0.5

    def __init__(self, kit, clock):
        self.kit, self.clock, self.calls = kit, clock, 0
        self.capabilities = evolve(kit.Channel().capabilities, trades_per_call=500)

    @property
    def newest_id(self):
        return int((self.clock.now - 1000.0) / self.EVERY_S)

    def trade(self, number, source="rest"):
        return self.kit.trade(number, milliseconds=int(number * self.EVERY_S * 1000), source=source)

    async def get_trade_page(self, symbol, count, *, before_id=None, days_ago=None):
        self.calls += 1
        top = self.newest_id if before_id is None else before_id - 1
        return [] if days_ago else [self.trade(number) for number in range(max(1, top - count + 1), top + 1)]


@pytest.mark.parametrize("outage_s", [60, 300, 700, 1200, 3600, 8 * 3600])
async def test_however_long_rest_has_stood_in_every_trade_comes_once(kit, outage_s):
    clock = kit.Clock()
    clock.now += 10
    rest = LongRest(kit, clock)
    topic = TradeTopic(Topic(DataKind.TRADE, kit.BTC), TradeReader(clock, kit.ServerTime(clock)))
    topic.begin_life()
    events = [*topic.apply(rest.trade(rest.newest_id, "websocket"))]
    for _ in range(outage_s // 20):  # the socket is down, and REST is polled
        clock.now += 20
        events += await topic.catch_up(rest)
    topic.begin_life()
    clock.now += 1
    events += topic.apply(rest.trade(rest.newest_id, "websocket"))
    events += await topic.catch_up(rest)
    assert not topic.is_behind
    calls = rest.calls
    for _ in range(5):
        clock.now += 30
        events += await topic.audit(rest)
        events += [*topic.apply(*(rest.trade(number, "websocket") for number in range(20, rest.newest_id + 1)[-60:]))]
    assert rest.calls - calls <= 10, "nothing is asked again behind what was delivered"
    numbers = ids(events)
    assert len(set(numbers)) == len(numbers)
    assert sorted(numbers) == list(range(20, rest.newest_id + 1))
    assert len(topic.deduplicator._known) <= 1300


async def test_a_trade_that_a_thin_market_lost_comes_however_long_ago_the_one_before_was(kit):
    clock = kit.Clock()
    minutes = (0, 15, 30)
    trades = [kit.trade(number, milliseconds=minute * 60_000) for number, minute in enumerate(minutes, start=1)]
    clock.now += 31 * 60
    topic = TradeTopic(Topic(DataKind.TRADE, kit.BTC), TradeReader(clock, kit.ServerTime(clock)))
    topic.begin_life()
    rest = kit.Channel(clock=clock)
    rest.trades = trades[:1]
    assert ids(topic.apply(trades[0])) == [1]
    await topic.audit(rest)
    rest.trades = trades
    assert ids(topic.apply(trades[2])) == [3]
    assert ids(await topic.audit(rest)) == [2]


async def test_an_audit_that_comes_after_long_delivers_nothing_again_that_is_forgotten_as_delivered(kit):
    """REST was lost for 25 minutes while the socket brought a trade a second: the last audit lies behind memory."""
    clock = kit.Clock()
    topic = TradeTopic(Topic(DataKind.TRADE, kit.BTC), TradeReader(clock, kit.ServerTime(clock)))
    rest = kit.Channel(clock=clock)
    trades = [kit.trade(number, milliseconds=number * 1000) for number in range(1, 1501)]
    clock.now += 1501
    assert len(ids(topic.apply(*trades))) == 1500
    rest.capabilities = evolve(rest.capabilities, trades_per_call=500)  # else the audit ends before what is forgotten
    rest.trades = trades
    assert topic.deduplicator.forgotten_until is not None, "otherwise this shows nothing"
    assert await topic.audit(rest) == []
