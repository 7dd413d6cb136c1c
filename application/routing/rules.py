"""The rule tables of the policies, and how the forming tip is shared. Pure."""

from collections.abc import Callable, Sequence

from attrs import field, frozen

from ...domain.capabilities import DataKind, HistoryDepth
from ...domain.request import AnyRequest, CandleRequest, OrderBookRequest, RealtimeRequest, TickerRequest, TradesRequest
from ...domain.resampling import is_made_of
from ...domain.routing import CACHE, REST, WEBSOCKET, ChannelView, Extent, Grade
from ...domain.timeframe import Timeframe

Views = Sequence[ChannelView]


@frozen
class Rule:
    """One row of the table: when it applies, which channels come first, and why.

    Attributes:
        order: the channels by name, or what decides their order.
        joins: channels that give their part to the answer of the first one.
        made_of: the timeframe that is streamed instead of the one that was asked for, which is derived from it.
        shares_tip: the first channel was chosen in turn to give the forming candle.
        remark: what the plan has to say about how it came about.

    """

    name: str
    reason: str
    order: tuple[str, ...] | Callable[[Views], tuple[str, ...]]
    applies: Callable[[AnyRequest, Views], bool]
    joins: tuple[str, ...] = ()
    made_of: Timeframe | None = field(default=None, kw_only=True)
    shares_tip: bool = field(default=False, kw_only=True)
    remark: Callable[[Views], str] | None = field(default=None, kw_only=True)

    def order_of(self, views: Views) -> tuple[str, ...]:
        """Return the channels in the order of this row."""
        return self.order(views) if callable(self.order) else self.order


def view_of(name: str, views: Views) -> ChannelView | None:
    """Return the view of one channel."""
    return next((view for view in views if view.name == name), None)


def history_needed(request: CandleRequest) -> HistoryDepth:
    """Return how far back a channel must reach to serve a request alone."""
    is_tip = request.count == 1 and request.end is None and request.start is None and not request.closed_only
    return HistoryDepth.TIP if is_tip and not request.final_only else HistoryDepth.FULL


def can_serve(view: ChannelView, request: AnyRequest) -> bool:
    """Return whether a channel declares that it can serve a request."""
    able = view.capabilities
    match request:
        case RealtimeRequest():
            polled = (
                not (able.answers_from_store or able.rows_are_final)
                and request.kind in able.answers
                and (
                    request.kind is not DataKind.CANDLE or able.can_answer_candles(request.timeframe, HistoryDepth.FULL)
                )
            )
            return able.can_follow(request.kind, request.timeframe) or polled
        case CandleRequest():
            holds_any = not able.answers_from_store or view.holding.extent is not Extent.NOTHING
            return holds_any and able.can_answer_candles(request.timeframe, history_needed(request))
        case TickerRequest():
            return DataKind.TICKER in able.answers
        case OrderBookRequest():
            return DataKind.ORDERBOOK in able.answers
        case TradesRequest():
            return DataKind.TRADE in able.answers and able.trades_per_call >= min(request.count, 2)


def _is_followable(request: AnyRequest, views: Views) -> bool:
    return isinstance(request, RealtimeRequest) and any(
        view.capabilities.can_follow(request.kind, request.timeframe) for view in views
    )


def streams_minutes(view: ChannelView) -> bool:
    """Return whether a channel streams what longer candles are made of."""
    return view.capabilities.can_follow(DataKind.CANDLE, Timeframe.M1)


def can_refresh(view: ChannelView, request: RealtimeRequest) -> bool:
    """Return whether a channel knows the candle that is followed, and the minutes before the stream began."""
    able, needed = view.capabilities, (request.timeframe, Timeframe.M1)
    return not (able.answers_from_store or able.rows_are_final) and all(
        able.can_answer_candles(each, HistoryDepth.FULL) for each in needed
    )


def _is_derivable(request: AnyRequest, views: Views) -> bool:
    return (
        isinstance(request, RealtimeRequest)
        and request.kind is DataKind.CANDLE
        and not _is_followable(request, views)
        and is_made_of(request.timeframe, Timeframe.M1)
        and any(streams_minutes(view) for view in views)
        and any(can_refresh(view, request) for view in views)
    )


def _topics(request: AnyRequest) -> frozenset[str]:
    if isinstance(request, TickerRequest):
        return frozenset(f"{DataKind.TICKER}:{symbol}" for symbol in request.symbols)
    return (
        frozenset({f"{DataKind.ORDERBOOK}:{request.symbol}"}) if isinstance(request, OrderBookRequest) else frozenset()
    )


def is_followed(request: AnyRequest, views: Views) -> bool:
    """Return whether the socket delivers everything that is asked for already."""
    topics, socket = _topics(request), view_of(WEBSOCKET, views)
    return bool(topics) and socket is not None and topics <= socket.followed


def is_quote(request: AnyRequest, _: Views) -> bool:
    """Return whether the newest tickers or a book are asked for."""
    return isinstance(request, TickerRequest | OrderBookRequest)


def _is_about_now(request: AnyRequest) -> bool:
    return (
        isinstance(request, CandleRequest)
        and request.start is None
        and request.end is None
        and not (request.closed_only or request.final_only)
    )


def _is_tip_live(request: AnyRequest, views: Views) -> bool:
    socket = view_of(WEBSOCKET, views)
    if not isinstance(request, CandleRequest) or not _is_about_now(request) or socket is None:
        return False
    return f"{DataKind.CANDLE}.{request.timeframe}:{request.symbol}" in socket.followed


def _holds(*extents: Extent) -> Callable[[AnyRequest, Views], bool]:
    return lambda request, views: isinstance(request, CandleRequest) and _held(views) in extents


