"""Values that no market can produce are refused where they are made."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.candle import Candle, CandleData, plain
from market_backbone.domain.errors import IntegrityError, InvalidRangeError
from market_backbone.domain.finality import Finality, Grace, SealedBy, judge_rest_row
from market_backbone.domain.orderbook import BookLevel, OrderBook
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.ticker import PriceChange, Ticker
from market_backbone.domain.timeframe import Timeframe
from market_backbone.domain.trade import TakerSide, Trade

START = datetime(2026, 1, 1, tzinfo=UTC)
BTC = Symbol("KRW-BTC")
CANDLE = Candle(
    venue="upbit-kr",
    symbol=BTC,
    timeframe=Timeframe.M1,
    opened_at=START,
    open=Decimal(2),
    high=Decimal(4),
    low=Decimal(1),
    close=Decimal(3),
    volume=Decimal("1E-8"),
    quote_volume=Decimal("2E+10"),
    source="rest",
    finality=Finality.FINAL,
    sealed_by=SealedBy.REST,
)
TRADE = Trade(
    venue="upbit-kr",
    symbol=BTC,
    sequential_id=17732400590950000,
    price=Decimal(1),
    volume=Decimal(1),
    taker_side=TakerSide.BUY,
    traded_at=START,
    source="rest",
)
BOOK = OrderBook(
    venue="upbit-kr",
    symbol=BTC,
    bids=(BookLevel(Decimal(9), Decimal(1)), BookLevel(Decimal(8), Decimal(2))),
    asks=(BookLevel(Decimal(10), Decimal(1)), BookLevel(Decimal(11), Decimal(0))),
    updated_at=START,
    source="rest",
)
TICKER = Ticker(
    venue="upbit-kr",
    symbol=BTC,
    change=PriceChange.FALL,
    traded_at=START,
    updated_at=START,
    source="rest",
    **{one.name: Decimal(1) for one in attrs.fields(Ticker) if one.type is Decimal},
)
NO_NUMBERS = [Decimal(text) for text in ("NaN", "sNaN", "Infinity", "-Infinity")]


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume", "quote_volume"])
@pytest.mark.parametrize("number", NO_NUMBERS)
def test_every_number_of_a_candle_is_finite(name, number):
    with pytest.raises(IntegrityError, match="every number must be finite"):
        attrs.evolve(CANDLE, **{name: number})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"low": Decimal("2.5")}, "low <= open"),
        ({"high": Decimal("2.5")}, "low <= open"),
        ({"volume": Decimal(-1)}, "must not be negative"),
        ({"quote_volume": Decimal(-1)}, "must not be negative"),
        ({"opened_at": START + timedelta(seconds=1)}, "no 1m slot opens at 2026-01-01T00:00:01Z"),
        ({"sealed_by": None}, "FINAL exactly when"),
        ({"finality": Finality.CLOSED}, "FINAL exactly when"),
    ],
)
def test_a_candle_that_no_market_can_produce_is_refused(changes, fault):
    with pytest.raises(IntegrityError, match=fault):
        attrs.evolve(CANDLE, **changes)


def test_a_candle_needs_an_instant_with_a_zone():
    with pytest.raises(InvalidRangeError, match="naive"):
        attrs.evolve(CANDLE, opened_at=datetime(2026, 1, 1))


def test_a_candle_prints_on_one_line_without_exponents():
    assert repr(CANDLE) == (
        "<Candle KRW-BTC 1m 2026-01-01T00:00:00Z O 2 H 4 L 1 C 3 V 0.00000001 FINAL by rest, rest@upbit-kr>"
    )
    assert (plain(Decimal("2E+10")), plain(None)) == ("20000000000", "-")


def test_a_candle_knows_its_end_its_identity_and_whether_it_is_final():
    assert CandleData is Candle
    assert CANDLE.closed_at == START + timedelta(minutes=1)
    assert CANDLE.identity == ("upbit-kr", BTC, Timeframe.M1, START)
    assert CANDLE.is_final
    assert not attrs.evolve(CANDLE, finality=Finality.CLOSED, sealed_by=None).is_final


def test_two_views_tell_the_same_when_prices_and_volume_agree_and_turnover_nearly_does():
    same = attrs.evolve(CANDLE, source="websocket", quote_volume=Decimal("2.000000001E+10"))

    assert CANDLE.is_same_market_data(same)
    assert CANDLE.is_same_market_data(attrs.evolve(CANDLE, quote_volume=None))
    assert not CANDLE.is_same_market_data(attrs.evolve(CANDLE, quote_volume=Decimal("2.1E+10")))
    assert not CANDLE.is_same_market_data(attrs.evolve(CANDLE, close=Decimal(2)))


@pytest.mark.parametrize("name", ["price", "volume"])
@pytest.mark.parametrize("number", [*NO_NUMBERS, Decimal(0), Decimal(-1)])
def test_a_trade_has_a_positive_price_and_volume(name, number):
    with pytest.raises(IntegrityError, match="must be positive"):
        attrs.evolve(TRADE, **{name: number})


@pytest.mark.parametrize("sequential_id", [-1, 2**63])
def test_the_id_of_a_trade_has_64_bits(sequential_id):
    with pytest.raises(IntegrityError, match="64-bit id"):
        attrs.evolve(TRADE, sequential_id=sequential_id)


def test_a_trade_is_identified_by_venue_symbol_and_id():
    assert TRADE.identity == ("upbit-kr", BTC, 17732400590950000)
    assert not TRADE.is_late


def test_a_book_is_sorted_best_first_on_both_sides():
    with pytest.raises(IntegrityError, match="bids must fall"):
        attrs.evolve(BOOK, bids=BOOK.bids[::-1])
    with pytest.raises(IntegrityError, match="asks must rise"):
        attrs.evolve(BOOK, asks=BOOK.asks[::-1])


@pytest.mark.parametrize("side", ["bids", "asks"])
@pytest.mark.parametrize(("price", "size"), [("0", "1"), ("-1", "1"), ("1", "-1"), ("NaN", "1"), ("1", "Infinity")])
def test_a_level_that_nobody_can_offer_is_refused(side, price, size):
    with pytest.raises(IntegrityError, match="prices must be positive"):
        attrs.evolve(BOOK, **{side: (BookLevel(Decimal(price), Decimal(size)),)})


@given(st.integers(1, 30))
def test_a_book_can_be_cut_to_a_depth_and_knows_its_best_levels(depth):
    cut = BOOK.to_depth(depth)

    assert (cut.bids, cut.asks) == (BOOK.bids[:depth], BOOK.asks[:depth])
    assert (cut.best_bid, cut.best_ask) == (BOOK.bids[0], BOOK.asks[0])


def test_a_side_may_be_empty():
    empty = attrs.evolve(BOOK, bids=(), asks=())

    assert (empty.best_bid, empty.best_ask) == (None, None)


@pytest.mark.parametrize("name", ["price", "signed_change_rate", "volume_24h"])
@pytest.mark.parametrize("number", NO_NUMBERS)
def test_every_figure_of_a_ticker_is_finite(name, number):
    with pytest.raises(IntegrityError, match="impossible ticker"):
        attrs.evolve(TICKER, **{name: number})


def test_a_ticker_has_a_positive_price():
    with pytest.raises(IntegrityError, match="impossible ticker"):
        attrs.evolve(TICKER, price=Decimal(0))


@pytest.mark.parametrize(
    ("read_s", "verdict"),
    [
        (59.9, (Finality.FORMING, None)),
        (60, (Finality.CLOSED, None)),
        (64.9, (Finality.CLOSED, None)),
        (65, (Finality.FINAL, SealedBy.REST)),
    ],
)
def test_a_row_is_as_final_as_its_read_instant_allows(read_s, verdict):
    read_at = START + timedelta(seconds=read_s)

    assert judge_rest_row(START + timedelta(minutes=1), read_at, timedelta(seconds=5)) == verdict


def test_grace_is_five_seconds_unless_a_timeframe_says_otherwise():
    grace = Grace(by_timeframe={Timeframe.S1: timedelta(seconds=9)})

    assert (grace.of(Timeframe.S1), grace.of(Timeframe.D1)) == (timedelta(seconds=9), timedelta(seconds=5))
    assert str(Finality.FORMING) == "FORMING"
    assert Finality.FORMING < Finality.CLOSED < Finality.FINAL
