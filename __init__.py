"""market-backbone: one channel for Upbit market data.

Ask for candles, tickers, trades or order books; the backbone chooses between REST and WebSocket,
stays inside the rate limits, and returns one series that says what is proven, what is final, and why.
"""

from .application.api import UnifiedMarketDataAPI
from .application.auditing import AuditReport
from .application.downloading import Downloaded, Progress
from .application.policies import CacheOnly, PreferFreshest, RestOnly, SmartRoutingPolicy, WebSocketFirst
from .application.repository import UnifiedMarketDataRepository
from .application.unifier import DataUnifier
from .domain.adapter import AdapterContext
from .domain.candle import Candle, CandleData
from .domain.capabilities import Capabilities, DataKind, HistoryDepth
from .domain.coverage import Coverage, ExplainedRange, Reason
from .domain.coverage_report import CoverageReport
from .domain.errors import (
    AllChannelsFailedError,
    ChannelError,
    ChannelTimeoutError,
    ChannelUnavailableError,
    ClosedError,
    ConfigurationError,
    DeadlineExceededError,
    IntegrityError,
    InvalidRangeError,
    MalformedReplyError,
    MarketDataError,
    PluginError,
    QueueFullError,
    RateLimitedError,
    RequestError,
    SlowConsumerError,
    SymbolDelistedError,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from .domain.events import (
    Backfilled,
    CandleRevised,
    CandleUpdated,
    ChannelSwitched,
    Degraded,
    Gap,
    HistoryLoaded,
    HistoryRewritten,
    ItemRejected,
    MarketEvent,
    OrderBookUpdated,
    Recovered,
    RequestFailed,
    SeamSettled,
    SubscriptionRefused,
    SubscriptionUnanswered,
    TickerUpdated,
    TradeReceived,
)
from .domain.finality import Finality, SealedBy
from .domain.holding import SeriesKey
from .domain.market import Instrument, Market
from .domain.orderbook import BookLevel, OrderBook
from .domain.ports import CandleStore, Channel, LiveChannel, MarketDataRepository, RoutingPolicy
from .domain.request import (
    CandleRequest,
    OrderBookRequest,
    Priority,
    RealtimeRequest,
    TickerRequest,
    TradesRequest,
    create_candle_request,
    create_orderbook_request,
    create_realtime_request,
    create_ticker_request,
    create_trades_request,
)
from .domain.resampling import resample
from .domain.routing import ChannelHealth, ChannelView, CircuitState, RoutePlan, RouteStep
from .domain.seam import Seam, SeamVerdict
from .domain.series import CandleSeries
from .domain.symbol import Symbol
from .domain.ticker import Ticker
from .domain.time_range import TimeRange
from .domain.timeframe import Timeframe
from .domain.trade import TakerSide, Trade
from .infrastructure.startup import create_unified_api

__all__ = [
    "AdapterContext",
    "AllChannelsFailedError",
    "AuditReport",
    "Backfilled",
    "BookLevel",
    "CacheOnly",
    "Candle",
    "CandleData",
    "CandleRequest",
    "CandleRevised",
    "CandleSeries",
    "CandleStore",
    "CandleUpdated",
    "Capabilities",
    "Channel",
    "ChannelError",
    "ChannelHealth",
    "ChannelSwitched",
    "ChannelTimeoutError",
    "ChannelUnavailableError",
    "ChannelView",
    "CircuitState",
    "ClosedError",
    "ConfigurationError",
    "Coverage",
    "CoverageReport",
    "DataKind",
    "DataUnifier",
    "DeadlineExceededError",
    "Degraded",
    "Downloaded",
    "ExplainedRange",
    "Finality",
    "Gap",
    "HistoryDepth",
    "HistoryLoaded",
    "HistoryRewritten",
    "Instrument",
    "IntegrityError",
    "InvalidRangeError",
    "ItemRejected",
    "LiveChannel",
    "MalformedReplyError",
    "Market",
    "MarketDataError",
    "MarketDataRepository",
    "MarketEvent",
    "OrderBook",
    "OrderBookRequest",
    "OrderBookUpdated",
    "PluginError",
    "PreferFreshest",
    "Priority",
    "Progress",
    "QueueFullError",
    "RateLimitedError",
    "RealtimeRequest",
    "Reason",
    "Recovered",
    "RequestError",
    "RequestFailed",
    "RestOnly",
    "RoutePlan",
    "RouteStep",
    "RoutingPolicy",
    "SealedBy",
    "Seam",
    "SeamSettled",
    "SeamVerdict",
    "SeriesKey",
    "SlowConsumerError",
    "SmartRoutingPolicy",
    "SubscriptionRefused",
    "SubscriptionUnanswered",
    "Symbol",
    "SymbolDelistedError",
    "TakerSide",
    "Ticker",
    "TickerRequest",
    "TickerUpdated",
    "TimeRange",
    "Timeframe",
    "Trade",
    "TradeReceived",
    "TradesRequest",
    "UnifiedMarketDataAPI",
    "UnifiedMarketDataRepository",
    "UnknownSymbolError",
    "UnsupportedRequestError",
    "WebSocketFirst",
    "create_candle_request",
    "create_orderbook_request",
    "create_realtime_request",
    "create_ticker_request",
    "create_trades_request",
    "create_unified_api",
    "resample",
]
