from datetime import UTC, datetime
from decimal import Decimal

import pytest
from attrs import evolve

from market_backbone.domain.capabilities import Capabilities, DataKind, HistoryDepth
from market_backbone.domain.events import CandleRevised
from market_backbone.domain.routing import (
    ChannelHealth,
    ChannelView,
    CircuitState,
    Grade,
    RoutePlan,
    RouteStep,
    Seam,
    SeamVerdict,
    StepStatus,
)
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.timeframe import Timeframe

PLAN = RoutePlan(
    request="candles KRW-BTC 1m count=500",
    policy="smart",
    rule="bulk",
    reason="bulk and stable",
    steps=(
        RouteStep(channel="rest", action="page back", reason="complete", calls=3),
        RouteStep(channel="cache", action="what is held", reason="if REST fails"),
    ),
)


def test_a_plan_prints_as_a_table_that_a_person_reads():
    assert str(PLAN) == (
        "candles KRW-BTC 1m count=500\n"
        "  rule: bulk (smart), because bulk and stable\n"
        "      channel  what          calls  status   rows  waited  ms  why\n"
        "  1.  rest     page back     3      planned  -     -       -   complete\n"
        "  2.  cache    what is held  0      planned  -     -       -   if REST fails"
    )


def test_a_trace_prints_what_happened_beside_what_was_planned():
    failed = RouteStep(
        channel="rest", action="page back", reason="complete", calls=1, status=StepStatus.FAILED, error="time-out"
    )
    served = RouteStep(
        channel="cache", action="held", reason="free", calls=0, status=StepStatus.SERVED, rows=500, latency_ms=12.4
    )
    trace = PLAN.with_step(0, failed).with_step(1, served).with_note("stale")

    lines = str(trace).splitlines()

    assert lines[3].split() == ["1.", "rest", "page", "back", "1", "failed", "0", "0", "0", "time-out"]
    assert lines[4].split() == ["2.", "cache", "held", "0", "served", "500", "0", "12", "free"]
    assert lines[5] == "  note: stale"
    joint = Seam(at=datetime(2026, 11, 20, tzinfo=UTC), older="cache", newer="rest", verdict=SeamVerdict.PROVEN)
    assert str(evolve(trace, seams=(joint,))).endswith("\n  seam at 2026-11-20T00:00:00Z: cache | rest PROVEN")
    assert (trace.served_by, trace.calls, trace.channels) == (("cache",), 1, ("rest", "cache"))


def test_a_plan_costs_what_its_first_channel_is_expected_to_cost():
    assert (PLAN.calls, PLAN.served_by) == (3, ())


def test_a_channel_is_usable_until_its_circuit_opens():
    view = ChannelView(name="rest", capabilities=Capabilities())
    broken = ChannelView(
        name="rest", capabilities=Capabilities(), health=ChannelHealth(circuit=CircuitState.OPEN, latency_ms={"p50": 5})
    )

    assert view.is_usable
    assert not broken.is_usable
    with pytest.raises(TypeError):
        broken.health.latency_ms["p50"] = 6


def test_a_channel_is_asked_only_for_what_it_declares():
    tip = Capabilities(
        answers=frozenset({DataKind.CANDLE}),
        follows=frozenset({DataKind.CANDLE, DataKind.TICKER}),
        timeframes=frozenset({Timeframe.M1}),
        live_timeframes=frozenset({Timeframe.M1}),
        history=HistoryDepth.TIP,
    )

    assert tip.can_follow(DataKind.CANDLE, Timeframe.M1)
    assert not tip.can_follow(DataKind.CANDLE, Timeframe.D1)
    assert tip.can_follow(DataKind.TICKER, Timeframe.D1)
    assert not tip.can_follow(DataKind.TRADE, Timeframe.M1)
    assert tip.can_answer_candles(Timeframe.M1, HistoryDepth.TIP)
    assert not tip.can_answer_candles(Timeframe.M1, HistoryDepth.FULL)
    assert not tip.can_answer_candles(Timeframe.D1, HistoryDepth.TIP)


def test_a_revised_candle_is_the_one_that_counts_now():
    assert CandleRevised("old", "new").candle == "new"
    assert Decimal(Symbol("KRW-1INCH").base[0]) == 1


def test_a_grade_prints_its_name_and_compares_as_a_number():
    assert [str(grade) for grade in Grade] == ["GOOD", "DEGRADED", "POOR", "OUT"]
    assert Grade.GOOD < Grade.OUT
