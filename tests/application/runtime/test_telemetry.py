"""Observers: all are told in order, and nothing that they do reaches the caller."""

from watching import Watcher

from market_backbone import ItemDropped
from market_backbone.application.runtime.telemetry import NoDiary, Witness

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
    diary, raising, watcher = Watcher(), Raising(), Watcher()
    witness = Witness(diary, [raising, watcher])
    for _ in range(3):
        witness.observe(FACT)
    assert (raising.calls, watcher.seen) == (3, [FACT] * 3)
    ((event, details),) = diary.events
    assert (event, details["observer"], details["error"]) == (
        "observer_failed",
        "Raising",
        "RuntimeError: no room for rest",
    )


def test_two_observers_that_raise_are_both_reported():
    diary = Watcher()
    witness = Witness(diary, [Raising(), Raising()])
    witness.observe(FACT)
    assert diary.names == ["observer_failed"] * 2


def test_an_observer_that_is_slow_is_reported_once_by_real_seconds():
    diary, clock = Watcher(), HandClock()
    witness = Witness(diary, [Slow(clock, 0.2)], clock)
    witness.observe(FACT)
    witness.observe(FACT)
    ((event, details),) = diary.events
    assert (event, details["observer"], details["seconds"]) == ("observer_blocked", "Slow", 0.1)


def test_an_observer_that_is_quick_enough_is_no_news():
    diary, clock = Watcher(), HandClock()
    Witness(diary, [Slow(clock, 0.08)], clock).observe(FACT)
    assert diary.events == []


def test_without_observers_nobody_watches_and_without_a_diary_nothing_is_written():
    witness = Witness()
    assert not witness.is_watched
    assert Witness(NoDiary(), [Watcher()]).is_watched
    witness.note("request_served")
    witness.warn("task_failed")
    witness.observe(FACT)
