"""What a channel declares that it can do; the router never calls what is not declared."""

from enum import StrEnum

from attrs import frozen

from .timeframe import Timeframe


class DataKind(StrEnum):
    """The four kinds of market data."""

    CANDLE = "candle"
    TICKER = "ticker"
    TRADE = "trade"
    ORDERBOOK = "orderbook"


class HistoryDepth(StrEnum):
    """How far back a channel's candles reach."""

    FULL = "full"
    """Back to the listing (seconds: as far as the venue keeps them)."""
    TIP = "tip"
    """The newest candle only."""
    NONE = "none"


@frozen(kw_only=True)
class Capabilities:
    """What one channel can answer and follow.

    Attributes:
        answers: kinds that a single request can be answered with.
        follows: kinds that can be followed live.
        timeframes: timeframes of the candles it answers with.
        live_timeframes: timeframes of the candles that can be followed.
        history: how far back its candles reach.
        candles_per_call: the largest page.
        trades_per_call: the most trades that one call returns.
        rows_are_final: its rows never change (files, archives).
        calls_per_s: how many calls a second the venue allows; above 0, pages may be asked for before their
            turn, as many as are on their way at that rate. Such a channel tells the current call context
            (``domain.call_context``) of each call as it is sent, so that one which still waits can be taken back.
        calls_are_free: a call takes nothing from the venue's budget.
        answers_from_store: it knows only what was asked for before, and is never newer than that.
        references: the venue's busiest markets; when all of them are silent at once, the venue was.
        canary: the venue's busiest market, whose silence on a stream is worth a question; empty for none.
        venue_prefix: how the symbols begin that it serves: ``binance`` for ``binance:BTC/USDT``, and "" for the
            plain symbols of the backbone's own venue (``KRW-BTC``). No question crosses from one to another.

    """

    answers: frozenset[DataKind] = frozenset()
    follows: frozenset[DataKind] = frozenset()
    timeframes: frozenset[Timeframe] = frozenset()
    live_timeframes: frozenset[Timeframe] = frozenset()
    history: HistoryDepth = HistoryDepth.NONE
    candles_per_call: int = 0
    trades_per_call: int = 0
    rows_are_final: bool = False
    calls_per_s: float = 0.0
    calls_are_free: bool = False
    answers_from_store: bool = False
    references: tuple[str, ...] = ()
    canary: str = ""
    venue_prefix: str = ""

    def can_follow(self, kind: DataKind, timeframe: Timeframe) -> bool:
        """Return whether this kind (and, for candles, this timeframe) has a live stream."""
        return kind in self.follows and (kind is not DataKind.CANDLE or timeframe in self.live_timeframes)

    def can_answer_candles(self, timeframe: Timeframe, history: HistoryDepth) -> bool:
        """Return whether candles of this timeframe and depth can be asked for."""
        deep_enough = self.history is history or self.history is HistoryDepth.FULL
        return DataKind.CANDLE in self.answers and timeframe in self.timeframes and deep_enough
