"""Trades: paged back over days, and delivered exactly once each."""

from datetime import timedelta

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.application.trades import DAYS_KEPT, TradePaging, TradeTail, order_of_trade


def test_a_short_page_ends_its_day_and_not_the_history(kit):
    paging = TradePaging(page_size=3, count=5)
    page = paging.next_page()
    assert (page.count, page.before_id, page.days_ago) == (3, None, None)
    paging.take(page, [kit.trade(8), kit.trade(9)])
    page = paging.next_page()
    assert (page.count, page.before_id, page.days_ago) == (3, None, 1)
    paging.take(page, [kit.trade(5), kit.trade(6), kit.trade(7)])
    assert [trade.sequential_id for trade in paging.trades] == [5, 6, 7, 8, 9]
    assert paging.next_page() is None
    assert paging.calls == 2


def test_inside_a_day_the_oldest_id_is_the_cursor(kit):
    paging = TradePaging(page_size=2, count=4)
    paging.take(paging.next_page(), [kit.trade(8), kit.trade(9)])
    assert paging.next_page().before_id == 8


def test_the_walk_ends_after_seven_days_back():
    paging = TradePaging(page_size=2, count=4)
    calls = 0
    while (page := paging.next_page()) is not None:
        paging.take(page, [])
        calls += 1
    assert calls == DAYS_KEPT + 1
    assert paging.trades == []


def test_the_walk_ends_before_an_instant(kit):
    paging = TradePaging(page_size=2, not_before=kit.START + timedelta(milliseconds=5))
    paging.take(paging.next_page(), [kit.trade(6), kit.trade(7)])
    assert paging.next_page() is not None
    paging.take(paging.next_page(), [kit.trade(4), kit.trade(5)])
    assert paging.next_page() is None


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 300)), max_size=60))
def test_whatever_arrives_how_often_each_trade_leaves_once_and_inversions_are_marked(kit, arrivals):
    tail = TradeTail()
    delivered = [out for number, after in arrivals for out in tail.take(kit.trade(number, milliseconds=after))]
    ids = [trade.sequential_id for trade in delivered]
    assert sorted(ids) == sorted({number for number, _ in arrivals})
    newest = None
    for trade in delivered:
        assert trade.is_late == (newest is not None and order_of_trade(trade) < newest)
        newest = max(newest, order_of_trade(trade)) if newest else order_of_trade(trade)


def test_after_a_break_the_missed_trades_come_before_the_live_ones_that_waited(kit):
    tail = TradeTail()
    tail.take(kit.trade(1))
    tail.hold()
    assert tail.take(kit.trade(9)) == []
    page = [kit.trade(number, source="rest") for number in (1, 3, 2, 9)]
    assert tail.joins(page, kit.trade(1))
    joined = tail.join(page)
    assert [(trade.sequential_id, trade.source) for trade in joined] == [(2, "rest"), (3, "rest"), (9, "websocket")]
    assert not any(trade.is_late for trade in joined)
    assert [trade.sequential_id for trade in tail.take(kit.trade(10))] == [10]


def test_what_rest_stands_in_with_leaves_at_once_while_live_trades_wait_on(kit):
    tail = TradeTail()
    tail.take(kit.trade(1))
    tail.hold()
    tail.take(kit.trade(9))
    assert [trade.sequential_id for trade in tail.absorb([kit.trade(1), kit.trade(2)])] == [2]
    assert tail.is_held
    assert [trade.sequential_id for trade in tail.join([kit.trade(3), kit.trade(9)])] == [3, 9]


def test_a_page_that_lacks_either_end_does_not_join(kit):
    tail = TradeTail()
    tail.take(kit.trade(1))
    tail.hold()
    tail.take(kit.trade(9))
    assert not tail.joins([kit.trade(2), kit.trade(9)], kit.trade(1))
    assert not tail.joins([kit.trade(1), kit.trade(2)], kit.trade(1))


def test_trades_from_before_the_first_delivered_are_not_news(kit):
    tail = TradeTail()
    tail.take(kit.trade(5))
    tail.hold()
    assert [trade.sequential_id for trade in tail.join([kit.trade(3), kit.trade(5), kit.trade(7)])] == [7]


def test_identities_are_forgotten_after_ten_minutes_of_market_time(kit):
    tail = TradeTail()
    for number in range(5):
        tail.take(kit.trade(number))
    tail.take(kit.trade(99, milliseconds=11 * 60 * 1000))
    assert len(tail._known) == 1


def test_trades_equal_in_all_but_their_id_are_two_trades(kit):
    tail = TradeTail()
    one = kit.trade(1)
    assert len([*tail.take(one), *tail.take(evolve(one, sequential_id=2))]) == 2
