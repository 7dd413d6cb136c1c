"""Routing policies: short rule tables, first match wins, every row with a name and a reason.

No learning, no scoring: same request, same views, same plan (docs/decisions/0004).
"""

from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from ..domain.capabilities import DataKind, HistoryDepth
from ..domain.errors import UnsupportedRequestError
from ..domain.request import AnyRequest, CandleRequest, OrderBookRequest, RealtimeRequest, TickerRequest, TradesRequest
from ..domain.resampling import is_made_of
from ..domain.routing import POLL, REFRESH, STREAM, ChannelView, Holding, RoutePlan, RouteStep, StepStatus
from ..domain.timeframe import Timeframe

REST, WEBSOCKET, CACHE = "rest", "websocket", "cache"
Views = Sequence[ChannelView]


@frozen
class Rule:
    """One row of the table: when it applies, which channels come first, and why.

    ``joins`` names a channel that gives its part to the answer of the first one. ``made_of`` is the
    timeframe that is streamed instead of the one that was asked for, which is derived from it.
    """

    name: str
    reason: str
    order: tuple[str, ...]
    applies: Callable[[AnyRequest, Views], bool]
    joins: str = ""
    made_of: Timeframe | None = None


def _is_followable(request: AnyRequest, views: Views) -> bool:
    return isinstance(request, RealtimeRequest) and any(
        view.capabilities.can_follow(request.kind, request.timeframe) for view in views
    )


def _streams_minutes(view: ChannelView) -> bool:
    return view.capabilities.can_follow(DataKind.CANDLE, Timeframe.M1)


def _can_refresh(view: ChannelView, request: RealtimeRequest) -> bool:
    """Return whether a channel knows the candle that is followed, and the minutes before the stream began."""
    able, needed = view.capabilities, (request.timeframe, Timeframe.M1)
    return not able.answers_from_store and all(able.can_answer_candles(each, HistoryDepth.FULL) for each in needed)


def _is_derivable(request: AnyRequest, views: Views) -> bool:
    return (
        isinstance(request, RealtimeRequest)
        and request.kind is DataKind.CANDLE
        and not _is_followable(request, views)
        and is_made_of(request.timeframe, Timeframe.M1)
        and any(_streams_minutes(view) for view in views)
        and any(_can_refresh(view, request) for view in views)
    )


def _topics(request: AnyRequest) -> frozenset[str]:
    if isinstance(request, TickerRequest):
        return frozenset(f"{DataKind.TICKER}:{symbol}" for symbol in request.symbols)
    return (
        frozenset({f"{DataKind.ORDERBOOK}:{request.symbol}"}) if isinstance(request, OrderBookRequest) else frozenset()
    )


def _is_followed(request: AnyRequest, views: Views) -> bool:
    topics = _topics(request)
    return bool(topics) and any(view.name == WEBSOCKET and topics <= view.followed for view in views)


def _is_quote(request: AnyRequest, _: Views) -> bool:
    return isinstance(request, TickerRequest | OrderBookRequest)


def _holds(*extents: Holding) -> Callable[[AnyRequest, Views], bool]:
    return lambda request, views: isinstance(request, CandleRequest) and _held(views) in extents


def _held(views: Views) -> Holding:
    return next((view.holding.extent for view in views if view.name == CACHE), Holding.NOTHING)


def _socket_serves(request: AnyRequest, views: Views) -> bool:
    return any(view.name == WEBSOCKET and can_serve(view, request) for view in views)


def _always(_: AnyRequest, __: Views) -> bool:
    return True


def _is_a(kind: type[AnyRequest]) -> Callable[[AnyRequest, Views], bool]:
    return lambda request, _: isinstance(request, kind)


LIVE_DERIVED = Rule(
    "live-derived",
    "no channel streams this, but its minutes are streamed, and it is exactly what they make",
    (WEBSOCKET, REST),
    _is_derivable,
    made_of=Timeframe.M1,
)
SMART_RULES = (
    Rule(
        "live-stream",
        "live and cheap; polling keeps it alive when the socket is lost",
        (WEBSOCKET, REST),
        _is_followable,
    ),
    LIVE_DERIVED,
    Rule("live-polling", "no channel streams this; REST is asked again and again", (REST,), _is_a(RealtimeRequest)),
    Rule("quote-followed", "already followed: the newest value is in memory and free", (WEBSOCKET, REST), _is_followed),
    Rule("quote-snapshot", "book and price belong to the socket; one snapshot is free", (WEBSOCKET, REST), _is_quote),
    Rule("trades", "past trades are known to REST only", (REST,), _is_a(TradesRequest)),
    Rule(
        "candles-held",
        "everything that is over is held; nothing has to be asked",
        (REST,),
        _holds(Holding.WHOLE),
        joins=CACHE,
    ),
    Rule(
        "candles-partly-held",
        "only what is not held is asked for, and one row more to compare",
        (REST,),
        _holds(Holding.PART),
        joins=CACHE,
    ),
    Rule("candles-bulk", "bulk and stable", (REST,), _is_a(CandleRequest)),
)


