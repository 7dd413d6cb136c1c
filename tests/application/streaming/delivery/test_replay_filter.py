"""What a follower that resumes has had passes no second time."""

from market_backbone.application.streaming.delivery.replay_filter import ReplayFilter
from market_backbone.domain.trade import order_of_trade


def ids(trades):
    return [trade.sequential_id for trade in trades]


def test_a_gate_remembers_ten_minutes_and_lets_nothing_older_pass(kit):
    minutes = [kit.trade(n, milliseconds=n * 60_000) for n in range(30)]
    gate = ReplayFilter(order_of_trade(minutes[3]))
    assert ids(gate.load(minutes)) == list(range(4, 30))
    assert len(gate._had) == 11
    assert [gate.admit(trade) for trade in minutes] == [None] * 30
    assert gate.admit(kit.trade(99, milliseconds=28 * 60_000)).is_late
    assert not gate.admit(kit.trade(100, milliseconds=31 * 60_000)).is_late
