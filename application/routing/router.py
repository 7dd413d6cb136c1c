"""Runs plans: asks channel after channel until one answers, and remembers how each did."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from attrs import define, evolve, field, frozen

from ...domain.call_context import CallContext, current_call_context, use_call_context
from ...domain.errors import (
    AllChannelsFailedError,
    ChannelError,
    IntegrityError,
    MarketDataError,
    PluginError,
    UnsupportedRequestError,
    odd_failure,
)
from ...domain.ports import Channel, Clock, RoutingPolicy
from ...domain.request import AnyRequest
from ...domain.routing import ChannelHealth, ChannelView, CircuitState, Holdings, RoutePlan, RouteStep, Seam, StepStatus
from ...domain.telemetry_events import OK, REPORTED, STREAM_LOST, ChannelTried, CircuitSwitched, ItemDropped
from ..runtime.telemetry import Telemetry
from .channel_directory import prefix_of, serves
from .health import ChannelPerformance

ATTEMPTS = 2
PAUSE_S = 0.2
MAX_PAUSE_S = 2.0
Result = TypeVar("Result")


@frozen
class FetchResult:
    """What a channel answered with: the value, its rows, and what it cost.

    Attributes:
        beside: rows that the channels of the steps above, which join this one, gave to the same answer.
        notes: remarks for the trace.
        seams: the joints of the answer, for the trace.

    """

    rows: int
    calls: int = 1
    beside: Mapping[str, int] = field(factory=dict[str, int])
    notes: tuple[str, ...] = ()
    seams: tuple[Seam, ...] = ()


Fetch = Callable[[Channel], Awaitable[tuple[Result, FetchResult]]]


class SmartChannelRouter:
    """Holds the policy and the channels' health; the error itself decides between retry, skip and stop."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        policy: RoutingPolicy,
        clock: Clock,
        *,
        cool_down_s: float,
        rng: Callable[[], float] = lambda: 0.0,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Know the channels by name; ``rng`` draws from [0, 1), ``telemetry`` hears of every outcome."""
        self.telemetry = Telemetry() if telemetry is None else telemetry
        self.channels = dict(channels)
        self.policy = policy
        self._clock = clock
        self._rng = rng
        self._performance = {name: ChannelPerformance(cool_down_s) for name in channels}
        self._tips_served = dict.fromkeys(channels, 0)
        self._opened_at: dict[str, float] = {}
        self._followed: Callable[[str], frozenset[str]] = lambda _: frozenset()
        self._held: Callable[[str, AnyRequest], Holdings] = lambda _, __: Holdings()

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
                tips_served=self._tips_served[name],
            )
            for name, channel in self.channels.items()
        ]

    def state_fingerprint(self) -> tuple[object, ...]:
        """Return what views hold beside holdings: while both are the same, so is the plan of a request."""
        now = self._clock.monotonic()
        return tuple(
            (performance.health(now), self._followed(name), self._tips_served[name])
            for name, performance in self._performance.items()
        )

    def watch_holdings(self, held: Callable[[str, AnyRequest], Holdings]) -> None:
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
        if (what := self._what_is_impossible(plan, prefix_of(request))) is not None:
            msg = f"the plan of policy {self.policy.name!r} for {str(request)!r} {what}"
            raise PluginError(msg)
        return plan

    def _what_is_impossible(self, plan: RoutePlan, prefix: str) -> str | None:
        """Return why a plan cannot be followed, in words; None when it can."""
        unknown = [name for name in plan.channels if name not in self.channels]
        if unknown:
            return f"names the unknown channel {unknown[0]!r}; installed: {', '.join(self.channels)}"
        others = [name for name in plan.channels if not serves(self.channels[name], prefix)]
        if others:
            return f"names the channel {others[0]!r}, which serves symbols of another venue"
        asked = [step for step in plan.steps if step.status is not StepStatus.SKIPPED and not step.joins_next]
        if not asked:
            return "has no step that asks a channel; a plan needs one that is neither skipped nor joins the next"
        if plan.steps[-1].joins_next:
            return f"ends with {plan.steps[-1].channel!r}, which joins the next step, and there is none"
        return None

    def _ask_policy(self, request: AnyRequest) -> RoutePlan:
        try:
            return self.policy.plan(request, self.views(request))
        except MarketDataError:
            raise
        except Exception as error:  # a stranger's policy may raise anything; the error has to name it
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
            if step.serves_tip:
                self._tips_served[step.channel] += 1
            taken = _Taken(step, self._clock)
            try:
                with use_call_context(taken.call_context):
                    result, done, fetched = await self._take_step(taken, fetch)
            except ChannelError as error:
                errors.append(error)
                trace = trace.with_step(number, taken.failed(error))
                continue
            return result, _told(trace, number, done, fetched)
        msg = f"no channel could serve {str(request)!r}"
        failed = AllChannelsFailedError(msg, errors)
        failed.rule = trace.rule
        raise failed

    async def _take_step(self, taken: "_Taken", fetch: Fetch[Result]) -> tuple[Result, RouteStep, FetchResult]:
        name = taken.step.channel
        for attempt in range(ATTEMPTS):
            started = self._clock.monotonic()
            taken.retries = attempt
            try:
                result, fetched = await self._probe(name, fetch)
            except ChannelError as error:
                if error.is_fault:
                    self.record(name, started, success=False, error=error)
                if not error.retryable or attempt == ATTEMPTS - 1:
                    raise
                await self._clock.sleep(min(MAX_PAUSE_S, error.retry_after or PAUSE_S))
                continue
            if fetched.calls or self.channels[name].capabilities.calls_are_free:
                self.record(name, started, success=True)
            return result, taken.served(fetched), fetched
        msg = "the last attempt neither answered nor failed"
        raise AssertionError(msg)

    async def _probe(self, name: str, fetch: Fetch[Result]) -> tuple[Result, FetchResult]:
        """Ask a channel once; whatever is wrong with it comes out as a ``ChannelError``."""
        is_probe = self._performance[name].begin_probe(self._clock.monotonic())
        try:
            return await fetch(self.channels[name])
        except IntegrityError as error:
            msg = f"{name} contradicts itself: {error}"
            raise ChannelError(msg, channel=name, retryable=False) from error
        except (MarketDataError, HistoryRewrittenError):
            raise
        except Exception as error:  # a stranger's channel may raise anything; it fails like any other
            raise odd_failure(name, error) from error
        finally:
            if is_probe:
                self._performance[name].end_probe()

    def record(self, name: str, started: float, *, success: bool, error: Exception | str = "") -> float:
        """Note an outcome; answers its latency in milliseconds. A lost stream has a cause in words for its error."""
        now, was_open = self._clock.monotonic(), self._is_open(name)
        latency = (now - started) * 1000
        self._performance[name].record(latency, success=success, now=now, error=str(error), draw=self._rng())
        failure = STREAM_LOST if isinstance(error, str) else type(error).__name__
        self._tell(name, OK if success else failure, latency, was_open=was_open)
        return latency

    def _is_open(self, name: str) -> bool:
        """Return whether a channel's circuit has been opened, and not closed again since."""
        return self._performance[name].state(self._clock.monotonic()) is not CircuitState.CLOSED

    def _tell(self, name: str, outcome: str, latency_ms: float, *, was_open: bool) -> None:
        self.telemetry.observe(ChannelTried(channel=name, outcome=outcome, latency_s=latency_ms / 1000))
        is_open = self._is_open(name)
        if is_open is was_open:
            return
        now = self._clock.monotonic()
        self.telemetry.observe(CircuitSwitched(channel=name, is_open=is_open))
        if is_open:
            self._opened_at[name] = now
            self.telemetry.warning("circuit_opened", channel=name, error=self._performance[name].health(now).last_error)
        else:
            self.telemetry.info("circuit_closed", channel=name, open_s=round(now - self._opened_at.pop(name, now), 1))

    def is_usable(self, name: str) -> bool:
        """Return whether the channel's circuit lets a request through."""
        return self._performance[name].state(self._clock.monotonic()) is not CircuitState.OPEN

    def count_rejected(self, name: str) -> None:
        """Note a malformed item that was dropped."""
        self._performance[name].rejected += 1
        self.telemetry.observe(ItemDropped(channel=name))

    def update_channel_performance(self, channel: str, latency_ms: float, success: bool) -> None:  # noqa: FBT001 - the public signature
        """Report an outcome from outside; a failure opens the channel's circuit for one cool-down.

        Raises:
            UnsupportedRequestError: no such channel.

        """
        if channel not in self._performance:
            msg = f"no channel named {channel!r}; installed: {', '.join(self._performance)}"
            raise UnsupportedRequestError(msg)
        now, was_open = self._clock.monotonic(), self._is_open(channel)
        self._performance[channel].report(latency_ms, success=success, now=now, draw=self._rng())
        self._tell(channel, OK if success else REPORTED, latency_ms, was_open=was_open)

    def channel_health(self) -> dict[str, ChannelHealth]:
        """Return the health of each channel by name."""
        now = self._clock.monotonic()
        return {name: performance.health(now) for name, performance in self._performance.items()}


