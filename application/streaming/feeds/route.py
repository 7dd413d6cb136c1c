"""Which channels carry a topic: read out of the plan of a live request."""

from collections.abc import Mapping

from attrs import frozen

from ....domain.routing import POLL, REFRESH, STREAM, RoutePlan, StepStatus
from ....domain.timeframe import Timeframe
from ...routing.channel_directory import are_different


@frozen
class FeedRoute:
    """Which channel streams and which stands in; either may be missing.

    Attributes:
        made_of: the timeframe that is streamed instead, where the followed one is derived from it.

    """

    live: str | None
    rest: str | None
    made_of: Timeframe | None = None

    @classmethod
    def of(cls, plan: RoutePlan, venues: Mapping[str, str] | None = None) -> "FeedRoute":
        """Read the route out of a plan for a live request; ``venues`` tells whose data each channel brings.

        What stands in for a stream is of the same venue: one series never mixes venues.
        What is skipped for its open circuit stays part of the route: a stream is opened once it may be
        asked again, and a follower lives longer than a circuit.
        """
        usable = [step for step in plan.steps if step.status is not StepStatus.SKIPPED]
        skipped = [step for step in plan.steps if step.status is StepStatus.SKIPPED]
        derived = next((step for step in plan.steps if step.action.startswith(f"{STREAM} ")), None)
        if derived is not None:
            refreshed = next((step.channel for step in (*usable, *skipped) if step.action == REFRESH), None)
            return cls(derived.channel, refreshed, Timeframe(derived.action.removeprefix(f"{STREAM} ")))
        streams = [step.channel for step in (usable[0], *skipped) if step.action == STREAM]
        polled = [step.channel for step in (*usable, *skipped) if step.action == POLL]
        if streams and venues is not None:
            polled = [name for name in polled if not are_different(venues[name], venues[streams[0]])]
        return cls(streams[0] if streams else None, polled[0] if polled else None)

    @property
    def of_what_it_is_made(self) -> "FeedRoute":
        """The route of the timeframe that is streamed, the same for whoever follows that one itself."""
        return FeedRoute(self.live, self.rest)
