"""Trades: paged back over days, and delivered exactly once each."""

from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import IntegrityError, TimeRange
from market_backbone.application.paging.trade_pager import DAYS_KEPT, MAX_DOUBTS, TradePager

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
