"""Stores and policies that tell one lie each; ``breaks`` names the promise that has to catch it."""

import asyncio
from itertools import count

from attrs import evolve, frozen

from market_backbone import CandleSeries, ChannelUnavailableError, RoutePlan, RouteStep, SmartRoutingPolicy
from market_backbone.domain.ledger import Ledger, WriteResult
from market_backbone.domain.routing import StepStatus
from market_backbone.infrastructure.candle_store import MemoryCandleStore
from market_backbone.infrastructure.conformance import PolicyUnderTest, StoreUnderTest


class LyingStore(MemoryCandleStore):
    """A store on a shared shelf, so that it can be opened again."""

    @classmethod
    def under_test(cls):
        shelves, aside = {}, []

        def opened():
            store = cls()
            store._series, store._aside = shelves, aside
            return store

        store = opened()
        return StoreUnderTest(store, reopen=opened, break_medium=store.fill_up, mend_medium=store.make_room)

    is_full = False

    def fill_up(self):
        self.is_full = True

    def make_room(self):
        self.is_full = False

    async def close(self):
        self._is_closed = True


class HalfAStore(LyingStore):
    breaks = "S-01"
    invalidate = None


class NeverEmpty(LyingStore):
    breaks = "S-02"

    async def read(self, key, span):
        if not self.ledger(key).proven:
            raise ChannelUnavailableError("nothing is held", channel="cache")
        return await super().read(key, span)


class LosesTheLast(LyingStore):
    breaks = "S-03"

    async def write(self, series):
        return await super().write(CandleSeries(series[:-1].columns, series.coverage))


class Rounds(LyingStore):
    breaks = "S-04"

    async def read(self, key, span):
        found = await super().read(key, span)
        rows = [evolve(row, open=row.open.quantize(row.volume)) if row.open < 1 else row for row in found]
        rows = [evolve(row, quote_volume=None) for row in rows]
        return CandleSeries.of(key.venue, key.symbol, key.timeframe, rows, found.coverage)


class CoversWhatIsNotFinal(LyingStore):
    breaks = "S-05"

    async def read(self, key, span):
        found = await super().read(key, span)
        whole = evolve(found.coverage, proven=(span,))
        return CandleSeries(found.columns, whole)

    def ledger(self, key):
        held = super().ledger(key)
        if not held.proven:
            return held
        return evolve(held, proven=(type(held.proven[0])(held.proven[0].start, held.proven[-1].end),))


class EndIncludedToo(LyingStore):
    breaks = "S-06"

    async def read(self, key, span):
        return await super().read(key, type(span)(span.start, key.timeframe.next(span.end)))


class OldestInsteadOfNewest(LyingStore):
    breaks = "S-07"

    async def read_newest(self, key, count, span):
        return (await self.read(key, span))[:count]


class CountsTwice(LyingStore):
    breaks = "S-08"

    async def write(self, series):
        await super().write(series)
        return WriteResult(added=len(series))


class LastViewWins(LyingStore):
    breaks = "S-09"

    async def write(self, series):
        remembered = await super().write(series)
        return evolve(remembered, revised=())


class OneVenueOnly(LyingStore):
    breaks = "S-10"

    def _find(self, key):
        return super()._find(evolve(key, venue="any"))

    async def write(self, series):
        remembered = await super().write(series)
        for key in list(self._series):
            self._series[evolve(key, venue="any")] = self._series[key]
        return remembered


class NoMonths(LyingStore):
    breaks = "S-11"

    async def write(self, series):
        return WriteResult() if not series.timeframe.is_fixed else await super().write(series)


class VouchesForWhatWasCut(LyingStore):
    breaks = "S-12"

    async def write(self, series):
        wide = evolve(series.coverage.asked, start=series.coverage.asked.start.replace(year=2025))
        wide = evolve(wide, end=wide.end.replace(year=2027))
        return await super().write(CandleSeries(series.columns, series.coverage.within(wide)))


class RoundsCoverageUp(LyingStore):
    breaks = "S-13"

    async def write(self, series):
        frame = series.timeframe
        proven = tuple(type(span)(frame.floor(span.start), frame.ceil(span.end)) for span in series.coverage.proven)
        return await super().write(CandleSeries(series.columns, evolve(series.coverage, proven=proven)))


class TellsBoth(LyingStore):
    breaks = "S-14"

    def ledger(self, key):
        held = super().ledger(key)
        lie = Ledger(proven=held.proven)
        object.__setattr__(lie, "provisional", (*held.provisional, *held.proven))
        return lie


class NeverDoubts(LyingStore):
    breaks = "S-15"

    async def invalidate(self, key, span):
        pass


class ForgetsTheListing(LyingStore):
    breaks = "S-16"

    def ledger(self, key):
        return evolve(super().ledger(key), explained=())


