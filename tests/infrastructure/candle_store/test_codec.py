from array import array
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from market_backbone.domain.candle import Candle
from market_backbone.domain.columns import CandleColumns
from market_backbone.domain.coverage import ExplainedRange, Reason
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.ledger import Ledger, SeriesKey
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe
from market_backbone.infrastructure.candle_store.codec import (
    DamagedBytesError,
    _to_openings,
    _to_updates,
    decode_block,
    decode_ledger,
    encode_block,
    encode_ledger,
)

START = datetime(1969, 12, 31, 23, tzinfo=UTC)
KEY = SeriesKey("upbit-kr", Symbol("KRW-BTC"), Timeframe.M1)
numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.builds(lambda digits, shift: Decimal(digits).scaleb(shift), st.integers(0, 10**60), st.integers(-80, 80)),
    st.sampled_from(
        [Decimal("92233720368.54775807"), Decimal("92233720368.54775808"), Decimal("1E+999999"), Decimal("1E-999999")]
    ),
)
instants = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
marks = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["rest", "", '"파일"\n\0']),
        "sealed_by": st.sampled_from(SealedBy),
        "revision": st.integers(0, 2**40),
        "updated_at": st.none() | instants,
    }
)


@st.composite
def candles(draw):
    low, *middle, high = sorted(draw(st.lists(numbers, min_size=4, max_size=4)))
    prices = dict(zip(("open", "close"), draw(st.permutations(middle)), strict=True), low=low, high=high)
    volumes = {"volume": abs(draw(numbers)), "quote_volume": draw(st.none() | numbers.map(abs))}
    return {**prices, **volumes, **draw(marks)}


@given(st.lists(candles(), max_size=12))
def test_a_block_gives_back_every_candle_exactly(rows):
    given_rows = [
        Candle(
            venue=KEY.venue,
            symbol=KEY.symbol,
            timeframe=KEY.timeframe,
            opened_at=START + timedelta(minutes=number * 7),
            finality=Finality.FINAL,
            **row,
        )
        for number, row in enumerate(rows)
    ]
    columns = CandleColumns.of(KEY.venue, KEY.symbol, KEY.timeframe, given_rows)

    found = decode_block(KEY, encode_block(columns))

    assert [found.candle(row) for row in range(len(found))] == given_rows
    assert found.marks == columns.marks


spans = st.tuples(instants, instants).map(lambda pair: TimeRange(min(pair), max(pair)))


@given(
    st.builds(
        Ledger,
        proven=st.lists(spans, max_size=4),
        provisional=st.lists(spans, max_size=4),
        explained=st.lists(spans.map(lambda part: ExplainedRange(part.start, part.end, Reason.BEFORE_LISTING))).map(
            tuple
        ),
        verified_at=st.none() | instants,
    )
)
def test_a_ledger_comes_back_as_it_was(ledger):
    assert decode_ledger(encode_ledger(ledger)) == ledger


@given(st.data())
def test_a_block_with_any_byte_changed_or_missing_is_noticed(pages, data):
    block = encode_block(pages.page(0, 30).columns)
    place = data.draw(st.integers(0, len(block) - 1))
    flipped = block[:place] + bytes([block[place] ^ data.draw(st.integers(1, 255))]) + block[place + 1 :]

    for damaged in (flipped, block[:place], block + b"\0"):
        with pytest.raises(DamagedBytesError, match=r"expected"):
            decode_block(KEY, damaged)


def test_an_ordinary_row_takes_little_more_than_its_numbers(pages):
    block = encode_block(pages.page(0, 1440).columns)

    assert len(block) < 70 * len(pages.page(0, 1440))


micros = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 10)
even_runs = st.builds(
    lambda first, width, rows: [first + width * row for row in range(rows)],
    st.integers(0, 10**15),
    st.integers(1, 10**12),
    st.integers(2, 30),
)


def in_one(numbers):
    return int.from_bytes(array("q", numbers).tobytes(), "little")


@given(st.lists(micros, max_size=6) | even_runs)
def test_even_slots_are_told_from_all_others(opened):
    widths = {after - before for before, after in pairwise(opened)}
    is_even = len(widths) == 1 and min(widths) > 0 and opened[0] >= 0  # slots from before 1970 are left to the walk

    found = _to_openings(array("q", opened), in_one(opened))

    assert isinstance(found, range) == is_even
    assert list(found) == opened


@st.composite
def updates(draw):
    """Sorted openings, and instants that lie near them, far from them, or on the borders of four bytes."""
    opened = sorted(draw(st.sets(st.integers(-(10**6), 10**16), min_size=1, max_size=6)))
    near = st.integers(0, 10**8) | st.sampled_from([2**32 - 1, 2**32, -1, -(10**16)])
    return opened, [
        draw(st.one_of(near.map(lambda after, at=at: at + after), st.just(-(2**63)), micros)) for at in opened
    ]


@given(updates())
@example(([0, 5], [2**32, 5]))
@example(([0, 5], [2**32 - 1, 4]))
def test_updates_are_told_exactly_and_in_four_bytes_where_all_follow_their_openings(drawn):
    opened, updated = drawn
    fit = opened[0] >= 0 and all(0 <= at - begin < 2**32 for begin, at in zip(opened, updated, strict=True))

    found = _to_updates(array("q", opened), in_one(opened), memoryview(array("q", updated)).cast("B"))

    assert found.typecode == ("I" if fit else "q")
    assert [at + begin * fit for begin, at in zip(opened, found, strict=True)] == updated


def test_an_ordinary_block_is_held_in_fewer_bytes_and_written_as_it_was_read():
    rows = [
        Candle(
            venue=KEY.venue,
            symbol=KEY.symbol,
            timeframe=KEY.timeframe,
            opened_at=(opened_at := datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)),
            updated_at=opened_at + timedelta(seconds=59),
            finality=Finality.FINAL,
            sealed_by=SealedBy.REST,
            source="rest",
            **dict.fromkeys(("open", "high", "low", "close", "volume"), Decimal(number)),
        )
        for number in range(1440)
    ]
    block = encode_block(CandleColumns.of(KEY.venue, KEY.symbol, KEY.timeframe, rows))

    found = decode_block(KEY, block)

    assert isinstance(found.opened, range)
    assert (found.updated.typecode, found.mark.typecode) == ("I", "B")
    assert [found.candle(row) for row in range(1440)] == rows
    assert encode_block(found) == block


def test_a_mark_that_is_not_in_the_table_is_damage(pages):
    columns = pages.page(0, 30).columns
    for marks, mark in (((), array("I", [0]) * len(columns)), (columns.marks, array("I", [1]) * len(columns))):
        with pytest.raises(DamagedBytesError, match="a mark that is not in the table"):
            decode_block(KEY, encode_block(evolve(columns, marks=marks, mark=mark)))
