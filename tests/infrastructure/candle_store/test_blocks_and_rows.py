from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.columns import CandleColumns, join, pick
from market_backbone.domain.finality import SealedBy
from market_backbone.domain.timeframe import Timeframe
from market_backbone.domain.timestamps import from_micros, to_micros
from market_backbone.infrastructure.candle_store.blocks import block_span, block_start, block_width, split
from market_backbone.infrastructure.candle_store.codec import decode_block, encode_block
from market_backbone.infrastructure.candle_store.rows import merge

MICROS_PER_HOUR = 3_600_000_000
openings = st.integers(-(10**15), 4 * 10**15).map(from_micros)


@pytest.mark.parametrize(("timeframe", "hours"), [("1s", 0.5), ("1m", 24), ("5m", 120), ("1h", 1440)])
def test_a_block_is_half_an_hour_of_seconds_a_day_of_minutes_and_so_on(timeframe, hours):
    assert block_width(Timeframe(timeframe)) == hours * MICROS_PER_HOUR


@given(openings, st.sampled_from(Timeframe))
def test_every_slot_opens_in_exactly_one_block_and_a_block_holds_at_most_two_thousand(at, timeframe):
    opened_at = timeframe.floor(at)
    start = block_start(to_micros(opened_at), timeframe)
    span = block_span(start, timeframe)

    assert opened_at in span
    for inside in (span.start, timeframe.previous(span.end)):
        assert block_start(to_micros(inside), timeframe) == start
    for outside in (timeframe.previous(span.start), span.end):
        assert block_start(to_micros(outside), timeframe) != start
    assert timeframe.is_on_grid(span.start)
    assert timeframe.count_slots(span) <= 2000


def test_rows_are_split_at_the_borders_of_blocks_and_nowhere_else(pages):
    columns = pages.page(-100, 3000).columns

    parts = list(split(columns))

    assert [from_micros(start) for start, _ in parts] == [pages.minute(day * 1440) for day in (-1, 0, 1, 2)]
    assert rows_of(join([part for _, part in parts])) == rows_of(columns)


def rows_of(columns):
    return [columns.candle(row) for row in range(len(columns))]


huge = Decimal("1E+30")


@given(
    st.lists(st.lists(st.tuples(st.sampled_from(SealedBy), st.integers(0, 3), st.booleans()), max_size=6), max_size=4)
)
def test_joined_parts_keep_the_marks_and_the_outsized_numbers_of_every_row(pages, drawn):
    parts, rows = [], []
    for part in drawn:
        found = [
            pages.candle(len(rows) + number, by=by, revision=revision, **({"high": huge} if is_huge else {}))
            for number, (by, revision, is_huge) in enumerate(part)
        ]
        rows += found
        parts.append(pages.series(found).columns)

    assert rows_of(join([pages.series().columns, *parts])) == rows
    wanted = [number % 3 != 1 for number in range(len(rows))]
    picked = pick(join([pages.series().columns, *parts]), wanted)
    assert rows_of(picked) == [row for row, is_wanted in zip(rows, wanted, strict=True) if is_wanted]
    assert set(picked.mark) == set(range(len(picked.marks)))


held_in = st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 300), st.booleans())
"""Slots left out before a part, its rows, the revision of the first, and whether it has been in the store."""


@given(st.lists(held_in, max_size=5), st.integers(0, 20))
def test_parts_from_the_store_and_from_the_wire_are_joined_row_by_row(pages, drawn, room):
    parts, rows, number = [pages.series().columns], [], 0
    for gap, count, revision, is_stored in drawn:
        found = []
        for slot in range(number + gap, number + gap + count):
            at = pages.minute(slot)
            found.append(pages.candle(slot, revision=revision + len(found), updated_at=at if is_stored else None))
        columns = pages.series(found).columns
        parts.append(decode_block(pages.KEY, encode_block(columns)) if is_stored else columns)
        rows, number = rows + found, number + gap + count

    joined = join(parts, room=room)

    assert rows_of(joined) == rows
    assert [len(column) for column in joined.numbers] == [len(rows)] * 6
    assert len(joined.updates) == len(rows)
    assert rows_of(join([joined.slice(0, 3), joined.slice(3, len(rows))])) == rows


def test_neighbouring_blocks_stay_as_narrow_as_they_were_and_a_hole_makes_only_the_openings_wide(pages):
    blocks = [
        decode_block(pages.KEY, encode_block(pages.series(map(with_update(pages), slots)).columns))
        for slots in (range(1440), range(1440, 2880), range(3000, 4000))
    ]

    assert join(blocks[:2]).opened == range(pages.FIRST_MICROS, pages.FIRST_MICROS + 2880 * 60_000_000, 60_000_000)
    whole = join(blocks)
    assert [whole.opened.typecode, whole.updated.typecode, whole.mark.typecode] == ["q", "I", "B"]


def with_update(pages):
    return lambda slot: pages.candle(slot, updated_at=pages.minute(slot + 1))


def test_even_openings_of_another_width_are_no_range_with_those_before(pages):
    rows = list(map(with_update(pages), (0, 1, 2, 3, 5, 7)))
    blocks = [decode_block(pages.KEY, encode_block(pages.series(part).columns)) for part in (rows[:3], rows[3:])]

    assert [isinstance(block.opened, range) for block in blocks] == [True, True]
    assert rows_of(join(blocks)) == rows


def test_more_marks_than_a_byte_can_name_are_all_kept(pages):
    rows = [pages.candle(number, revision=number) for number in range(300)]

    joined = join([pages.series(rows[:250]).columns, pages.series(rows[250:]).columns])

    assert rows_of(joined) == rows


def test_rows_that_are_new_never_become_candles_and_neither_do_rows_that_are_the_same(pages, monkeypatch):
    held, page = pages.page(0, 500).columns, pages.page(300, 900).columns
    monkeypatch.setattr(CandleColumns, "candle", lambda *_: pytest.fail("a candle was made"))

    merged = merge(held, page)

    assert (merged.added, merged.revised) == (len(pages.page(500, 900)), ())
    assert merged.columns.opened == pages.page(0, 900).columns.opened


def test_rows_on_both_sides_of_what_is_held_and_between_find_their_places(pages):
    rows = {number: pages.candle(number) for number in range(12)}
    held = pages.series([rows[number] for number in (2, 3, 7, 8)]).columns
    new = pages.series([rows[number] for number in (0, 1, 4, 7, 9, 11)]).columns

    merged = merge(held, new)

    assert rows_of(merged.columns) == [rows[number] for number in (0, 1, 2, 3, 4, 7, 8, 9, 11)]
    assert merged.added == 5


def test_a_merge_that_changes_nothing_says_so(pages):
    columns = pages.page(0, 50).columns

    assert not merge(columns, columns.slice(3, 9)).is_changed
    assert merge(None, columns).is_changed