class ThrowsAway(LyingStore):
    breaks = "S-17"

    async def quarantine(self, key, reason):
        rows = await super().quarantine_reason(key, reason)
        self._aside.clear()
        return rows


class OverwritesAnother(LyingStore):
    """Reads, waits, and writes what it read together with its own."""

    async def write(self, series):
        before = dict(self._series)
        await asyncio.sleep(0)
        self._series.clear()
        self._series.update(before)
        return await super().write(series)


class LosesTheOtherWriter(OverwritesAnother):
    breaks = "S-18"


class LosesTheOtherStore(OverwritesAnother):
    breaks = "S-19"


class Forgetful(LyingStore):
    breaks = "S-20"

    async def close(self):
        self._series.clear()
        await super().close()


class HalfWritten(LyingStore):
    breaks = "S-21"

    async def write(self, series):
        half = len(series) // 2
        await super().write(CandleSeries(series[:half].columns, series.coverage))
        await asyncio.sleep(0)
        return await super().write(series[half:])


class AnswersAfterwards(LyingStore):
    breaks = "S-22"

    async def close(self):
        pass


class InAnyOrder(LyingStore):
    breaks = "S-23"

    async def inventory(self):
        return (await super().inventory())[::-1]


class FailsInForeignWords(LyingStore):
    breaks = "S-24"

    async def write(self, series):
        if self.is_full:
            raise OSError("No space left on device")
        return await super().write(series)


class TakesWhatItCannotKeep(LyingStore):
    breaks = "S-24"

    async def write(self, series):
        return WriteResult() if self.is_full else await super().write(series)


@frozen
class LyingPolicy(SmartRoutingPolicy):
    """Makes a plan and changes it."""

    @classmethod
    def under_test(cls):
        return PolicyUnderTest(cls())

    def plan(self, request, channels):
        return self.lie(super().plan(request, channels), channels)

    def lie(self, plan: RoutePlan, channels) -> RoutePlan:
        return plan


def _last(plan, **changes):
    return plan.with_step(len(plan.steps) - 1, evolve(plan.steps[-1], **changes))


class Nameless(LyingPolicy):
    breaks = "P-01"

    def lie(self, plan, channels):
        return evolve(plan, policy="other")


class Learns(LyingPolicy):
    breaks = "P-02"
    turns = count()

    def lie(self, plan, channels):
        return plan.with_note(f"plan {next(self.turns)}")


class Sorts(LyingPolicy):
    breaks = "P-03"

    def lie(self, plan, channels):
        channels.sort(key=lambda view: view.name)
        return plan


class AsksAnybody(LyingPolicy):
    breaks = "P-04"

    def lie(self, plan, channels):
        return evolve(plan, steps=(*plan.steps, RouteStep(channel="archive", action="ask", reason="why not")))


class AsksTwice(LyingPolicy):
    breaks = "P-05"

    def lie(self, plan, channels):
        return evolve(plan, steps=(*plan.steps, plan.steps[-1]))


class GivesNoReason(LyingPolicy):
    breaks = "P-06"

    def lie(self, plan, channels):
        return _last(plan, reason="")


class PlansThePast(LyingPolicy):
    breaks = "P-07"

    def lie(self, plan, channels):
        return _last(plan, status=StepStatus.SERVED, rows=5)


class IgnoresCircuits(LyingPolicy):
    breaks = "P-08"

    def lie(self, plan, channels):
        return evolve(plan, steps=tuple(evolve(step, status=StepStatus.PLANNED) for step in plan.steps))


class NeverRefuses(LyingPolicy):
    breaks = "P-09"

    def plan(self, request, channels):
        channels = channels if any(view.capabilities.answers for view in channels) else None
        return super().plan(request, channels) if channels else None


class WordsOfItsOwn(LyingPolicy):
    breaks = "P-10"

    def lie(self, plan, channels):
        return _last(plan, action="subscribe")


class JoinsNothing(LyingPolicy):
    breaks = "P-11"

    def lie(self, plan, channels):
        return _last(plan, joins_next=True)


class Unreadable(LyingPolicy):
    breaks = "P-12"

    def lie(self, plan, channels):
        class Mute(RoutePlan):
            def __str__(self):
                return "a plan"

        return Mute(request=plan.request, policy=plan.policy, rule=plan.rule, reason=plan.reason, steps=plan.steps)


class CrossesVenues(LyingPolicy):
    breaks = "P-13"

    def lie(self, plan, channels):
        others = [view.name for view in channels if view.name not in plan.channels]
        return evolve(
            plan, steps=(*plan.steps, *(RouteStep(channel=name, action="ask", reason="why not") for name in others))
        )


LIES = [lie for lie in list(globals().values()) if isinstance(lie, type) and hasattr(lie, "breaks")]
