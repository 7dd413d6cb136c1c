import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.errors import UnknownSymbolError
from market_backbone.domain.symbol import Symbol, nearest_symbols

parts = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=10)


@given(parts, parts)
def test_a_symbol_is_its_text_and_knows_quote_and_base(quote, base):
    symbol = Symbol(f"{quote}-{base}")

    assert symbol == f"{quote}-{base}"
    assert hash(symbol) == hash(str(symbol))
    assert (symbol.quote, symbol.base, symbol.venue_name) == (quote, base, None)
    assert Symbol(symbol) is symbol
    assert pickle.loads(pickle.dumps(symbol)) == symbol  # noqa: S301 - made here


@pytest.mark.parametrize(
    ("text", "venue", "base", "quote"),
    [("binance:BTC/USDT", "binance", "BTC", "USDT"), ("bybit:BTC/USDT:USDT", "bybit", "BTC", "USDT")],
)
def test_a_symbol_of_another_venue_names_it(text, venue, base, quote):
    symbol = Symbol(text)

    assert (symbol.venue_name, symbol.base, symbol.quote) == (venue, base, quote)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("krw-btc", "KRW-BTC"), (" KRW-BTC ", "KRW-BTC"), ("KRW_BTC", "KRW-BTC"), ("btc/krw", "KRW-BTC")],
)
def test_a_misspelt_symbol_is_answered_with_the_spelling_that_was_meant(text, hint):
    with pytest.raises(UnknownSymbolError, match=f"did you mean '{hint}'"):
        Symbol(text)


@given(st.one_of(st.text(), st.none(), st.integers(), st.binary()))
def test_anything_is_either_a_symbol_or_refused_with_help(text):
    try:
        assert Symbol(text) == text
    except UnknownSymbolError as error:
        assert "is not a symbol; expected QUOTE-BASE in upper case" in str(error)  # noqa: PT017 - both ways are right


@pytest.mark.parametrize("text", ["KRW-BTC\n", "KRW-", "-BTC", "KRW-BTC-X", "KRW-" + "B" * 100, "a/b/c"])
def test_what_only_resembles_a_symbol_is_refused(text):
    with pytest.raises(UnknownSymbolError):
        Symbol(text)


def test_the_nearest_symbols_come_first_when_quote_and_base_were_swapped():
    known = ["KRW-BTC", "KRW-BTT", "BTC-ETH"]

    assert nearest_symbols("BTC-KRW", known)[0] == "KRW-BTC"
    assert nearest_symbols("KRW-BTX", known) == ("KRW-BTT", "KRW-BTC")
    assert nearest_symbols("ZZZ-QQQ", known) == ()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("binance:btc/usdt", "did you mean 'binance:BTC/USDT'"),
        ("binance:BTC-USDT", "did you mean 'binance:BTC/USDT'"),
        ("BINANCE:BTC_USDT", "did you mean 'binance:BTC/USDT'"),
        ("binance:", "BASE/QUOTE such as 'binance:BTC/USDT'"),
    ],
)
def test_after_the_name_of_a_venue_its_own_spelling_is_told(text, hint):
    with pytest.raises(UnknownSymbolError, match=hint):
        Symbol(text)
