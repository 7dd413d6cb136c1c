"""What becomes of a question to REST is told to those who follow."""

from market_backbone import (
    ChannelSwitched,
    DataKind,
    Degraded,
    Recovered,
    TradeReceived,
)


async def test_while_rest_is_dead_the_socket_goes_on_and_says_that_repairs_must_wait(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1, milliseconds=1000), is_snapshot=True)
    scene.rest.failures.extend([kit.broken(retryable=True)] * 2)
    await scene.until(lambda: scene.kinds(Degraded))
    assert "cannot be read" in scene.kinds(Degraded)[0].reason
    scene.give(kit.trade(2, milliseconds=2000))
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 2)
    await scene.until(lambda: scene.kinds(Recovered))
    assert scene.kinds(ChannelSwitched) == []
