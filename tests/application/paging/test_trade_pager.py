"""Trades: paged back over days, and delivered exactly once each."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import IntegrityError, TimeRange
from market_backbone.application.paging.trade_pager import DAYS_KEPT, MAX_DOUBTS, TradePager
from market_backbone.application.streaming.topics.trade_deduplicator import (
    FORGOTTEN_TOGETHER,
    REMEMBERED_TRADES,
    TradeDeduplicator,
)
from market_backbone.domain.trade import order_of_trade

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


DAY = timedelta(days=1)


@pytest.fixture(scope="session")
def trade_at(kit):
    """Make a trade whose id is that of its instant, like the exchange's."""

    def make(at, number=0):
        milliseconds = (at - kit.START) // timedelta(milliseconds=1)
        return kit.trade((milliseconds + 10**12) * 10 + number, milliseconds=milliseconds)

    return make


def moment(at):
    return TimeRange(at, at)


def test_a_short_page_ends_its_day_and_not_the_history(trade_at):
    paging = TradePager(page_size=3, count=5)
    page = paging.next_page(moment(NOON))
    assert (page.count, page.before_id, page.days_ago, page.day) == (3, None, None, NOON.date())
    today = [trade_at(NOON, number) for number in range(2)]
    paging.take(page, today, moment(NOON))
    page = paging.next_page(moment(NOON))
    assert (page.count, page.before_id, page.days_ago, page.day) == (3, None, 1, (NOON - DAY).date())
    yesterday = [trade_at(NOON - DAY, number) for number in range(3)]
    paging.take(page, yesterday, moment(NOON))
    assert paging.trades == [*yesterday, *today]
    assert paging.next_page(moment(NOON)) is None
    assert paging.calls == 2


def test_inside_a_day_the_oldest_id_is_the_cursor(trade_at):
    paging = TradePager(page_size=2, count=4)
    rows = [trade_at(NOON, number) for number in range(2)]
    paging.take(paging.next_page(moment(NOON)), rows, moment(NOON))
    assert paging.next_page(moment(NOON)).before_id == rows[0].sequential_id


def test_a_day_without_a_trade_costs_one_call_and_is_walked_over(trade_at):
    paging = TradePager(page_size=2, count=1)
    for expected in (None, 1, 2):
        page = paging.next_page(moment(NOON))
        assert page.days_ago == expected
        paging.take(page, [trade_at(NOON - 2 * DAY)] if expected == 2 else [], moment(NOON))
    assert len(paging.trades) == 1
    assert paging.calls == 3


def test_the_day_stays_the_same_when_midnight_passes_between_two_pages(trade_at):
    late = datetime(2026, 11, 10, 23, 59, 59, tzinfo=UTC)
    paging = TradePager(page_size=2, count=4)
    paging.take(paging.next_page(moment(late)), [trade_at(late, number) for number in range(2)], moment(late))
    after = moment(late + timedelta(seconds=2))
    page = paging.next_page(after)
    assert (page.day, page.days_ago) == (late.date(), 1)
    paging.take(page, [], after)
    page = paging.next_page(after)
    assert (page.day, page.days_ago) == ((late - DAY).date(), 2)


def test_rows_of_another_day_are_no_data_but_a_reason_to_ask_again(trade_at):
    late = datetime(2026, 11, 10, 23, 59, 59, tzinfo=UTC)
    crossed = TimeRange(late, late + timedelta(seconds=2))
    paging = TradePager(page_size=2, count=2)
    paging.take(paging.next_page(moment(late)), [trade_at(late)], moment(late))
    page = paging.next_page(moment(late))
    assert page.days_ago == 1
    paging.take(page, [trade_at(late, 1)], crossed)
    assert [trade.sequential_id for trade in paging.trades] == [trade_at(late).sequential_id]
    again = paging.next_page(moment(crossed.end))
    assert (again.day, again.days_ago) == (page.day, 2)


