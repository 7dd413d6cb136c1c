"""From a row of the table to a plan: which steps, in which order, at what cost, and why each. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from ...domain.capabilities import HistoryDepth
from ...domain.errors import UnsupportedRequestError
from ...domain.request import AnyRequest, CandleRequest, OrderBookRequest, RealtimeRequest, TickerRequest, TradesRequest
from ...domain.routing import CACHE, POLL, REFRESH, STREAM, ChannelView, RoutePlan, RouteStep, StepStatus
from ...domain.timeframe import Timeframe
from .channel_directory import is_worth_keeping, prefix_of, serves
from .rules import Rule, Views, can_refresh, can_serve, streams_minutes

_WHAT: Mapping[type[AnyRequest], str] = {
    CandleRequest: "candles",
    TickerRequest: "ticker",
    OrderBookRequest: "orderbook",
    TradesRequest: "trades",
}


def make_plan(
    policy: str, rules: Sequence[Rule], request: AnyRequest, views: Views, *, only: bool = False
) -> RoutePlan:
    """Return the plan of the first rule that applies.

    Only channels that serve the symbol take part, and the rules see no other: no venue stands in for another.
    Channels that the rule does not name come after it, by name, so that a stranger's source takes over
    when ours fail; ``only`` leaves them out. A channel whose circuit is open is skipped, unless nothing
    else is left.

    Raises:
        UnsupportedRequestError: nothing installed can serve the request.

    """
    prefix, installed = prefix_of(request), views
    views = [view for view in installed if serves(view, prefix)]
    rule = next(rule for rule in rules if rule.applies(request, views))
    order = rule.order_of(views)
    able = [view for view in views if _takes_part(view, request, rule)]
    able = [view for view in able if not only or view.name in (*order, *rule.joins) or _is_meant(view, prefix, order)]
    if not [view for view in able if not _only_joins(view, request, rule)]:
        message = _nothing_is_held(request, policy) if order == (CACHE,) else _nothing_serves(request, installed)
        raise UnsupportedRequestError(message)
    usable = [view for view in able if view.is_usable] or able
    steps = _steps(_ordered(usable, order, request), request, rule, order)
    out = [view for view in able if view not in usable]
    skipped = [_skipped(view, request, rule) for view in _ordered(out, order, request)]
    notes = () if rule.remark is None else (rule.remark(views),)
    return RoutePlan(
        request=str(request),
        policy=policy,
        rule=rule.name,
        reason=rule.reason,
        steps=(*steps, *skipped),
        notes=notes,
    )


def _takes_part(view: ChannelView, request: AnyRequest, rule: Rule) -> bool:
    if isinstance(request, RealtimeRequest) and rule.made_of is not None:
        return streams_minutes(view) or can_refresh(view, request)
    return can_serve(view, request) or (isinstance(request, CandleRequest) and _gives_tip(view, request, rule))


def _gives_tip(view: ChannelView, request: CandleRequest, rule: Rule) -> bool:
    is_wanted = rule.shares_tip or view.name in rule.joins
    return is_wanted and view.capabilities.can_answer_candles(request.timeframe, HistoryDepth.TIP)


def _only_joins(view: ChannelView, request: AnyRequest, rule: Rule) -> bool:
    """Return whether a channel gives a part and could not answer alone."""
    return view.name in rule.joins and not can_serve(view, request)


def _is_meant(view: ChannelView, prefix: str, order: tuple[str, ...]) -> bool:
    """Return whether a symbol of another venue means this channel under a policy that names REST alone."""
    return bool(prefix) and order != (CACHE,) and not view.capabilities.follows


def _ordered(views: Iterable[ChannelView], first: tuple[str, ...], request: AnyRequest) -> list[ChannelView]:
    """Return the channels that the rule names, then the others: those that stream what is followed, then by name."""
    rank = {name: number for number, name in enumerate(first)}
    return sorted(views, key=lambda view: (rank.get(view.name, len(rank)), not _streams(view, request), view.name))


def _streams(view: ChannelView, request: AnyRequest) -> bool:
    if not isinstance(request, RealtimeRequest):
        return False
    return view.capabilities.can_follow(request.kind, request.timeframe)


def _steps(views: Sequence[ChannelView], request: AnyRequest, rule: Rule, order: tuple[str, ...]) -> list[RouteStep]:
    """Return one step a channel; what is held comes last, or joins the first channel and comes last again."""
    held = [view for view in views if view.capabilities.answers_from_store]
    asked = [view for view in views if view not in held and view.name not in rule.joins]
    is_joined = bool(asked) and _may_join(asked[0], views, order)
    joined = [view for view in views if view.name in rule.joins and is_joined]
    missing = next((view.holding.missing_slots for view in joined if view in held), None)
    steps = [_joined(view, request, rule) for view in sorted(joined, key=lambda view: rule.joins.index(view.name))]
    first = order[:1] if set(order) & {view.name for view in asked} else tuple(view.name for view in asked[:1])
    steps += [_step(view, request, rule, first, missing if number == 0 else None) for number, view in enumerate(asked)]
    return steps + [_stale(view, request, rule, asked) for view in held]


def _may_join(first: ChannelView, views: Sequence[ChannelView], order: tuple[str, ...]) -> bool:
    """Return whether what is held joins the first channel: one of the rule's, or of a venue that has none of them."""
    is_elsewhere = not set(order) & {view.name for view in views}
    return first.name in order or (is_elsewhere and is_worth_keeping(first))


