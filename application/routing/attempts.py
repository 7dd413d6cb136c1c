"""What is done with a plan: channel after channel is asked until one answers."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from attrs import define, evolve, field, frozen

from ...domain.call_context import CallContext, current_call_context, use_call_context
from ...domain.errors import AllChannelsFailedError, ChannelError, IntegrityError, MarketDataError, odd_failure
from ...domain.ports import Channel, Clock
from ...domain.request import AnyRequest
from ...domain.routing import RoutePlan, RouteStep, Seam, StepStatus
from .router import SmartChannelRouter

ATTEMPTS = 2
PAUSE_S = 0.2
MAX_PAUSE_S = 2.0


@frozen
class FetchResult:
    """What an answer has cost, and who gave it.

    Attributes:
        rows: those that the asked channel itself has brought.
        calls: as far as no call context has counted them.
        rows_by_joined_channel: what the channels of the steps above, which join this one, gave to the same answer.
        notes: remarks for the trace.
        seams: the joints of the answer, for the trace.

    """

    rows: int
    calls: int = 1
    rows_by_joined_channel: Mapping[str, int] = field(factory=dict[str, int])
    notes: tuple[str, ...] = ()
    seams: tuple[Seam, ...] = ()


class Attempts:
    """The attempts at one request: channel after channel as the plan reads, each once more if that may help.

    Whoever asks drives, and the router decides what comes next::

        attempts = Attempts(router, request)
        async for attempt in attempts:
            with attempt:
                answer = await ask(attempt.channel)
                return answer, attempt.served(FetchResult(rows=1))
        raise attempts.failure()

    Attributes:
        plan: what the attempts follow.
        trace: the plan, filled with what has happened so far.

    """

    def __init__(self, router: SmartChannelRouter, request: AnyRequest, plan: RoutePlan | None = None) -> None:
        """Begin at the first step of ``plan``, or of what the policy plans now."""
        self.plan = self.trace = router.explain(request) if plan is None else plan
        self._router = router
        self._request = request
        self._errors: list[ChannelError] = []
        self._steps = iter(enumerate(self.plan.steps))
        self._last: Attempt | None = None

    def __aiter__(self) -> Self:
        """Iterate over the attempts; each is made before the next is asked for."""
        return self

    async def __anext__(self) -> "Attempt":
        """Return the next attempt: at the same channel where that may help, or at the next one."""
        last = self._last
        if last is not None:
            if await last.may_try_again():
                return last
            if last.error is not None:
                self._errors.append(last.error)
                self.trace = self.trace.with_step(last.number, last.failed())
        for number, step in self._steps:
            if step.status is StepStatus.SKIPPED or step.joins_next:  # what joins is asked along with the step below
                continue
            if step.serves_tip:
                self._router.count_tip(step.channel)
            self._last = Attempt(self._router, self, number, step)
            return self._last
        raise StopAsyncIteration

    def failure(self) -> AllChannelsFailedError:
        """Return the error of a request that no channel could serve; one cause per channel."""
        msg = f"no channel could serve {str(self._request)!r}"
        failed = AllChannelsFailedError(msg, self._errors)
        failed.rule = self.trace.rule
        return failed


@define(eq=False)
class Attempt:
    """One step that is being taken, as a context in which its channel is asked; what the channel fails with ends there.

    A caller's mistake, and what is nobody's fault, leaves the context: it is not failed over.
    """

    _router: SmartChannelRouter
    _attempts: Attempts
    number: int
    step: RouteStep
    error: ChannelError | None = None
    retries: int = 0
    _call_context: CallContext = field(factory=current_call_context)
    _cost_before: tuple[int, float] = field(init=False)
    _step_began: float = field(init=False)
    _began: float = field(init=False)
    _is_probe: bool = False
    _entered: AbstractContextManager[CallContext] | None = None

    def __attrs_post_init__(self) -> None:
        """Note the time, and what the call context had cost before."""
        self._step_began = self._began = self._clock.monotonic()
        self._cost_before = self._call_context.calls, self._call_context.waited_s

    @property
    def _clock(self) -> Clock:
        return self._router.clock

    @property
    def channel(self) -> Channel:
        """The channel to ask."""
        return self._router.channels[self.step.channel]

    async def may_try_again(self) -> bool:
        """Return whether the same channel is worth another try, after the pause that it wants."""
        if self.error is None or not self.error.retryable or self.retries == ATTEMPTS - 1:
            return False
        await self._clock.sleep(min(MAX_PAUSE_S, self.error.retry_after or PAUSE_S))
        self.retries += 1
        return True

    def __enter__(self) -> Self:
        """Begin to ask; a half-open circuit lets one request through at a time."""
        self._began, self.error = self._clock.monotonic(), None
        self._entered = use_call_context(self._call_context)
        self._entered.__enter__()
        self._is_probe = self._router.begin_probe(self.step.channel)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        """Take whatever is wrong with the channel for what it is: a ``ChannelError``."""
        if self._entered is not None:
            self._entered.__exit__(None, None, None)
        if self._is_probe:
            self._router.end_probe(self.step.channel)
        if error is None or not isinstance(error, Exception):
            return False
        failure = _as_channel_error(self.step.channel, error)
        if failure is None:
            return False
        self.error = failure
        if failure.is_fault:
            self._router.record(self.step.channel, self._began, success=False, error=failure)
        return True

    def served(self, result: FetchResult) -> RoutePlan:
        """Return the trace, now that the channel has answered."""
        name = self.step.channel
        if result.calls or self.channel.capabilities.calls_are_free:
            self._router.record(name, self._began, success=True)
        step = evolve(self._so_far(result.calls), status=StepStatus.SERVED, rows=result.rows)
        if result.rows_by_joined_channel and not (step.calls or step.rows):
            step = evolve(step, status=StepStatus.SKIPPED)  # those that join it have given all
        trace = self._attempts.trace
        steps = [_joined(above, result) if above.joins_next else above for above in trace.steps[: self.number]]
        notes = (*trace.notes, *result.notes)
        return evolve(trace, steps=(*steps, step, *trace.steps[self.number + 1 :]), notes=notes, seams=result.seams)

    def failed(self) -> RouteStep:
        """Return what the step became, and why."""
        return evolve(self._so_far(0), status=StepStatus.FAILED, error=str(self.error))

    def _so_far(self, calls: int) -> RouteStep:
        """Return the step with its cost; ``calls`` are those that a channel reports that counts none itself."""
        return evolve(
            self.step,
            calls=self._call_context.calls - self._cost_before[0] or calls,
            waited_ms=(self._call_context.waited_s - self._cost_before[1]) * 1000,
            retries=self.retries,
            latency_ms=(self._clock.monotonic() - self._step_began) * 1000,
        )


def _joined(step: RouteStep, result: FetchResult) -> RouteStep:
    rows = result.rows_by_joined_channel.get(step.channel, 0)
    return evolve(step, status=StepStatus.SERVED if rows else StepStatus.SKIPPED, rows=rows)


def _as_channel_error(name: str, error: Exception) -> ChannelError | None:
    """Return what a channel failed with; None for what is no fault of the channel."""
    if isinstance(error, ChannelError):
        return error
    if isinstance(error, IntegrityError):
        failure = ChannelError(f"{name} contradicts itself: {error}", channel=name, retryable=False)
        failure.__cause__ = error
        return failure
    if isinstance(error, MarketDataError):
        return None
    failure = odd_failure(name, error)  # a stranger's channel may raise anything; it fails like any other
    failure.__cause__ = error
    return failure
