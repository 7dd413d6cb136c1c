"""Candles of one topic: who comes later is promised what follows its history, and REST is asked once a second."""

from datetime import timedelta

import pytest

from market_backbone import CandleUpdated, DataKind, Finality, HistoryLoaded, Timeframe
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.topics.candle_tracker import CandleTracker, TrackerOptions
from market_backbone.application.streaming.topics.candles import MIN_REPAIR_S, CandleTopic
from market_backbone.domain.coverage import Coverage
from market_backbone.domain.request import Topic
from market_backbone.domain.series import CandleSeries


@pytest.fixture
def state(kit):
    options = TrackerOptions(timeframe=Timeframe.M1, grace=kit.GRACE, repair_bound=timedelta(seconds=30))
    return CandleTopic(Topic(DataKind.CANDLE, kit.BTC, Timeframe.M1), CandleTracker(options))


def series(kit, *rows):
    coverage = Coverage.nothing(kit.candle(0).opened_at)
    return CandleSeries.of("test", kit.BTC, Timeframe.M1, rows, coverage)


def test_history_is_followed_by_what_is_held_of_the_slots_after_it(kit, state):
    list(state.apply(kit.candle(2)))
    subscriber = Subscriber.of(20, waits_for_history=True)
    state.open_for(subscriber, series(kit, kit.candle(1, finality=Finality.FINAL, source="rest")), None)
    history, *held = subscriber.buffer.drain()
    assert isinstance(history, HistoryLoaded)
    assert [event.candle.opened_at for event in held] == [kit.candle(2).opened_at]
    assert [type(event) for event in held] == [CandleUpdated]
    assert [seam.older for seam in history.series.seams] == ["rest"]
    assert state.frontier == kit.candle(2).opened_at


def test_without_history_the_promise_begins_where_somebody_left_off(kit, state):
    subscriber = Subscriber.of(20, waits_for_history=True)
    state.open_for(subscriber, series(kit), kit.candle(5).opened_at)
    assert state.frontier == kit.candle(5).opened_at
    assert [type(event) for event in subscriber.buffer.drain()] == [HistoryLoaded]


async def test_slots_that_are_over_need_rest_and_it_is_asked_once_a_second(kit, state):
    state.tracker.start_at(kit.START)
    server_now, asked = kit.START + timedelta(minutes=3), []

    async def ask(answer):
        asked.append(await answer)

    assert not state.needs_repair(100.0, None, is_live=False)
    assert state.needs_repair(100.0, server_now, is_live=False)
    clock = kit.Clock()
    clock.now += 180
    await state.repair(kit.Channel(minutes=range(3), clock=clock), ask, 100.0, server_now)
    assert [event.candle.is_final for event in asked[0]] == [True, True]
    assert not state.needs_repair(100.0 + MIN_REPAIR_S - 0.1, server_now + timedelta(minutes=5), is_live=False)
    assert state.needs_repair(100.0 + MIN_REPAIR_S, server_now + timedelta(minutes=5), is_live=False)
