"""The event loop of the extra ``fast`` carries everything that asyncio's own does."""

import asyncio
import sys

import pytest

from market_backbone import TradeReceived, create_realtime_request

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uvloop does not run on Windows")


def test_candles_are_answered_and_trades_followed(open_market):
    uvloop = pytest.importorskip("uvloop")

    async def main():
        async with open_market(speed=20.0) as (_, api), asyncio.timeout(30):
            series = await api.get_candles("KRW-BTC", "1m", count=200)
            events = []
            async with api.follow(create_realtime_request("KRW-BTC", kind="trade")) as stream:
                async for event in stream:
                    events.append(event)
                    if len(events) >= 20:
                        break
        return type(asyncio.get_running_loop()), series, events

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop, series, events = runner.run(main())

    assert loop is uvloop.Loop
    assert len(series) == 200
    ids = [event.trade.sequential_id for event in events if isinstance(event, TradeReceived)]
    assert len(ids) == len(set(ids)) >= 19
