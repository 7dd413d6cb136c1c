"""A policy for whoever trusts the folder first: files, and for the rest whatever ``smart`` would do."""

from collections.abc import Sequence

from attrs import evolve, frozen

from market_backbone import ChannelView, RoutePlan, SmartRoutingPolicy
from market_backbone.domain.request import AnyRequest, CandleRequest

FILES = "files"


@frozen
class FilesFirst:
    """Ask the folder before anybody else for candles; in every other way like ``smart``."""

    name: str = "files-first"

    def plan(self, request: AnyRequest, channels: Sequence[ChannelView]) -> RoutePlan:
        """Return the plan of ``smart``, with the files in front where they can answer."""
        plan = evolve(SmartRoutingPolicy().plan(request, channels), policy=self.name)
        ours = tuple(step for step in plan.steps if step.channel == FILES)
        if not ours or not isinstance(request, CandleRequest):
            return plan
        reason = "what lies in the folder is asked for nowhere else"
        first = tuple(evolve(step, reason=reason) for step in ours)
        others = tuple(step for step in plan.steps if step.channel != FILES)
        return evolve(plan, rule=self.name, reason=reason, steps=(*first, *others))
