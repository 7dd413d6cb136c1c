"""The channels and the questions that policies are tried with."""

from collections.abc import Iterator, Sequence
from itertools import product

from attrs import evolve

from ...domain.capabilities import Capabilities, DataKind, HistoryDepth
from ...domain.request import (
    AnyRequest,
    CandleRequest,
    RealtimeRequest,
    TickerRequest,
    create_candle_request,
    create_orderbook_request,
    create_realtime_request,
    create_ticker_request,
    create_trades_request,
)
from ...domain.resampling import is_made_of
from ...domain.routing import ChannelHealth, ChannelView, CircuitState, Extent, Holdings
from ...domain.timeframe import Timeframe

_STREAMED = frozenset(
    frame for frame in Timeframe if frame.is_fixed and frame.nominal_width < Timeframe.D1.nominal_width
)
VIEWS = (
    ChannelView(
        name="rest",
        capabilities=Capabilities(
            answers=frozenset(DataKind),
            timeframes=frozenset(Timeframe),
            history=HistoryDepth.FULL,
            candles_per_call=200,
            trades_per_call=500,
            calls_per_s=10,
        ),
    ),
    ChannelView(
        name="websocket",
        capabilities=Capabilities(
            answers=frozenset(DataKind),
            follows=frozenset(DataKind),
            timeframes=_STREAMED,
            live_timeframes=_STREAMED,
            history=HistoryDepth.TIP,
            candles_per_call=1,
            trades_per_call=1,
            calls_are_free=True,
        ),
    ),
    ChannelView(
        name="cache",
        capabilities=Capabilities(
            answers=frozenset({DataKind.CANDLE}),
            timeframes=frozenset(Timeframe),
            history=HistoryDepth.FULL,
            candles_per_call=10**8,
            calls_are_free=True,
            answers_from_store=True,
        ),
        holding=Holdings(extent=Extent.PART, missing_slots=7, lacks_only_tip=True),
    ),
    ChannelView(
        name="archive",
        capabilities=Capabilities(
            answers=frozenset({DataKind.CANDLE}),
            timeframes=frozenset({Timeframe.M1, Timeframe.H1}),
            history=HistoryDepth.FULL,
            candles_per_call=1000,
            rows_are_final=True,
            calls_are_free=True,
        ),
    ),
)
"""A REST, a socket, a cache and a stranger's archive, as a user would have them."""


def questions(prefix: str) -> tuple[AnyRequest, ...]:
    """Return questions of every kind about the symbols of a venue."""
    one, other = (f"{prefix}:BTC/USDT", f"{prefix}:ETH/USDT") if prefix else ("KRW-BTC", "KRW-ETH")
    return (
        create_candle_request(one, "1m", 1),
        create_candle_request(one, "1m", 500),
        create_candle_request(one, "1M", 12),
        create_candle_request(one, "1h", 100, closed_only=True),
        create_ticker_request([one, other]),
        create_orderbook_request(one, depth=5),
        create_trades_request(one, 1),
        create_trades_request(one, 1000),
        *(create_realtime_request(one, kind=kind) for kind in DataKind),
        create_realtime_request(one, "1d"),
    )


_HOLDINGS = (
    Holdings(),
    Holdings(extent=Extent.PART, missing_slots=7, lacks_only_tip=True),
    Holdings(extent=Extent.WHOLE, missing_slots=0),
)


def prefix_of(views: Sequence[ChannelView]) -> str:
    """Return how the symbols begin that the channels serve; a store serves those of every venue."""
    return next((view.capabilities.venue_prefix for view in views if not view.capabilities.answers_from_store), "")


def of_another_venue(views: Sequence[ChannelView], prefix: str) -> list[ChannelView]:
    """Return what serves another venue: a channel like the first of these, under the name of its prefix."""
    like = next((view for view in views if not view.capabilities.answers_from_store), None)
    return (
        [] if like is None else [evolve(like, name=prefix, capabilities=evolve(like.capabilities, venue_prefix=prefix))]
    )


def with_circuit(view: ChannelView, state: CircuitState, *, is_probing: bool = False) -> ChannelView:
    """Return a view whose circuit is in this state."""
    return evolve(view, health=ChannelHealth(circuit=state, is_probing=is_probing, last_error="it was cut"))


def view_sets(views: Sequence[ChannelView]) -> Iterator[list[ChannelView]]:
    """Yield states of the channels: every combination of open circuits, and much, little or nothing that is held."""
    for states in product((CircuitState.CLOSED, CircuitState.OPEN), repeat=len(views)):
        yield [with_circuit(view, state) for view, state in zip(views, states, strict=True)]
    for holding in _HOLDINGS:
        yield [evolve(view, holding=holding) if view.capabilities.answers_from_store else view for view in views]


def kind_of(request: AnyRequest) -> DataKind:
    """Return the kind of data that is asked for."""
    if isinstance(request, RealtimeRequest):
        return request.kind
    if isinstance(request, CandleRequest):
        return DataKind.CANDLE
    if isinstance(request, TickerRequest):
        return DataKind.TICKER
    return DataKind.ORDERBOOK if hasattr(request, "depth") else DataKind.TRADE


def declares(view: ChannelView, request: AnyRequest) -> bool:
    """Return whether a channel declares something that can serve a request, or a part of it."""
    able, kind = view.capabilities, kind_of(request)
    if kind is not DataKind.CANDLE:
        return kind in able.answers or (isinstance(request, RealtimeRequest) and kind in able.follows)
    frame = getattr(request, "timeframe", Timeframe.M1)
    if not isinstance(request, RealtimeRequest):
        return kind in able.answers and frame in able.timeframes
    parts = {frame, Timeframe.M1} if is_made_of(frame, Timeframe.M1) else {frame}
    return bool(parts & able.timeframes and kind in able.answers) or bool(parts & able.live_timeframes)
