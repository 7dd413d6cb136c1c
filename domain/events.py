"""What a live stream yields. Reconnects, gaps and repairs are events, not log lines."""

from datetime import datetime

from attrs import frozen

from .candle import Candle
from .coverage import Reason
from .errors import MarketDataError
from .orderbook import OrderBook
from .request import Topic
from .routing import Seam
from .series import CandleSeries
from .symbol import Symbol
from .ticker import Ticker
from .time_range import TimeRange
from .timeframe import Timeframe
from .trade import Trade


@frozen
class HistoryLoaded:
    """The first item of every candle stream: the candles before it went live."""

    series: CandleSeries


@frozen
class CandleUpdated:
    """A newer view of a candle; ``candle.finality`` says how sure it is."""

    candle: Candle


@frozen
class Backfilled:
    """A FINAL candle that arrives after newer ones, because it could not be had earlier."""

    candle: Candle


@frozen
class CandleRevised:
    """The venue changed a candle that was FINAL."""

    old: Candle
    new: Candle

    @property
    def candle(self) -> Candle:
        """The candle as it is now."""
        return self.new


@frozen
class TickerUpdated:
    """The newest ticker."""

    ticker: Ticker


@frozen
class TradeReceived:
    """One trade, delivered exactly once per follower."""

    trade: Trade


@frozen
class OrderBookUpdated:
    """The newest order book."""

    orderbook: OrderBook


@frozen
class Gap:
    """A range that could not be had; live goes on."""

    range: TimeRange
    reason: Reason


@frozen
class SeamSettled:
    """What became of a joint between two sources."""

    seam: Seam


@frozen
class HistoryRewritten:
    """The venue changed more of its past than single candles; what was held was set aside and is read anew.

    Attributes:
        noticed_at: opening of the newest slot that was seen to differ.

    """

    symbol: Symbol
    timeframe: Timeframe
    noticed_at: datetime
    detail: str


@frozen
class ChannelSwitched:
    """From now on another channel delivers; ``reason`` says why."""

    old: str
    new: str
    reason: str


@frozen
class Degraded:
    """The stream goes on, but its data may be this old."""

    channel: str
    staleness_s: float
    reason: str


@frozen
class Recovered:
    """The stream is as fresh as it should be again."""

    channel: str


@frozen
class SubscriptionUnanswered:
    """A stream carries this topic and has shown nothing of it, while it shows others: the code is probably unknown.

    What another channel knows of it goes on; the stream is listened to, and told again once it speaks.
    """

    topic: Topic
    waited_s: float
    reason: str


@frozen
class SubscriptionRefused:
    """The venue refuses to stream this topic; another channel serves it, if one can."""

    topic: Topic
    error: MarketDataError


@frozen
class ItemRejected:
    """A malformed item was dropped; ``excerpt`` is its text, cut to a line."""

    channel: str
    reason: str
    excerpt: str


@frozen
class RequestFailed:
    """What the callback of ``request_data`` receives when its request ends with an error."""

    request_id: str
    error: Exception


CandleEvent = CandleUpdated | Backfilled | CandleRevised
MarketEvent = (
    HistoryLoaded
    | CandleEvent
    | TickerUpdated
    | TradeReceived
    | OrderBookUpdated
    | Gap
    | SeamSettled
    | HistoryRewritten
    | ChannelSwitched
    | Degraded
    | Recovered
    | SubscriptionUnanswered
    | SubscriptionRefused
    | ItemRejected
)
