"""Which channels there are, what the policy plans for a request, and how each channel does."""

from collections.abc import Callable, Mapping

from ...domain.errors import (
    MarketDataError,
    PluginError,
    UnsupportedRequestError,
)
from ...domain.ports import Channel, Clock, RoutingPolicy
from ...domain.request import AnyRequest
from ...domain.routing import ChannelHealth, ChannelView, CircuitState, Holdings, RoutePlan, StepStatus
from ...domain.telemetry_events import OK, REPORTED, STREAM_LOST, ChannelTried, CircuitSwitched, ItemDropped
from ..runtime.telemetry import Telemetry
from .channel_directory import prefix_of, serves
from .health import ChannelPerformance


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
        followed: Callable[[str], frozenset[str]] = lambda _: frozenset(),
        held: Callable[[str, AnyRequest], Holdings] = lambda _, __: Holdings(),
    ) -> None:
        """Know the channels by name.

        Args:
            channels: by name.
            policy: makes the plans.
            clock: measures latencies and pauses.
            cool_down_s: how long a channel stays out of plans once its circuit has opened.
            rng: draws from [0, 1).
            telemetry: hears of every outcome.
            followed: returns which topics a channel delivers live now.
            held: returns how much of a request a channel holds already.

        """
        self.telemetry = Telemetry() if telemetry is None else telemetry
        self.channels = dict(channels)
        self.policy = policy
        self.clock = clock
        self._rng = rng
        self._performance = {name: ChannelPerformance(cool_down_s) for name in channels}
        self._tips_served = dict.fromkeys(channels, 0)
        self._opened_at: dict[str, float] = {}
        self._followed = followed
        self._held = held

    def views(self, request: AnyRequest) -> list[ChannelView]:
        """Return what a policy may know of each channel now, in view of a request."""
        now = self.clock.monotonic()
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
        now = self.clock.monotonic()
        return tuple(
            (performance.health(now), self._followed(name), self._tips_served[name])
            for name, performance in self._performance.items()
        )

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

    def begin_probe(self, name: str) -> bool:
        """Return whether asking a channel now is the one request that its half-open circuit lets through."""
        return self._performance[name].begin_probe(self.clock.monotonic())

    def end_probe(self, name: str) -> None:
        """Let another request through a half-open circuit."""
        self._performance[name].end_probe()

    def count_tip(self, name: str) -> None:
        """Count that a channel was chosen to give a forming candle that another could give as well."""
        self._tips_served[name] += 1

    def record(self, name: str, started: float, *, success: bool, error: Exception | str = "") -> float:
        """Note an outcome; answers its latency in milliseconds. A lost stream has a cause in words for its error."""
        now, was_open = self.clock.monotonic(), self._is_open(name)
        latency = (now - started) * 1000
        self._performance[name].record(latency, success=success, now=now, error=str(error), draw=self._rng())
        failure = STREAM_LOST if isinstance(error, str) else type(error).__name__
        self._tell(name, OK if success else failure, latency, was_open=was_open)
        return latency

    def _is_open(self, name: str) -> bool:
        """Return whether a channel's circuit has been opened, and not closed again since."""
        return self._performance[name].state(self.clock.monotonic()) is not CircuitState.CLOSED

    def _tell(self, name: str, outcome: str, latency_ms: float, *, was_open: bool) -> None:
        self.telemetry.observe(ChannelTried(channel=name, outcome=outcome, latency_s=latency_ms / 1000))
        is_open = self._is_open(name)
        if is_open is was_open:
            return
        now = self.clock.monotonic()
        self.telemetry.observe(CircuitSwitched(channel=name, is_open=is_open))
        if is_open:
            self._opened_at[name] = now
            self.telemetry.warning("circuit_opened", channel=name, error=self._performance[name].health(now).last_error)
        else:
            self.telemetry.info("circuit_closed", channel=name, open_s=round(now - self._opened_at.pop(name, now), 1))

    def is_usable(self, name: str) -> bool:
        """Return whether the channel's circuit lets a request through."""
        return self._performance[name].state(self.clock.monotonic()) is not CircuitState.OPEN

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
        now, was_open = self.clock.monotonic(), self._is_open(channel)
        self._performance[channel].report(latency_ms, success=success, now=now, draw=self._rng())
        self._tell(channel, OK if success else REPORTED, latency_ms, was_open=was_open)

    def channel_health(self) -> dict[str, ChannelHealth]:
        """Return the health of each channel by name."""
        now = self.clock.monotonic()
        return {name: performance.health(now) for name, performance in self._performance.items()}