def _told(trace: RoutePlan, number: int, asked: RouteStep, fetched: FetchResult) -> RoutePlan:
    """Write into the trace what a step has given, and those above, which join it, and what else was remarked."""
    steps = list(trace.steps)
    for place, above in enumerate(steps[:number]):
        if above.joins_next:
            rows = fetched.beside.get(above.channel, 0)
            status = StepStatus.SERVED if rows else StepStatus.SKIPPED
            steps[place] = evolve(above, status=status, rows=rows)
    is_beside_only = fetched.beside and not (asked.calls or asked.rows)
    steps[number] = evolve(asked, status=StepStatus.SKIPPED) if is_beside_only else asked
    return evolve(trace, steps=tuple(steps), notes=(*trace.notes, *fetched.notes), seams=fetched.seams)


@define
class _Taken:
    """A step that is being taken, and what it has cost so far."""

    step: RouteStep
    clock: Clock
    retries: int = 0
    call_context: CallContext = field(factory=current_call_context)
    _started: float = field(init=False)
    _before: tuple[int, float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Note the time, and what the call context had cost before."""
        self._started = self.clock.monotonic()
        self._before = self.call_context.calls, self.call_context.waited_s

    def _so_far(self, calls: int, status: StepStatus, rows: int = 0, error: str = "") -> RouteStep:
        """Return the step with its cost; ``calls`` are those that a channel reports that counts none itself."""
        return evolve(
            self.step,
            status=status,
            rows=rows,
            error=error,
            calls=self.call_context.calls - self._before[0] or calls,
            waited_ms=(self.call_context.waited_s - self._before[1]) * 1000,
            retries=self.retries,
            latency_ms=(self.clock.monotonic() - self._started) * 1000,
        )

    def served(self, fetched: FetchResult) -> RouteStep:
        """Return what the step became."""
        return self._so_far(fetched.calls, StepStatus.SERVED, fetched.rows - sum(fetched.beside.values()))

    def failed(self, error: ChannelError) -> RouteStep:
        """Return what the step became, and why."""
        return self._so_far(0, StepStatus.FAILED, error=str(error))


class HistoryRewrittenError(Exception):
    """What was held is no longer what the venue tells; it was set aside, and the walk has to begin anew."""
