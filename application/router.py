"""Runs plans: asks channel after channel until one answers, and remembers how each did."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from attrs import evolve, frozen

from ..domain.errors import (
    AllChannelsFailedError,
    ChannelError,
    IntegrityError,
    MarketDataError,
    PluginError,
    UnsupportedRequestError,
)
from ..domain.ports import Channel, Clock, RoutingPolicy
from ..domain.request import AnyRequest
from ..domain.routing import (
    ChannelHealth,
    ChannelView,
    CircuitState,
    Held,
    RoutePlan,
    RouteStep,
    StepStatus,
)
from .cache_tally import HistoryRewrittenError
from .health import ChannelPerformance

ATTEMPTS = 2
PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0

Result = TypeVar("Result")


@frozen
class Fetched:
    """What a channel answered with: the value, its rows, and what it cost.

    Attributes:
        beside: rows that the channel of the step above gave to the same answer; None when it gave none
            and was not meant to.
        notes: remarks for the trace.

    """

    rows: int
    calls: int = 1
    beside: int | None = None
    notes: tuple[str, ...] = ()


Fetch = Callable[[Channel], Awaitable[tuple[Result, Fetched]]]


class SmartChannelRouter:
    """Holds the policy and the channels' health; the error itself decides between retry, skip and stop."""

    def __init__(
        self, channels: Mapping[str, Channel], policy: RoutingPolicy, clock: Clock, *, cool_down_s: float
    ) -> None:
        """Know the channels by name."""
        self.channels = dict(channels)
        self.policy = policy
        self._clock = clock
        self._performance = {name: ChannelPerformance(cool_down_s) for name in channels}
        self._followed: Callable[[str], frozenset[str]] = lambda _: frozenset()
        self._held: Callable[[str, AnyRequest], Held] = lambda _, __: Held()

    def watch_followed(self, followed: Callable[[str], frozenset[str]]) -> None:
        """Learn from whom to hear which topics a channel delivers live now."""
        self._followed = followed

    def views(self, request: AnyRequest) -> list[ChannelView]:
        """Return what a policy may know of each channel now, in view of a request."""
        now = self._clock.monotonic()
        return [
            ChannelView(
                name=name,
                capabilities=channel.capabilities,
                health=self._performance[name].health(now),
                followed=self._followed(name),
                holding=self._held(name, request),
            )
            for name, channel in self.channels.items()
        ]

    def watch_holdings(self, held: Callable[[str, AnyRequest], Held]) -> None:
        """Learn from whom to hear how much of a request a channel holds already."""
        self._held = held

    def explain(self, request: AnyRequest) -> RoutePlan:
        """Return the plan that the request would get now; asks nobody.

        Raises:
            PluginError: the policy failed, or its plan names a channel that is not there.

        """
        plan = self._ask_policy(request)
        if not isinstance(plan, RoutePlan):  # pyright: ignore[reportUnnecessaryIsInstance] - a stranger's policy
            msg = f"policy {self.policy.name!r} returned {type(plan).__name__}, expected a RoutePlan"
            raise PluginError(msg)
        unknown = [name for name in plan.channels if name not in self.channels]
        if unknown or not plan.steps:
            what = f"names the unknown channel {unknown[0]!r}" if unknown else "has no steps"
            msg = f"the plan of policy {self.policy.name!r} {what}; installed: {', '.join(self.channels)}"
            raise PluginError(msg)
        return plan

    def _ask_policy(self, request: AnyRequest) -> RoutePlan:
        try:
            return self.policy.plan(request, self.views(request))
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            msg = f"policy {self.policy.name!r} failed on {str(request)!r}: {type(error).__name__}: {error}"
            raise PluginError(msg) from error

    async def run(
        self, request: AnyRequest, fetch: Fetch[Result], plan: RoutePlan | None = None
    ) -> tuple[Result, RoutePlan]:
        """Return the first channel's answer and the trace of how it came about.

        Args:
            request: the question.
            fetch: asks one channel.
            plan: the plan to follow; the policy's when left out.

        Raises:
            RequestError: the request is wrong; no other channel is asked.
            AllChannelsFailedError: every channel of the plan failed.

        """
        trace = self.explain(request) if plan is None else plan
        errors: list[ChannelError] = []
        for number, step in enumerate(trace.steps):
            if step.status is StepStatus.SKIPPED or step.joins_next:
                continue
            try:
                result, done, fetched = await self._take_step(step, fetch)
            except ChannelError as error:
                errors.append(error)
                trace = trace.with_step(number, evolve(step, status=StepStatus.FAILED, error=str(error)))
                continue
            return result, _told(trace.with_step(number, done), number, fetched)
        msg = f"no channel could serve {str(request)!r}"
        raise AllChannelsFailedError(msg, errors)

    async def _take_step(self, step: RouteStep, fetch: Fetch[Result]) -> tuple[Result, RouteStep, Fetched]:
        channel = self.channels[step.channel]
        for attempt in range(ATTEMPTS):
            started = self._clock.monotonic()
            try:
                result, fetched = await fetch(channel)
            except IntegrityError as error:
                msg = f"{step.channel} contradicts itself: {error}"
                self.record(step.channel, started, success=False, error=msg)
                raise ChannelError(msg, channel=step.channel, retryable=False) from error
            except ChannelError as error:
                self.record(step.channel, started, success=False, error=str(error))
                if not error.retryable or attempt == ATTEMPTS - 1:
                    raise
                await self._clock.sleep(min(LONGEST_PAUSE_S, error.retry_after or PAUSE_S))
                continue
            except (MarketDataError, HistoryRewrittenError):
                raise
            except Exception as error:  # a stranger's channel may raise anything; it fails like any other
                msg = f"failed with {type(error).__name__}: {error}; report this to the channel's author"
                self.record(step.channel, started, success=False, error=msg)
                raise ChannelError(msg, channel=step.channel, retryable=False) from error
            was_asked = fetched.calls or channel.capabilities.calls_are_free
            latency = self.record(step.channel, started, success=True) if was_asked else 0.0
            done = evolve(
                step,
                status=StepStatus.SERVED,
                rows=fetched.rows - (fetched.beside or 0),
                calls=fetched.calls,
                retries=attempt,
                latency_ms=latency,
            )
            return result, done, fetched
        msg = "the last attempt neither answered nor failed"
        raise AssertionError(msg)

    def record(self, name: str, started: float, *, success: bool, error: str = "") -> float:
        """Note an outcome; answers its latency in milliseconds."""
        now = self._clock.monotonic()
        latency = (now - started) * 1000
        self._performance[name].record(latency, success=success, now=now, error=error)
        return latency

    def is_usable(self, name: str) -> bool:
        """Return whether the channel's circuit lets a request through."""
        return self._performance[name].state(self._clock.monotonic()) is not CircuitState.OPEN

    def count_rejected(self, name: str) -> None:
        """Note a malformed item that was dropped."""
        self._performance[name].rejected += 1

    def update_channel_performance(self, channel: str, latency_ms: float, success: bool) -> None:  # noqa: FBT001 - the public signature
        """Report an outcome from outside; a failure opens the channel's circuit for one cool-down.

        Raises:
            UnsupportedRequestError: no such channel.

        """
        if channel not in self._performance:
            msg = f"no channel named {channel!r}; installed: {', '.join(self._performance)}"
            raise UnsupportedRequestError(msg)
        self._performance[channel].report(latency_ms, success=success, now=self._clock.monotonic())

    def channel_health(self) -> dict[str, ChannelHealth]:
        """Return the health of each channel by name."""
        now = self._clock.monotonic()
        return {name: performance.health(now) for name, performance in self._performance.items()}


def _told(trace: RoutePlan, number: int, fetched: Fetched) -> RoutePlan:
    """Write into the trace what the step above, which joins this one, has given, and what else was remarked."""
    above = trace.steps[number - 1] if number else None
    if above is not None and above.joins_next:
        status = StepStatus.SERVED if fetched.beside else StepStatus.SKIPPED
        trace = trace.with_step(number - 1, evolve(above, status=status, rows=fetched.beside or 0))
        if fetched.beside and not fetched.calls:
            trace = trace.with_step(number, evolve(trace.steps[number], status=StepStatus.SKIPPED))
    for note in fetched.notes:
        trace = trace.with_note(note)
    return trace
