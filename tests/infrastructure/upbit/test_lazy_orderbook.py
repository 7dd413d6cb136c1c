"""Books of a stream: judged when they come, the same numbers as if they had been read at once."""

import copy
import json
import pickle
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import DataKind
from market_backbone.domain.orderbook import OrderBook
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import Received, Rejected
from market_backbone.infrastructure.upbit.frames import FrameOrigin, FrameReader

BTC = Topic(DataKind.ORDERBOOK, "KRW-BTC")
HERE = FrameOrigin("upbit-kr")
SHORT = {"type": "ty", "code": "cd", "timestamp": "tms", "stream_type": "st", "orderbook_units": "obu",
         "ask_price": "ap", "bid_price": "bp", "ask_size": "as", "bid_size": "bs", "level": "lv"}  # fmt: skip


def frame(units, *, short=False, **changed):
    """A book's frame; numbers are texts, and stand in it as they are."""
    rows = ",".join(
        "{" + ",".join(f'"{SHORT[name] if short else name}":{text}' for name, text in unit.items()) + "}"
        for unit in units
    )
    fields = {"type": '"orderbook"', "code": '"KRW-BTC"', "timestamp": "1773240059000", "orderbook_units": f"[{rows}]",
              "stream_type": '"REALTIME"', "level": "0", **changed}  # fmt: skip
    return (
        "{" + ",".join(f'"{SHORT[name] if short else name}":{text}' for name, text in fields.items()) + "}"
    ).encode()


def unit(ask="101", bid="100", ask_size="1.5", bid_size="0.25"):
    return {"ask_price": ask, "bid_price": bid, "ask_size": ask_size, "bid_size": bid_size}


def read(body, frame_format="DEFAULT"):
    (item,) = FrameReader(frame_format, [BTC]).read(body, HERE)
    return item


def is_unread(book):
    try:
        object.__getattribute__(book, "bids")
    except AttributeError:
        return True
    return False


numbers = st.decimals(min_value=Decimal("0.00000001"), max_value=Decimal(999999999), places=8)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=30), st.booleans())
def test_a_book_that_is_read_later_is_the_book_that_was_sent(rows, short):
    asks, bids = sorted(row[0] for row in rows), sorted((row[1] for row in rows), reverse=True)
    units = [
        unit(f"{ask:f}", f"{bid:f}", f"{row[2]:f}", f"{row[3]:f}")
        for ask, bid, row in zip(asks, bids, rows, strict=True)
    ]

    item = read(frame(units, short=short), "SIMPLE" if short else "DEFAULT")

    assert isinstance(item, Received)
    assert is_unread(item.value)
    sent = [tuple(Decimal(text) for text in one.values()) for one in units]
    assert [tuple(level) for level in item.value.asks] == [(ask, size) for ask, _, size, _ in sent]
    assert [tuple(level) for level in item.value.bids] == [(bid, size) for _, bid, _, size in sent]
    assert f"{item.value.best_ask.price:f}" == units[0]["ask_price"], "exact to the last zero"
    assert not is_unread(item.value)


@pytest.mark.parametrize("frame_format", ["DEFAULT", "JSON_LIST"])
def test_whether_it_is_read_later_or_at_once_a_book_is_the_same(frame_format):
    body = frame([unit(), unit("102", "0", "3", "0")])

    later, at_once = read(body), read(b"[" + body + b"]" if frame_format == "JSON_LIST" else body, frame_format)

    assert later.value == at_once.value
    assert later.value.bids == ((Decimal(100), Decimal("0.25")),), "a price of 0 is padding"
    assert hash(later.value) == hash(at_once.value)


@pytest.mark.parametrize(
    "units",
    [
        [unit(), unit(ask="100.5")],
        [unit(), unit(bid="100.5", ask="102")],
        [unit(ask="-1")],
        [unit(bid="-1")],
        [unit(ask_size="-0.00000001")],
        [unit(bid_size="-1")],
        [unit(ask="1e999")],
        [unit(ask="1e99999999")],
        [unit(ask_size="1e-99999999")],
        [unit(ask="0." + "0" * 120 + "1")] * 2 + [unit(ask="1" * 20_000)],
    ],
)
def test_a_book_that_no_market_can_show_is_refused_when_it_comes(units):
    item = read(frame(units))

    assert isinstance(item, Rejected)
    assert item.topic == BTC


@pytest.mark.parametrize("level", ["1e99999999", "1e-99999999"])
def test_a_level_that_is_no_figure_is_refused(level):
    assert isinstance(read(frame([unit()], level=level)), Rejected)


@pytest.mark.parametrize(
    "units", [[], [unit(), unit("102", "0", "3", "0")], [unit(ask_size="0")], [unit(bid_size="1e-80")]]
)
def test_a_book_that_floats_cannot_vouch_for_is_read_at_once(units):
    assert is_unread(read(frame(units)).value) is (units[-1:] == [unit(bid_size="1e-80")])


def test_figures_in_quotes_are_read_at_once():
    book = read(frame([unit(ask='"101.10"')])).value

    assert not is_unread(book)
    assert str(book.best_ask.price) == "101.10"


def test_an_unread_book_can_be_copied_pickled_changed_and_printed():
    for change in (copy.copy, copy.deepcopy, lambda book: pickle.loads(pickle.dumps(book)), evolve):  # noqa: S301 - our own
        book = read(frame([unit()])).value

        assert change(book) == read(frame([unit()])).value
    assert "Decimal('101')" in repr(read(frame([unit()])).value)
    assert read(frame([unit()])).value.to_depth(1).asks == read(frame([unit()])).value.asks


def test_what_a_book_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="spread"):
        _ = read(frame([unit()])).value.spread


def test_whether_two_books_say_the_same_is_seen_without_reading_them():
    book = read(frame([unit()])).value
    again = read(frame([unit()], stream_type='"SNAPSHOT"')).value
    other = read(frame([unit(ask="101.5")])).value

    assert book.repeats(again)
    assert not book.repeats(other)
    assert all(is_unread(one) for one in (book, again, other))
    eager = OrderBook(
        **{name: getattr(book, name) for name in ("venue", "symbol", "bids", "asks", "updated_at", "source")}
    )
    assert eager.repeats(again)
    assert not eager.repeats(other)


def test_frames_of_many_books_are_read_at_once():
    body = b"[" + frame([unit()]) + b"," + frame([unit(ask="103")]) + b"]"

    first, second = FrameReader("JSON_LIST", [BTC]).read(body, HERE)

    assert json.loads(body)[1]["orderbook_units"][0]["ask_price"] == int(second.value.best_ask.price)
    assert not is_unread(first.value)