def _joined(view: ChannelView, request: AnyRequest, rule: Rule) -> RouteStep:
    is_held = view.capabilities.answers_from_store
    what, reason = ("held", rule.reason) if is_held else ("newest, from memory", "followed already, and free")
    return RouteStep(
        channel=view.name, action=f"{_action(view, request, rule)}, {what}", reason=reason, joins_next=True
    )


def _stale(view: ChannelView, request: AnyRequest, rule: Rule, asked: Sequence[ChannelView]) -> RouteStep:
    reason = "what is held, possibly stale, when nobody can be asked" if asked else "nobody else may be asked"
    return RouteStep(channel=view.name, action=f"{_action(view, request, rule)}, held", reason=reason)


def _step(view: ChannelView, request: AnyRequest, rule: Rule, first: tuple[str, ...], missing: int | None) -> RouteStep:
    is_first = first == (view.name,)
    reason = rule.reason if is_first else "takes over when the channels above fail"
    action = _action(view, request, rule)
    if rule.shares_tip:
        reason = "its turn to give the forming candle" if is_first else reason
        action = f"{action}, newest"
    elif rule.made_of is not None and not streams_minutes(view):
        reason = "reads what was before, compares once a minute, and alone says what is FINAL"
    elif missing is not None:
        reason = "the rest, and one row more to compare" if missing else "only if what is held does not suffice"
    return RouteStep(
        channel=view.name,
        action=action,
        reason=reason,
        calls=_calls(view, request, missing),
        serves_tip=rule.shares_tip and is_first,
    )


def _skipped(view: ChannelView, request: AnyRequest, rule: Rule) -> RouteStep:
    state, cause = view.health.circuit, view.health.last_error or "it failed"
    reason = f"not asked: its circuit is {state} ({cause})"
    return RouteStep(channel=view.name, action=_action(view, request, rule), reason=reason, status=StepStatus.SKIPPED)


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
        return _WHAT[type(request)]
    if rule.made_of is not None:
        return f"{STREAM} {rule.made_of}" if streams_minutes(view) else REFRESH
    return STREAM if view.capabilities.can_follow(request.kind, request.timeframe) else POLL


def _nothing_is_held(request: AnyRequest, policy: str) -> str:
    return f"nothing is held for {str(request)!r}, and the policy {policy!r} asks nobody else; download it first"


def _nothing_serves(request: AnyRequest, views: Views) -> str:
    names = ", ".join(view.name for view in views) or "none"
    asked = f"no installed channel serves {str(request)!r}; installed: {names}"
    timeframe = getattr(request, "timeframe", None)
    prefix = prefix_of(request)
    if not any(serves(view, prefix) for view in views if not view.capabilities.answers_from_store):
        return f"{asked}; {_prefixes(views)}"
    offered = {str(frame) for view in views if serves(view, prefix) for frame in view.capabilities.timeframes}
    if timeframe is not None and str(timeframe) not in offered:
        message = " ".join(str(frame) for frame in Timeframe if str(frame) in offered)
        return f"{asked}; they offer the timeframes {message}"
    return f"{asked}; 'market-backbone adapters' shows what each can do"


def _prefixes(views: Views) -> str:
    """Return what the symbols begin with that can be asked for."""
    known = {view.capabilities.venue_prefix for view in views if not view.capabilities.answers_from_store}
    message = ["plain symbols such as KRW-BTC"] if "" in known else []
    message += [f"symbols that begin with {prefix}:" for prefix in sorted(known - {""})]
    serve = f"they serve {', '.join(message)}" if message else "none of them brings data of any venue"
    return f"{serve}; 'market-backbone adapters' shows what else is installed, and what is wrong with it"