def _history_needed(request: CandleRequest) -> HistoryDepth:
    is_tip = request.count == 1 and request.end is None and request.start is None and not request.closed_only
    return HistoryDepth.TIP if is_tip and not request.final_only else HistoryDepth.FULL


def can_serve(view: ChannelView, request: AnyRequest) -> bool:
    """Return whether a channel declares that it can serve a request."""
    able = view.capabilities
    match request:
        case RealtimeRequest():
            polled = (
                not able.answers_from_store
                and request.kind in able.answers
                and (
                    request.kind is not DataKind.CANDLE or able.can_answer_candles(request.timeframe, HistoryDepth.FULL)
                )
            )
            return able.can_follow(request.kind, request.timeframe) or polled
        case CandleRequest():
            holds_any = not able.answers_from_store or view.holding.extent is not Holding.NOTHING
            return holds_any and able.can_answer_candles(request.timeframe, _history_needed(request))
        case TickerRequest():
            return DataKind.TICKER in able.answers
        case OrderBookRequest():
            return DataKind.ORDERBOOK in able.answers
        case TradesRequest():
            return DataKind.TRADE in able.answers and able.trades_per_call >= min(request.count, 2)


def _calls(view: ChannelView, request: AnyRequest, missing: int | None = None) -> int:
    if view.capabilities.calls_are_free:
        return 0
    page = max(1, view.capabilities.candles_per_call)
    if missing is not None:
        return -(-missing // page)
    match request:
        case CandleRequest(count=int(count)):
            return -(-count // page)
        case CandleRequest(start=start, end=end) if start is not None and end is not None:
            slots = (end - start) / request.timeframe.nominal_width
            return max(1, int(-(-slots // page)))
        case TradesRequest():
            return -(-request.count // max(1, view.capabilities.trades_per_call))
        case _:
            return 1


def _action(view: ChannelView, request: AnyRequest, rule: Rule) -> str:
    if not isinstance(request, RealtimeRequest):
        return str(request).split(" ", maxsplit=1)[0]
    if rule.made_of is not None:
        return f"{STREAM} {rule.made_of}" if _streams_minutes(view) else REFRESH
    return STREAM if view.capabilities.can_follow(request.kind, request.timeframe) else POLL


def _ordered(views: Iterable[ChannelView], first: tuple[str, ...]) -> list[ChannelView]:
    rank = {name: number for number, name in enumerate(first)}
    return sorted(views, key=lambda view: (rank.get(view.name, len(rank)), view.name))


def _venue_of(request: AnyRequest) -> str | None:
    symbol = request.symbols[0] if isinstance(request, TickerRequest) else request.symbol
    return symbol.venue_name


def make_plan(
    policy: str, rules: Sequence[Rule], request: AnyRequest, views: Views, *, only: bool = False
) -> RoutePlan:
    """Return the plan of the first rule that applies.

    Channels that the rule does not name come after it, by name, so that a stranger's source takes over
    when ours fail; ``only`` leaves them out. A channel whose circuit is open is skipped, unless nothing
    else is left.

    Raises:
        UnsupportedRequestError: nothing installed can serve the request.

    """
    rule = next(rule for rule in rules if rule.applies(request, views))
    venue = _venue_of(request)
    able = [view for view in views if _takes_part(view, request, rule) and (venue is None or view.name == venue)]
    able = [view for view in able if view.name in rule.order or not only or view.name == venue]
    if not able:
        told = _nothing_is_held(request, policy) if rule.order == (CACHE,) else _nothing_serves(request, views)
        raise UnsupportedRequestError(told)
    usable = [view for view in able if view.is_usable] or able
    steps = _steps(_ordered(usable, rule.order), request, rule)
    skipped = [_skipped(view, request, rule) for view in _ordered(able, rule.order) if view not in usable]
    return RoutePlan(request=str(request), policy=policy, rule=rule.name, reason=rule.reason, steps=(*steps, *skipped))


def _takes_part(view: ChannelView, request: AnyRequest, rule: Rule) -> bool:
    if rule.made_of is None or not isinstance(request, RealtimeRequest):
        return can_serve(view, request)
    return _streams_minutes(view) or _can_refresh(view, request)


def _steps(views: Sequence[ChannelView], request: AnyRequest, rule: Rule) -> list[RouteStep]:
    """Return one step a channel; what is held comes last, or joins the first channel and comes last again."""
    held = [view for view in views if view.capabilities.answers_from_store]
    asked = [view for view in views if view not in held]
    joined = [view for view in held if view.name == rule.joins and asked and asked[0].name in rule.order]
    missing = joined[0].holding.missing_slots if joined else None
    steps = [_joined(view, request, rule) for view in joined]
    steps += [_step(view, request, rule, missing if number == 0 else None) for number, view in enumerate(asked)]
    return steps + [_stale(view, request, rule, asked) for view in held]


def _joined(view: ChannelView, request: AnyRequest, rule: Rule) -> RouteStep:
    return RouteStep(
        channel=view.name, action=f"{_action(view, request, rule)}, held", reason=rule.reason, joins_next=True
    )


def _stale(view: ChannelView, request: AnyRequest, rule: Rule, asked: Sequence[ChannelView]) -> RouteStep:
    reason = "what is held, possibly stale, when nobody can be asked" if asked else "nobody else may be asked"
    return RouteStep(channel=view.name, action=f"{_action(view, request, rule)}, held", reason=reason)


def _nothing_is_held(request: AnyRequest, policy: str) -> str:
    return f"nothing is held for {str(request)!r}, and the policy {policy!r} asks nobody else; download it first"


def _nothing_serves(request: AnyRequest, views: Views) -> str:
    asked = (
        f"no installed channel serves {str(request)!r}; installed: {', '.join(view.name for view in views) or 'none'}"
    )
    timeframe = getattr(request, "timeframe", None)
    offered = {str(frame) for view in views for frame in view.capabilities.timeframes}
    if timeframe is not None and str(timeframe) not in offered:
        return (
            f"{asked}; they offer the timeframes {' '.join(str(frame) for frame in Timeframe if str(frame) in offered)}"
        )
    return f"{asked}; 'market-backbone adapters' shows what each can do"


def _step(view: ChannelView, request: AnyRequest, rule: Rule, missing: int | None) -> RouteStep:
    reason = rule.reason if rule.order[:1] == (view.name,) else "takes over when the channels above fail"
    if rule.made_of is not None and not _streams_minutes(view):
        reason = "reads what was before, compares once a minute, and alone says what is FINAL"
    if missing is not None:
        reason = "the rest, and one row more to compare" if missing else "only if what is held does not suffice"
    return RouteStep(
        channel=view.name, action=_action(view, request, rule), reason=reason, calls=_calls(view, request, missing)
    )


def _skipped(view: ChannelView, request: AnyRequest, rule: Rule) -> RouteStep:
    cause = view.health.last_error or "it failed"
    return RouteStep(
        channel=view.name,
        action=_action(view, request, rule),
        reason=f"not asked: its circuit is open ({cause})",
        status=StepStatus.SKIPPED,
    )


@frozen
class SmartRoutingPolicy:
    """The default: stream what lives, snapshot what is quoted, REST for bulk."""

    name: str = "smart"

    def plan(self, request: AnyRequest, channels: Views) -> RoutePlan:
        """Return the plan of the first row that applies."""
        return make_plan(self.name, SMART_RULES, request, channels)


@frozen
class RestOnly:
    """Never open a socket."""

    name: str = "rest-only"

    def plan(self, request: AnyRequest, channels: Views) -> RoutePlan:
        """Return a plan that asks REST and nothing else."""
        rules = (Rule("rest-only", "the policy asks REST and nothing else", (REST,), _always),)
        return make_plan(self.name, rules, request, channels, only=True)


@frozen
class WebSocketFirst:
    """Prefer the socket wherever it can serve, even for the newest candle."""

    name: str = "websocket-first"

    def plan(self, request: AnyRequest, channels: Views) -> RoutePlan:
        """Return a plan that asks the socket before REST; what the socket cannot serve goes its usual way."""
        reason = "the policy prefers the socket wherever it can serve"
        first = Rule("websocket-first", reason, (WEBSOCKET, REST), _socket_serves)
        return make_plan(self.name, (LIVE_DERIVED, first, *SMART_RULES), request, channels)


@frozen
class CacheOnly:
    """Ask nobody: answer with what is held, and with gaps where nothing is."""

    name: str = "cache-only"

    def plan(self, request: AnyRequest, channels: Views) -> RoutePlan:
        """Return a plan that reads the store and asks no venue."""
        rules = (Rule("cache-only", "the policy asks nobody", (CACHE,), _always),)
        return make_plan(self.name, rules, request, channels, only=True)
