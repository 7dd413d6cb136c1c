from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve

from market_backbone.domain.candle import Candle
from market_backbone.domain.coverage import ExplainedRange, Reason
from market_backbone.domain.errors import IntegrityError
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.ledger import Ledger, SeriesKey, keep
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe

START = datetime(2026, 1, 1, tzinfo=UTC)
READ = Candle(
    venue="upbit-kr",
    symbol=Symbol("KRW-BTC"),
    timeframe=Timeframe.M1,
    opened_at=START,
    open=Decimal(10),
    high=Decimal(12),
    low=Decimal(9),
    close=Decimal(11),
    volume=Decimal(3),
    source="rest",
    finality=Finality.FINAL,
    sealed_by=SealedBy.REST,
)
STREAMED = evolve(READ, source="websocket", sealed_by=SealedBy.STREAM_QUIET)
OTHER = Decimal("11.5")


def test_the_first_view_of_a_slot_is_kept_as_it_is():
    assert keep(None, STREAMED) is STREAMED


@pytest.mark.parametrize("again", [READ, evolve(READ, sealed_by=SealedBy.SOURCE), STREAMED])
def test_what_was_read_stays_when_somebody_tells_the_same(again):
    held = evolve(READ, revision=2)

    assert keep(held, again) is held


@pytest.mark.parametrize("by", [SealedBy.REST, SealedBy.SOURCE])
def test_a_read_that_tells_what_a_stream_told_vouches_for_it_without_a_revision(by):
    kept = keep(evolve(STREAMED, revision=2), evolve(READ, sealed_by=by))

    assert (kept.sealed_by, kept.source, kept.revision) == (by, "rest", 2)


def test_a_read_that_tells_otherwise_is_a_revision_whatever_was_held():
    for held in (READ, STREAMED, evolve(READ, revision=4)):
        kept = keep(held, evolve(READ, close=OTHER))

        assert (kept.close, kept.revision, kept.sealed_by) == (OTHER, held.revision + 1, SealedBy.REST)


def test_a_stream_never_changes_what_was_read():
    assert keep(READ, evolve(STREAMED, close=OTHER)) is READ


def test_a_stream_may_change_what_a_stream_has_told():
    assert keep(STREAMED, evolve(STREAMED, close=OTHER)) == evolve(STREAMED, close=OTHER, revision=1)


def test_a_revision_that_the_source_has_counted_higher_keeps_its_number():
    assert keep(READ, evolve(READ, close=OTHER, revision=7)).revision == 7
    assert keep(STREAMED, evolve(READ, revision=7)).revision == 7


@pytest.mark.parametrize(
    ("held", "new"),
    [
        (None, evolve(READ, finality=Finality.CLOSED, sealed_by=None)),
        (READ, evolve(READ, finality=Finality.FORMING, sealed_by=None)),
        (READ, evolve(READ, opened_at=START + timedelta(minutes=1))),
        (READ, evolve(READ, venue="upbit-sg")),
    ],
)
def test_views_that_are_not_final_or_not_of_one_slot_are_refused(held, new):
    with pytest.raises(IntegrityError, match="only FINAL views of one slot can be kept"):
        keep(held, new)


def test_a_ledger_unites_its_ranges_and_is_empty_only_when_it_knows_nothing():
    first, second = (TimeRange(START + timedelta(hours=hour), START + timedelta(hours=hour + 1)) for hour in (0, 1))

    assert Ledger(proven=(second, first)).proven == (TimeRange(first.start, second.end),)
    assert Ledger(verified_at=START).is_empty
    assert not Ledger(provisional=(first,)).is_empty
    assert not Ledger(explained=(ExplainedRange(first.start, first.end, Reason.BEFORE_LISTING),)).is_empty


def test_a_key_reads_as_a_person_says_it():
    assert str(SeriesKey("upbit-kr", Symbol("KRW-BTC"), Timeframe.M1)) == "KRW-BTC 1m at upbit-kr"


def hours(first, beyond):
    return TimeRange(START + timedelta(hours=first), START + timedelta(hours=beyond))


def test_a_ledger_says_what_is_missing_and_never_asks_for_the_time_before_the_listing():
    before = ExplainedRange(START - timedelta(days=9), START, Reason.BEFORE_LISTING)
    ledger = Ledger(proven=(hours(2, 4), hours(6, 8)), provisional=(hours(0, 1),))

    assert (ledger.beginning, evolve(ledger, explained=(before,)).beginning) == (None, START)
    assert ledger.missing(hours(-5, 7)) == (hours(-5, 2), hours(4, 6))
    assert evolve(ledger, explained=(before,)).missing(hours(-5, 7)) == (hours(0, 2), hours(4, 6))
    assert evolve(ledger, explained=(before,)).missing(hours(-5, -2)) == ()


def test_a_ledger_says_how_far_down_everything_is_known_and_where_the_nearest_known_end_lies():
    ledger = Ledger(proven=(hours(2, 4), hours(6, 8)))

    assert ledger.known_below(START + timedelta(hours=7)) == hours(6, 7)
    assert ledger.known_below(START + timedelta(hours=8)) == hours(6, 8)
    assert ledger.known_below(START + timedelta(hours=6)) is None
    assert ledger.known_end_before(START + timedelta(hours=5)) == START + timedelta(hours=4)
    assert ledger.known_end_before(START + timedelta(hours=7)) == START + timedelta(hours=7)
    assert ledger.known_end_before(START + timedelta(hours=2)) is None


def test_a_ledger_says_which_part_of_a_range_holds_all_that_is_known_of_it():
    before = ExplainedRange(START - timedelta(days=9), START, Reason.BEFORE_LISTING)
    ledger = Ledger(proven=(hours(2, 4), hours(6, 8)), provisional=(hours(9, 10),), explained=(before,))

    assert ledger.known_within(hours(3, 7)) == hours(3, 7)
    assert ledger.known_within(hours(4, 6)) is None
    assert ledger.known_within(hours(4, 7)) == hours(6, 7)
    assert ledger.known_within(hours(7, 20)) == hours(7, 10)
    assert ledger.known_within(hours(-1, 1)) == hours(-1, 0)
    assert ledger.known_within(hours(11, 12)) is None
