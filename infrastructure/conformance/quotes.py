"""Promises about trades, tickers and books."""

from itertools import pairwise

from ...domain.errors import RequestError
from ...domain.trade import TakerSide
from .promises import promise, refused, require, require_equal, require_is_a
from .rows import are_exact, is_utc
from .targets import BOOKS, SECOND_SYMBOL, TICKERS, TRADES, ChannelUnderTest

_DEEPEST = 30


class QuotePromises:
    """What is true of the newest values."""

    @promise(TRADES)
    async def test_r29_trades_in_order(self, under_test: ChannelUnderTest) -> None:
        """R-29: Trades come sorted by (traded_at, sequential_id), each once, and no more than asked for.

        Do: ask for one trade, and for as many as a call gives (at most 50).
        Pass: each comes after the one before it in that order, no id twice, at least one and at most the number.
        """
        channel = under_test.channel
        for count in {1, min(channel.capabilities.trades_per_call, 50)}:
            trades = await under_test.ask(lambda count=count: channel.get_trades(under_test.symbol, count))
            require(1 <= len(trades) <= count, f"{len(trades)} trades came, {count} were asked for")
            places = [(trade.traded_at, trade.sequential_id) for trade in trades]
            require(all(a < b for a, b in pairwise(places)), f"trades out of order, or twice: {places}")
            require_equal(len({trade.sequential_id for trade in trades}), len(trades), "different trades")

    @promise(TRADES)
    async def test_r30_trades_are_exact(self, under_test: ChannelUnderTest) -> None:
        """R-30: A trade tells its market, an exact price and volume, an aware UTC instant and the taker's side.

        Do: ask for trades.
        Pass: so does each.
        """
        channel = under_test.channel
        count = min(channel.capabilities.trades_per_call, 50)
        for trade in await under_test.ask(lambda: channel.get_trades(under_test.symbol, count)):
            require_equal((trade.symbol, trade.venue), (under_test.symbol, channel.venue), "the trade's market")
            positive = are_exact(trade.price, trade.volume) and trade.price > 0 and trade.volume > 0
            require(positive, f"price and volume must be exact and above 0: {trade!r}")
            require(is_utc(trade.traded_at), f"traded_at must be an aware UTC instant: {trade!r}")
            require_is_a(trade.taker_side, TakerSide, f"taker_side must be a TakerSide: {trade!r}")

    @promise(TICKERS)
    async def test_r31_ticker(self, under_test: ChannelUnderTest) -> None:
        """R-31: A ticker tells its market, exact numbers and aware UTC instants.

        Do: ask for the ticker of the symbol, alone and in a list of one.
        Pass: both are of the symbol, with `Decimal` figures and a price above 0.
        """
        channel, symbol = under_test.channel, under_test.symbol
        alone = await under_test.ask(lambda: channel.get_ticker(symbol))
        listed = await under_test.ask(lambda: channel.get_tickers([symbol]))
        require_equal(len(listed), 1, "tickers that came for one symbol")
        for ticker in (alone, listed[0]):
            require_equal((ticker.symbol, ticker.venue), (symbol, channel.venue), "the ticker's market")
            figures = (ticker.price, ticker.open, ticker.high, ticker.low, ticker.volume, ticker.volume_24h)
            require(are_exact(*figures) and ticker.price > 0, f"figures must be exact, the price above 0: {ticker!r}")
            are_instants = is_utc(ticker.traded_at) and is_utc(ticker.updated_at)
            require(are_instants, f"instants must be aware and in UTC: {ticker!r}")

    @promise(TICKERS, SECOND_SYMBOL)
    async def test_r32_tickers_in_the_order_asked(self, under_test: ChannelUnderTest) -> None:
        """R-32: Tickers come in the order in which they were asked for.

        Do: ask for two symbols in one order, and in the other.
        Pass: so come the answers.
        """
        channel, asked = under_test.channel, [under_test.symbol, under_test.second_symbol]
        for symbols in (asked, asked[::-1]):
            tickers = await under_test.ask(lambda symbols=symbols: channel.get_tickers(symbols))
            require_equal([str(ticker.symbol) for ticker in tickers], symbols, "the order of the tickers")

    @promise(BOOKS)
    async def test_r33_book_best_first(self, under_test: ChannelUnderTest) -> None:
        """R-33: Both sides of a book come best first, with exact prices above 0 and sizes not below 0.

        Do: ask for the book.
        Pass: bids fall and asks rise; it is of the symbol, and `updated_at` is an aware UTC instant.
        """
        channel = under_test.channel
        book = await under_test.ask(lambda: channel.get_orderbook(under_test.symbol))
        require_equal((book.symbol, book.venue), (under_test.symbol, channel.venue), "the book's market")
        require(is_utc(book.updated_at), f"updated_at must be an aware UTC instant, got {book.updated_at!r}")
        for level in (*book.bids, *book.asks):
            require(are_exact(level.price, level.size) and level.is_possible, f"no market can show {level!r}")
        require(all(a.price > b.price for a, b in pairwise(book.bids)), f"bids must fall: {book.bids}")
        require(all(a.price < b.price for a, b in pairwise(book.asks)), f"asks must rise: {book.asks}")

    @promise(BOOKS)
    async def test_r34_book_not_crossed(self, under_test: ChannelUnderTest) -> None:
        """R-34: A book is not crossed.

        Do: ask for the book.
        Pass: the best bid lies below the best ask; a side may be empty.
        """
        book = await under_test.ask(lambda: under_test.channel.get_orderbook(under_test.symbol))
        bid, ask = book.best_bid, book.best_ask
        require(bid is None or ask is None or bid.price < ask.price, f"{bid!r} crosses {ask!r}")

    @promise(BOOKS)
    async def test_r35_book_depth(self, under_test: ChannelUnderTest) -> None:
        """R-35: A side of a book holds at most as many levels as were asked for.

        Do: ask for depths of 1, 5 and 30, and for 0 and 31.
        Pass: no side is longer; the last two are refused with a `RequestError`.
        """
        channel, symbol = under_test.channel, under_test.symbol
        for depth in (1, 5, _DEEPEST):
            book = await under_test.ask(lambda depth=depth: channel.get_orderbook(symbol, depth))
            longest = max(len(book.bids), len(book.asks))
            require(longest <= depth, f"{longest} levels came, {depth} were asked for")
        for depth in (0, _DEEPEST + 1):
            with refused(f"a depth of {depth}", RequestError):
                await under_test.ask(lambda depth=depth: channel.get_orderbook(symbol, depth))
