"""What streams sealed reaches the store as what it is: candles as proof, silence as something watched."""

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from market_backbone import (
    Backfilled,
    CandleRevised,
    CandleSeries,
    CandleUpdated,
    Coverage,
    DataKind,
    Finality,
    Gap,
    Reason,
    SealedBy,
    SeriesKey,
    Timeframe,
    TimeRange,
)
from market_backbone.application.archive.catalog import coverage_report, label_outages
from market_backbone.application.cache.write_behind import WriteBehind
from market_backbone.application.runtime.tasks import TaskSupervisor
from market_backbone.domain.errors import ChannelUnavailableError
from market_backbone.domain.request import Topic
from market_backbone.domain.symbol import Symbol
from market_backbone.infrastructure.candle_store import MemoryCandleStore


class Reports(list):
    """Keeps what was reported of a store."""

    def report(self, error):
        self.append(error)


@pytest.fixture
async def desk(kit):
    """A keeper, its store, and what it reported."""
    reports, store, clock = Reports(), MemoryCandleStore(), kit.Clock()
    tasks = TaskSupervisor(lambda name, error: reports.append((name, error)))
    yield WriteBehind(store=store, clock=clock, tasks=tasks, errors=reports), store, reports
    await tasks.close()


@pytest.fixture
def key(kit):
    return SeriesKey("test", kit.BTC, Timeframe.M1)


@pytest.fixture
def topic(kit):
    return Topic(DataKind.CANDLE, kit.BTC, Timeframe.M1)


def _proven(asked):
    return Coverage(asked=asked, proven=(asked,))


def final(kit, minute, **more):
    sealed = kit.candle(minute, finality=Finality.FINAL, **more)
    return CandleUpdated(evolve(sealed, sealed_by=SealedBy.SUCCESSOR))


def span(kit, first, beyond):
    return TimeRange(kit.START + timedelta(minutes=first), kit.START + timedelta(minutes=beyond))


async def test_candles_prove_their_slots_and_silence_between_them_is_provisional(kit, desk, key, topic):
    write_behind, store, _ = desk
    hear = write_behind.listener(topic)
    for minute in (0, 1, 4):
        hear(final(kit, minute))
    hear(CandleUpdated(kit.candle(5)))
    assert write_behind.is_waiting
    await write_behind.flush()
    assert not write_behind.is_waiting
    ledger = store.ledger(key)
    assert ledger.proven == (span(kit, 0, 2), span(kit, 4, 5))
    assert ledger.provisional == (span(kit, 2, 4),)
    report = await coverage_report(store, key, span(kit, 0, 5))
    assert [(gap.start, gap.reason) for gap in report.gaps] == [(kit.START + timedelta(minutes=2), Reason.UNKNOWN)]
    assert report.strip(5) == "██▒▒█"


async def test_nothing_was_watched_across_a_gap_or_between_two_feeds(kit, desk, key, topic):
    write_behind, store, _ = desk
    hear = write_behind.listener(topic)
    hear(final(kit, 0))
    hear(Gap(span(kit, 1, 3), Reason.UNKNOWN))
    hear(final(kit, 3))
    hear = write_behind.listener(topic)
    hear(final(kit, 6))
    await write_behind.flush()
    assert store.ledger(key).provisional == ()
    assert store.ledger(key).proven == (span(kit, 0, 1), span(kit, 3, 4), span(kit, 6, 7))


async def test_late_and_changed_candles_are_kept_too(kit, desk, key, topic):
    write_behind, store, _ = desk
    hear = write_behind.listener(topic)
    old = kit.candle(0, finality=Finality.FINAL)
    new = kit.candle(0, finality=Finality.FINAL, volume="9")
    hear(CandleUpdated(old))
    await write_behind.flush()
    hear(CandleRevised(old, new))
    hear(Backfilled(kit.candle(2, finality=Finality.FINAL)))
    await write_behind.flush()
    held = await store.read(key, span(kit, 0, 3))
    assert [(candle.volume, candle.revision) for candle in held] == [(9, 1), (1, 0)]
    assert store.ledger(key).provisional == ()


async def test_a_page_that_a_feed_asked_for_turns_what_was_watched_into_proof(kit, desk, key, topic):
    write_behind, store, _ = desk
    hear = write_behind.listener(topic)
    for minute in (0, 3):
        hear(final(kit, minute))
    rows = [kit.candle(minute, finality=Finality.FINAL, source="rest") for minute in (0, 3)]
    write_behind.take_page(CandleSeries.of("test", kit.BTC, Timeframe.M1, rows, _proven(span(kit, 0, 4))))
    await write_behind.flush()
    assert store.ledger(key).proven == (span(kit, 0, 4),)
    assert store.ledger(key).provisional == ()
    held = await store.read(key, span(kit, 0, 4))
    assert {candle.source for candle in held} == {"rest"}


async def test_it_is_written_soon_without_being_asked(kit, desk, key, topic):
    write_behind, store, _ = desk
    write_behind.listener(topic)(final(kit, 0))
    await kit.turns(100)
    assert store.ledger(key).proven == (span(kit, 0, 1),)


async def test_a_store_that_fails_is_reported_and_stops_nothing(kit, desk, topic):
    write_behind, store, reports = desk

    async def full(_):
        raise ChannelUnavailableError("the disk is full", channel="cache")

    store.write = full
    write_behind.listener(topic)(final(kit, 0))
    await write_behind.flush()
    assert reports == ["cache: the disk is full"]


@pytest.mark.parametrize(("silent", "labelled"), [(range(8, 14), (11, 14)), (range(8, 13), None)])
async def test_an_outage_is_three_minutes_in_which_every_reference_is_silent(kit, key, silent, labelled):
    """BTC is silent from 11 to 20, the other reference for a while: what both share counts."""
    store = MemoryCandleStore()
    for symbol, minutes in (("KRW-BTC", [*range(11), *range(20, 30)]), ("KRW-ETH", set(range(30)) - set(silent))):
        rows = [kit.candle(minute, finality=Finality.FINAL, symbol=symbol) for minute in sorted(minutes)]
        await store.write(CandleSeries.of("test", rows[0].symbol, Timeframe.M1, rows, _proven(span(kit, 0, 30))))
    series = await label_outages(await store.read(key, span(kit, 0, 30)), store, ("KRW-BTC", "KRW-ETH"))
    outages = [part.span for part in series.quiet() if part.reason is Reason.OUTAGE]
    assert outages == ([] if labelled is None else [span(kit, *labelled)])


async def test_between_two_writes_others_have_a_turn_and_what_is_not_written_goes_on_waiting(kit, desk, topic):
    write_behind, store, _ = desk
    hear = write_behind.listener(topic)
    codes = [Symbol(code) for code in ("KRW-A", "KRW-B", "KRW-C")]
    candles = [evolve(kit.candle(0, finality=Finality.FINAL), symbol=code) for code in codes]
    for candle in candles:
        hear(CandleUpdated(candle))
    flushing = asyncio.create_task(write_behind.flush())
    await asyncio.sleep(0)
    assert write_behind.is_waiting, "one is written, two are not"
    flushing.cancel()
    await write_behind.flush()
    keys = [SeriesKey(candle.venue, candle.symbol, candle.timeframe) for candle in candles]
    assert all(store.ledger(key).proven for key in keys)
