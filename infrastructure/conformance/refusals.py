"""Promises about questions that have no answer."""

from collections.abc import Awaitable, Callable

from ...domain.capabilities import DataKind
from ...domain.errors import ChannelError, RequestError, UnknownSymbolError, UnsupportedRequestError
from ...domain.timeframe import Timeframe
from .promises import promise, refused
from .targets import ANYTHING, CANDLES, KNOWS_LISTING, ChannelUnderTest, lacks

_MALFORMED = ("", "btc", "KRW_BTC", "KRW-BTC; DROP", "K" * 100)


def questions(under_test: ChannelUnderTest, symbol: str) -> dict[DataKind, Callable[[], Awaitable[object]]]:
    """Return one simple question of each kind."""
    channel = under_test.channel
    return {
        DataKind.CANDLE: lambda: channel.get_candles(symbol, str(under_test.frame), 1),
        DataKind.TICKER: lambda: channel.get_tickers([symbol]),
        DataKind.ORDERBOOK: lambda: channel.get_orderbook(symbol),
        DataKind.TRADE: lambda: channel.get_trades(symbol, 1),
    }


def declared_questions(under_test: ChannelUnderTest, symbol: str) -> dict[DataKind, Callable[[], Awaitable[object]]]:
    """Return one simple question of each kind that the channel answers."""
    able = under_test.channel.capabilities.answers
    return {kind: ask for kind, ask in questions(under_test, symbol).items() if kind in able}


class RefusalPromises:
    """A refusal says whose fault it is."""

    @promise(ANYTHING)
    async def test_r36_unlisted(self, under_test: ChannelUnderTest) -> None:
        """R-36: A symbol that is not listed brings an error of ours, and no data.

        Do: ask for each kind that is declared, of a symbol that the source does not list.
        Pass: each is refused with a `RequestError`, or with a `ChannelError` where the source cannot know.
        """
        for kind, ask in declared_questions(under_test, under_test.stranger).items():
            with refused(f"{kind} of {under_test.stranger}", RequestError, ChannelError):
                await under_test.ask(ask)

    @promise(KNOWS_LISTING)
    async def test_r37_unknown_symbol(self, under_test: ChannelUnderTest) -> None:
        """R-37: A source of candles that knows what it lists refuses other symbols with UnknownSymbolError.

        Do: ask for candles of a symbol that the source does not list.
        Pass: `UnknownSymbolError`.
        """
        with refused(f"candles of {under_test.stranger}", UnknownSymbolError):
            await under_test.ask(questions(under_test, under_test.stranger)[DataKind.CANDLE])

    @promise(ANYTHING)
    async def test_r38_malformed_symbol(self, under_test: ChannelUnderTest) -> None:
        """R-38: A text that is no symbol is refused with a RequestError.

        Do: ask for each kind that is declared, of an empty, a lower-case, a misspelt and a very long text.
        Pass: each is refused.
        """
        for text in _MALFORMED:
            for kind, ask in declared_questions(under_test, text).items():
                with refused(f"{kind} of {text[:20]!r}", RequestError):
                    await under_test.ask(ask)

    @promise(CANDLES)
    async def test_r39_unsupported_timeframe(self, under_test: ChannelUnderTest) -> None:
        """R-39: A timeframe that is not declared is refused with UnsupportedRequestError.

        Do: ask for candles of `7m`, of an empty text, and of each timeframe that is not declared.
        Pass: each is refused.
        """
        channel, declared = under_test.channel, under_test.channel.capabilities.timeframes
        for frame in ("7m", "", *(str(each) for each in Timeframe if each not in declared)):
            with refused(f"candles of {frame!r}", UnsupportedRequestError):
                await under_test.ask(lambda frame=frame: channel.get_candles(under_test.symbol, frame, 1))

    @promise(lacks(*DataKind))
    async def test_r40_undeclared_kinds(self, under_test: ChannelUnderTest) -> None:
        """R-40: A kind of data that is not declared is refused with a RequestError.

        Do: ask for each kind that is not declared.
        Pass: each is refused, and nothing crashes.
        """
        able = under_test.channel.capabilities.answers
        for kind, ask in questions(under_test, under_test.symbol).items():
            if kind not in able:
                with refused(f"{kind}, which is not declared,", RequestError):
                    await under_test.ask(ask)
