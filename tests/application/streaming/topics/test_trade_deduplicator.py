"""Each live trade leaves once, whatever sockets and REST bring twice."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.application.streaming.topics.trade_deduplicator import (
    FORGOTTEN_TOGETHER,
    REMEMBERED_TRADES,
    TradeDeduplicator,
)
from market_backbone.domain.trade import order_of_trade

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def trade_at(kit):
    """Make a trade whose id is that of its instant, like the exchange's."""

    def make(at, number=0):
        milliseconds = (at - kit.START) // timedelta(milliseconds=1)
        return kit.trade((milliseconds + 10**12) * 10 + number, milliseconds=milliseconds)

    return make


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 300)), max_size=60))
def test_whatever_arrives_how_often_each_trade_leaves_once_and_inversions_are_marked(kit, arrivals):
    deduplicator = TradeDeduplicator()
    delivered = [out for number, after in arrivals for out in deduplicator.add(kit.trade(number, milliseconds=after))]
    ids = [trade.sequential_id for trade in delivered]
    assert sorted(ids) == sorted({number for number, _ in arrivals})
    newest = None
    for trade in delivered:
        assert trade.is_late == (newest is not None and order_of_trade(trade) < newest)
        newest = max(newest, order_of_trade(trade)) if newest else order_of_trade(trade)


def test_after_a_break_the_missed_trades_come_before_the_live_ones_that_waited(kit):
    deduplicator = TradeDeduplicator()
    deduplicator.add(kit.trade(1))
    deduplicator.hold()
    assert deduplicator.add(kit.trade(9)) == []
    page = [kit.trade(number, source="rest") for number in (1, 3, 2, 9)]
    assert deduplicator.joins(page, kit.trade(1))
    joined = deduplicator.join(page)
    assert [(trade.sequential_id, trade.source) for trade in joined] == [(2, "rest"), (3, "rest"), (9, "websocket")]
    assert not any(trade.is_late for trade in joined)
    assert [trade.sequential_id for trade in deduplicator.add(kit.trade(10))] == [10]


def test_what_rest_stands_in_with_leaves_at_once_while_live_trades_wait_on(kit):
    deduplicator = TradeDeduplicator()
    deduplicator.add(kit.trade(1))
    deduplicator.hold()
    deduplicator.add(kit.trade(9))
    assert [trade.sequential_id for trade in deduplicator.absorb([kit.trade(1), kit.trade(2)])] == [2]
    assert deduplicator.is_held
    assert [trade.sequential_id for trade in deduplicator.join([kit.trade(3), kit.trade(9)])] == [3, 9]


def test_a_page_that_lacks_either_end_does_not_join(kit):
    deduplicator = TradeDeduplicator()
    deduplicator.add(kit.trade(1))
    deduplicator.hold()
    deduplicator.add(kit.trade(9))
    assert not deduplicator.joins([kit.trade(2), kit.trade(9)], kit.trade(1))
    assert not deduplicator.joins([kit.trade(1), kit.trade(2)], kit.trade(1))


def test_trades_from_before_the_first_delivered_are_not_news(kit):
    deduplicator = TradeDeduplicator()
    deduplicator.add(kit.trade(5))
    deduplicator.hold()
    assert [trade.sequential_id for trade in deduplicator.join([kit.trade(3), kit.trade(5), kit.trade(7)])] == [7]


def test_identities_are_forgotten_after_ten_minutes_of_market_time_but_for_the_newest_thousand(kit):
    deduplicator = TradeDeduplicator()
    for number in range(REMEMBERED_TRADES + 5):
        deduplicator.add(kit.trade(number))
    assert len(deduplicator._known) == REMEMBERED_TRADES + 5
    for number in range(FORGOTTEN_TOGETHER):
        deduplicator.add(kit.trade(10**6 + number, milliseconds=11 * 60 * 1000))
    assert REMEMBERED_TRADES <= len(deduplicator._known) < REMEMBERED_TRADES + FORGOTTEN_TOGETHER


def test_trades_equal_in_all_but_their_id_are_two_trades(kit):
    deduplicator = TradeDeduplicator()
    one = kit.trade(1)
    assert len([*deduplicator.add(one), *deduplicator.add(evolve(one, sequential_id=2))]) == 2


def test_on_a_thin_market_what_was_had_stays_known_however_long_ago_it_traded(trade_at):
    deduplicator, first, second = TradeDeduplicator(), trade_at(NOON), trade_at(NOON + timedelta(minutes=11))
    assert [deduplicator.add(first), deduplicator.add(second)] == [[first], [second]]
    assert deduplicator.absorb([first, second]) == []