def test_an_answer_without_rows_says_nothing_if_midnight_may_have_passed_meanwhile(trade_at):
    late = datetime(2026, 11, 10, 23, 59, 59, tzinfo=UTC)
    paging = TradePager(page_size=1, count=3)
    paging.take(paging.next_page(moment(late)), [trade_at(late)], moment(late))
    page = paging.next_page(moment(late))
    paging.take(page, [], TimeRange(late, late + timedelta(seconds=2)))
    assert paging.next_page(moment(late + timedelta(seconds=2))).day == page.day
    sent_too_late = moment(late + timedelta(seconds=2))
    paging.take(page, [], sent_too_late)
    assert paging.next_page(sent_too_late).day == page.day


def test_a_server_that_never_tells_of_the_day_it_was_asked_for_contradicts_itself(trade_at):
    paging = TradePager(page_size=2, count=2)
    older = [trade_at(NOON - 2 * DAY)]
    for _ in range(MAX_DOUBTS - 1):
        paging.take(paging.next_page(moment(NOON)), older, moment(NOON))
    page = paging.next_page(moment(NOON))
    with pytest.raises(IntegrityError, match=r"asked 5 times for trades of 2026-11-10 \(UTC\), got 2026-11-08"):
        paging.take(page, older, moment(NOON))
    assert paging.trades == []


def test_rows_of_two_days_in_one_answer_are_no_data(trade_at):
    paging = TradePager(page_size=2, count=2)
    page = paging.next_page(moment(NOON))
    paging.take(page, [trade_at(NOON - DAY), trade_at(NOON)], moment(NOON))
    assert paging.trades == []


def test_the_walk_ends_after_seven_days_back():
    paging = TradePager(page_size=2, count=4)
    while (page := paging.next_page(moment(NOON))) is not None:
        paging.take(page, [], moment(NOON))
    assert paging.calls == DAYS_KEPT + 1
    assert paging.trades == []
    assert paging.is_exhausted
    assert paging.known_since == datetime(2026, 11, 3, tzinfo=UTC)


@pytest.mark.parametrize("is_told", [True, False])
def test_while_nothing_tells_the_date_days_are_counted_and_rows_name_them(trade_at, is_told):
    now = moment(NOON) if is_told else None
    paging = TradePager(page_size=2, count=2)
    paging.take(paging.next_page(None), [], now)
    page = paging.next_page(now)
    assert page.days_ago == (None if is_told else 1)  # once the date is known an empty day can be named
    if is_told:
        return
    paging.take(page, [trade_at(NOON - DAY)], None)
    page = paging.next_page(None)
    assert (page.day, page.days_ago) == ((NOON - 2 * DAY).date(), 2)


def test_the_walk_ends_before_an_instant(trade_at):
    paging = TradePager(page_size=2, not_before=NOON)
    now = moment(NOON + timedelta(hours=1))
    seconds = [trade_at(NOON + timedelta(seconds=second)) for second in range(-1, 3)]
    paging.take(paging.next_page(now), seconds[2:], now)
    assert not paging.has_reached
    paging.take(paging.next_page(now), seconds[:2], now)
    assert paging.has_reached
    assert paging.next_page(now) is None


def test_the_walk_ends_with_the_first_day_that_begins_before_the_instant():
    midnight = NOON.replace(hour=0)
    paging = TradePager(page_size=2, not_before=midnight)
    paging.take(paging.next_page(moment(NOON)), [], moment(NOON))
    assert paging.has_reached
    assert paging.next_page(moment(NOON)) is None


def test_the_walk_ends_with_a_trade_and_what_a_late_one_may_lie_before_it(trade_at):
    rows = [trade_at(NOON + timedelta(seconds=second)) for second in range(-4, 4)]
    paging = TradePager(page_size=2, until_id=rows[4].sequential_id)
    now = moment(NOON + timedelta(hours=1))
    for first in (6, 4, 2, 0):
        assert not paging.has_reached
        paging.take(paging.next_page(now), rows[first : first + 2], now)
    assert paging.has_reached
    unknown = TradePager(page_size=2, until_id=rows[6].sequential_id + 1)
    unknown.take(unknown.next_page(now), rows[6:], now)
    assert unknown.next_page(now) is None
    assert not unknown.has_reached


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
