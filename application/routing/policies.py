"""Routing policies: short rule tables, first match wins, every row with a name and a reason.

No learning, no scoring: same request, same views, same plan (docs/decisions/0004).
"""

from attrs import evolve, frozen

from ...domain.request import AnyRequest, CandleRequest
from ...domain.routing import CACHE, REST, WEBSOCKET, ChannelView, RoutePlan, StepStatus
from .planner import make_plan
from .rules import (
    CANDLES_BULK,
    CANDLES_HELD,
    CANDLES_HELD_LIVE,
    CANDLES_PARTLY_HELD,
    LIVE_DERIVED,
    LIVE_POLLING,
    LIVE_STREAM,
    QUOTE_FOLLOWED,
    SMART_RULES,
    TRADES,
    Rule,
    Views,
    always,
    can_serve,
    is_quote,
    view_of,
)


@frozen
class SmartRoutingPolicy:
    """The default: stream what lives, snapshot what is quoted, REST for bulk, and never ask for what is held."""

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
        rules = (Rule("rest-only", "the policy asks REST and nothing else", (REST,), always),)
        return make_plan(self.name, rules, request, channels, only=True)


def _socket_serves(request: AnyRequest, views: Views) -> bool:
    socket = view_of(WEBSOCKET, views)
    return socket is not None and can_serve(socket, request)


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
        rules = (Rule("cache-only", "the policy asks nobody", (CACHE,), always),)
        return make_plan(self.name, rules, request, channels, only=True)


def _fastest_first(views: Views) -> tuple[str, ...]:
    """Return the channels that ask the venue, the one that usually answers first in front."""
    asked = [view for view in views if not view.capabilities.answers_from_store]
    return tuple(view.name for view in sorted(asked, key=_usual_latency))


def _usual_latency(view: ChannelView) -> tuple[float, str]:
    return view.health.latency_ms.get("p50", 0.0), view.name


FRESHEST_RULES = (
    LIVE_STREAM,
    LIVE_DERIVED,
    LIVE_POLLING,
    QUOTE_FOLLOWED,
    Rule("quote-fastest", "the channel that usually answers first has the freshest value", _fastest_first, is_quote),
    TRADES,
    CANDLES_HELD_LIVE,
    CANDLES_HELD,
    CANDLES_PARTLY_HELD,
    CANDLES_BULK,
)


@frozen
class PreferFreshest:
    """Prefer the newest data to the cheapest: the forming candle always from the venue, and nothing stale."""

    name: str = "prefer-freshest"

    def plan(self, request: AnyRequest, channels: Views) -> RoutePlan:
        """Return a plan whose channels come by how fresh they are; what is stale is no answer."""
        plan = make_plan(self.name, FRESHEST_RULES, request, channels)
        if not isinstance(request, CandleRequest) or len(plan.steps) == 1:
            return plan
        fresh = tuple(step for step in plan.steps if step.channel != CACHE or step.joins_next)
        is_enough = any(step.status is not StepStatus.SKIPPED and not step.joins_next for step in fresh)
        return evolve(plan, steps=fresh) if is_enough else plan
