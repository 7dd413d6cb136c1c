"""What a policy may know of the channels of Upbit, of a store, and of strangers."""

from attrs import evolve

from market_backbone import (
    Capabilities,
    ChannelHealth,
    ChannelView,
    CircuitState,
    DataKind,
    HistoryDepth,
    SmartRoutingPolicy,
    Timeframe,
    create_candle_request,
)
from market_backbone.domain.routing import Holdings
from market_backbone.infrastructure.candle_store.channel import CAPABILITIES as CACHE
from market_backbone.infrastructure.upbit.rest import CAPABILITIES as REST
from market_backbone.infrastructure.upbit.websocket import CAPABILITIES as WEBSOCKET

SMART = SmartRoutingPolicy()


def views(*, rest=True, websocket=True, followed=(), extra=()):
    """The two channels of Upbit, each with its circuit closed or open."""
    states = {True: CircuitState.CLOSED, False: CircuitState.OPEN}
    return [
        ChannelView(name="rest", capabilities=REST, health=ChannelHealth(circuit=states[rest])),
        ChannelView(
            name="websocket",
            capabilities=WEBSOCKET,
            health=ChannelHealth(circuit=states[websocket], last_error="cut"),
            followed=frozenset(followed),
        ),
        *extra,
    ]


FILES = ChannelView(
    name="files",
    capabilities=Capabilities(
        answers=frozenset({DataKind.CANDLE}),
        timeframes=frozenset({Timeframe.M1}),
        history=HistoryDepth.FULL,
        candles_per_call=1000,
    ),
)


BINANCE = ChannelView(
    name="a-stranger", capabilities=evolve(REST, venue_prefix="binance", timeframes=frozenset({Timeframe.M1}))
)


def cache(extent, missing=None):
    """The store, and how much of the request at hand it holds."""
    held = Holdings(extent=extent, missing_slots=missing)
    return ChannelView(name="cache", capabilities=CACHE, holding=held)


BULK = create_candle_request("KRW-BTC", "1m", 500)