def _held(views: Views) -> Extent:
    cache = view_of(CACHE, views)
    return Extent.NOTHING if cache is None else cache.holding.extent


def _is_held_to_a_live_tip(request: AnyRequest, views: Views) -> bool:
    return _held(views) is Extent.WHOLE and _is_tip_live(request, views)


def _lacks_only_tip(request: AnyRequest, views: Views) -> bool:
    """Return whether both channels could give all that is missing."""
    cache, rest, socket = (view_of(name, views) for name in (CACHE, REST, WEBSOCKET))
    if cache is None or rest is None or socket is None or not isinstance(request, CandleRequest):
        return False
    can_both = rest.capabilities.can_answer_candles(request.timeframe, HistoryDepth.FULL)
    can_both = can_both and socket.capabilities.can_answer_candles(request.timeframe, HistoryDepth.TIP)
    return _is_about_now(request) and cache.holding.lacks_only_tip and can_both


def _tip_grades(views: Views) -> tuple[Grade, Grade]:
    rest, socket = view_of(REST, views), view_of(WEBSOCKET, views)
    return (
        Grade.OUT if rest is None else _grade(rest),
        Grade.OUT if socket is None else _grade(socket),
    )


def _tip_turn(views: Views) -> int:
    return sum(view.tips_served for view in views)


def _tip_order(views: Views) -> tuple[str, ...]:
    """Return whose turn it is to give the tip, by health."""
    order = (REST, WEBSOCKET)
    return order if picks_first(split(*_tip_grades(views)), _tip_turn(views)) else order[::-1]


def _tip_split(views: Views) -> str:
    rest, socket = _tip_grades(views)
    shares = split(rest, socket)
    healths = f"{rest.name.lower()}, {socket.name.lower()}"
    return f"split {REST}:{WEBSOCKET} {shares[0]}:{shares[1]} ({healths}), turn {_tip_turn(views) + 1}"


def _grade(view: ChannelView) -> Grade:
    return view.health.grade if view.is_usable else Grade.OUT


def is_a(kind: type[AnyRequest]) -> Callable[[AnyRequest, Views], bool]:
    """Return what is true of every request of a kind."""
    return lambda request, _: isinstance(request, kind)


def always(_: AnyRequest, __: Views) -> bool:
    """Be true of every request."""
    return True


LIVE_DERIVED = Rule(
    "live-derived",
    "no channel streams this, but its minutes are streamed, and it is exactly what they make",
    (WEBSOCKET, REST),
    _is_derivable,
    made_of=Timeframe.M1,
)
LIVE_STREAM = Rule(
    "live-stream",
    "live and cheap; polling keeps it alive when the socket is lost",
    (WEBSOCKET, REST),
    _is_followable,
)
LIVE_POLLING = Rule(
    "live-polling", "no channel streams this; REST is asked again and again", (REST,), is_a(RealtimeRequest)
)
QUOTE_FOLLOWED = Rule(
    "quote-followed", "already followed: the newest value is in memory and free", (WEBSOCKET, REST), is_followed
)
QUOTE_SNAPSHOT = Rule(
    "quote-snapshot", "book and price belong to the socket; one snapshot is free", (WEBSOCKET, REST), is_quote
)
TRADES = Rule("trades", "past trades are known to REST only", (REST,), is_a(TradesRequest))
CANDLES_HELD_LIVE = Rule(
    "candles-held-and-live",
    "what is over is held, and the newest candle is followed already: nothing has to be asked",
    (REST,),
    _is_held_to_a_live_tip,
    (CACHE, WEBSOCKET),
)
CANDLES_HELD = Rule(
    "candles-held",
    "everything that is over is held; nothing has to be asked",
    (REST,),
    _holds(Extent.WHOLE),
    (CACHE,),
)
CANDLES_HYBRID = Rule(
    "candles-hybrid",
    "only the forming candle is missing, and both channels can give it: they share the load by health",
    _tip_order,
    _lacks_only_tip,
    (CACHE,),
    shares_tip=True,
    remark=_tip_split,
)
CANDLES_PARTLY_HELD = Rule(
    "candles-partly-held",
    "only what is not held is asked for, and one row more to compare",
    (REST,),
    _holds(Extent.PART),
    (CACHE,),
)
CANDLES_BULK = Rule("candles-bulk", "bulk and stable", (REST,), is_a(CandleRequest))
SMART_RULES = (
    LIVE_STREAM,
    LIVE_DERIVED,
    LIVE_POLLING,
    QUOTE_FOLLOWED,
    QUOTE_SNAPSHOT,
    TRADES,
    CANDLES_HELD_LIVE,
    CANDLES_HELD,
    CANDLES_HYBRID,
    CANDLES_PARTLY_HELD,
    CANDLES_BULK,
)
SHARE_OF_THE_WORSE = {Grade.GOOD: 50, Grade.DEGRADED: 30, Grade.POOR: 20, Grade.OUT: 0}


def split(one: Grade, other: Grade) -> tuple[int, int]:
    """Return the shares of two channels in percent; equals share alike."""
    if one == other:
        return 50, 50
    share = SHARE_OF_THE_WORSE[max(one, other)]
    return (share, 100 - share) if one > other else (100 - share, share)


def picks_first(shares: tuple[int, int], turn: int) -> bool:
    """Return whether the first of two takes turn number ``turn`` (0, 1, …) of smooth weighted round-robin.

    The turns of each are spread as evenly as its share allows: after any number of turns the first has had
    its share of them, rounded to the nearest whole, halves up.
    """

    def had(turns: int) -> int:
        return (turns * shares[0] + 50) // 100

    return had(turn + 1) > had(turn)
