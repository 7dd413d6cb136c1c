import pytest

from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime, read_wall_clock


def test_market_time_runs_at_the_speed_that_a_sandbox_announced_and_never_jumps_back():
    clock = MarketClock(follows_speed=True)
    before = clock.monotonic()
    clock.follow_speed(50.0)
    clock.follow_speed(50.0)

    assert clock.speed == 50.0
    assert clock.monotonic() >= before
    assert clock.to_real_s(100.0) == 2.0
    assert clock.to_real_s(-1.0) == 0.0


def test_a_speed_is_ignored_unless_the_settings_allow_it():
    clock = MarketClock()
    clock.follow_speed(50.0)

    assert clock.speed == 1.0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_what_is_no_speed_is_ignored(speed):
    clock = MarketClock(follows_speed=True)
    clock.follow_speed(speed)

    assert clock.speed == 1.0


async def test_sleeping_takes_market_time():
    clock = MarketClock(follows_speed=True)
    clock.follow_speed(1000.0)
    before = clock.monotonic()
    await clock.sleep(5.0)

    assert clock.monotonic() - before >= 4.9


def test_server_time_is_unknown_until_a_reply_told_it():
    clock = MarketClock()
    time = MeasuredServerTime(clock)
    assert (time.earliest(), time.latest()) == (None, None)

    now = clock.monotonic()
    time.observe_reply(1_773_240_059.0, sent=now, received=now)
    time.observe_stamp(1_773_240_059.5, received=now)

    assert time.earliest(now).timestamp() == pytest.approx(1_773_240_059.5)
    assert time.latest(now).timestamp() == pytest.approx(1_773_240_060.0)
    assert time.earliest() < time.latest()
    assert time.measured.is_known


def test_the_wall_clock_is_read_as_aware_utc():
    assert read_wall_clock().utcoffset().total_seconds() == 0
