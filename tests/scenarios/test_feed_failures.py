"""A feed on a bad day: silence, refusals, faults of others and of our own; nobody is left waiting."""

import pytest

from market_backbone import (
    DataKind,
    Degraded,
    Gap,
    ItemRejected,
    OrderBookUpdated,
    Recovered,
    SymbolDelistedError,
    TickerUpdated,
    TradeReceived,
)
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import Rejected


async def test_while_both_are_dead_the_follower_is_told_and_recovers_by_itself(kit, make_scene):
    scene = make_scene(DataKind.ORDERBOOK)
    await scene.open()
    scene.rest.failures.extend([kit.broken(retryable=True)] * 3)
    scene.stream.begin()
    scene.stream.end()
    await scene.until(lambda: scene.kinds(Recovered))
    assert scene.kinds(Degraded)[0].staleness_s >= 0
    await scene.until(lambda: scene.kinds(OrderBookUpdated))


async def test_a_malformed_frame_is_counted_and_told_and_the_stream_goes_on(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.begin()
    scene.stream.items.put_nowait(Rejected("not a frame", "{garbage"))
    scene.give(kit.ticker(second=1))
    await scene.until(lambda: scene.kinds(TickerUpdated))
    assert [(event.reason, event.excerpt) for event in scene.kinds(ItemRejected)] == [("not a frame", "{garbage")]
    assert scene.router.channel_health()["websocket"].rejected == 1


async def test_who_follows_something_else_is_not_told_of_a_malformed_frame(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.begin()
    scene.stream.items.put_nowait(Rejected("no price", "{}", Topic(DataKind.TRADE, "KRW-ETH")))
    scene.stream.items.put_nowait(Rejected("no price", "{}", scene.topic))
    scene.give(kit.ticker(second=1))
    await scene.until(lambda: scene.kinds(TickerUpdated))
    assert len(scene.kinds(ItemRejected)) == 1


async def test_a_strangers_channel_that_raises_anything_fails_like_any_other_and_the_stream_goes_on(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.rest.failures.extend([ZeroDivisionError("in the adapter")] * 2)
    await scene.until(lambda: scene.kinds(TickerUpdated))
    told = scene.kinds(Degraded)[0]
    assert told.reason == "rest: failed with ZeroDivisionError: in the adapter; report this to the channel's author"


async def test_without_rest_trades_go_on_after_a_break_with_a_gap_before_them(kit, make_scene):
    scene = make_scene(DataKind.TRADE, rest=None)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1))
    await scene.until(lambda: scene.kinds(TradeReceived))
    scene.stream.end("cut")
    await scene.until(lambda: scene.kinds(Degraded))
    scene.stream.begin()
    scene.give(kit.trade(9))
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 2)
    assert [type(event) for event in scene.events if isinstance(event, Gap | Recovered)] == [Recovered, Gap]


async def test_a_delisting_ends_the_followers_of_that_symbol(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.rest.failures.append(SymbolDelistedError("KRW-BTC is no longer listed"))
    scene.stream.begin()
    scene.stream.end()
    with pytest.raises(SymbolDelistedError):
        await scene.read_to_the_end()
