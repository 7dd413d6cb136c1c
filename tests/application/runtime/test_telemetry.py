"""Observers: all are told in order, and nothing that they do reaches the caller."""

from watching import Watcher

from market_backbone import ItemDropped
from market_backbone.application.runtime.telemetry import NullLogger, Telemetry

FACT = ItemDropped(channel="rest")


class HandClock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def to_real_s(self, seconds):
        return seconds / 2


class Raising:
    def __init__(self):
        self.calls = 0

    def observe(self, observation):
        self.calls += 1
        msg = f"no room for {observation.channel}"
        raise RuntimeError(msg)


class Slow:
    def __init__(self, clock, takes_s):
        self.clock, self.takes_s = clock, takes_s

    def observe(self, _):
        self.clock.now += self.takes_s


def test_an_observer_that_raises_is_reported_once_and_the_others_hear_everything():
    logger, raising, watcher = Watcher(), Raising(), Watcher()
    telemetry = Telemetry(logger, [raising, watcher])
    for _ in range(3):
        telemetry.observe(FACT)
    assert (raising.calls, watcher.seen) == (3, [FACT] * 3)
    ((event, details),) = logger.events
    assert (event, details["observer"], details["error"]) == (
        "observer_failed",
        "Raising",
        "RuntimeError: no room for rest",
    )


def test_two_observers_that_raise_are_both_reported():
    logger = Watcher()
    telemetry = Telemetry(logger, [Raising(), Raising()])
    telemetry.observe(FACT)
    assert logger.names == ["observer_failed"] * 2


def test_an_observer_that_is_slow_is_reported_once_by_real_seconds():
    logger, clock = Watcher(), HandClock()
    telemetry = Telemetry(logger, [Slow(clock, 0.2)], clock)
    telemetry.observe(FACT)
    telemetry.observe(FACT)
    ((event, details),) = logger.events
    assert (event, details["observer"], details["seconds"]) == ("observer_blocked", "Slow", 0.1)


def test_an_observer_that_is_quick_enough_is_no_news():
    logger, clock = Watcher(), HandClock()
    Telemetry(logger, [Slow(clock, 0.08)], clock).observe(FACT)
    assert logger.events == []


def test_without_observers_nobody_watches_and_without_a_logger_nothing_is_written():
    telemetry = Telemetry()
    assert not telemetry.has_observers
    assert Telemetry(NullLogger(), [Watcher()]).has_observers
    telemetry.info("request_served")
    telemetry.warning("task_failed")
    telemetry.observe(FACT)
