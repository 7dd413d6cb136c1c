"""market-backbone: one channel for Upbit market data.

Ask for candles, tickers, trades or order books; the backbone chooses between REST and WebSocket,
stays inside the rate limits, and returns one series that says what is proven, what is final, and why.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .domain.adapter import AdapterContext
from .domain.candle import Candle, CandleData
from .domain.capabilities import Capabilities, DataKind, HistoryDepth
from .domain.coverage import Coverage, ExplainedRange, Reason
from .domain.coverage_report import Completeness, CoverageReport
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
from .domain.ledger import SeriesKey
from .domain.market import Instrument, Market
from .domain.orderbook import BookLevel, OrderBook
from .domain.ports import (
    BudgetedChannel,
    CandleStore,
    Channel,
    LiveChannel,
    MarketDataRepository,
    Observer,
    RoutingPolicy,
)
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
from .domain.routing import ChannelHealth, ChannelView, CircuitState, Grade, RoutePlan, RouteStep, Seam, SeamVerdict
from .domain.series import CandleSeries
from .domain.status import Headroom, Status, StreamStatus
from .domain.symbol import Symbol
from .domain.telemetry_events import (
    BudgetWaited,
    ChannelTried,
    CircuitSwitched,
    DeliverySwitched,
    FollowerLost,
    ItemDropped,
    LoopBlocked,
    RequestEnded,
    SeriesAnswered,
    SeriesFollowed,
    StreamBegan,
    StreamEnded,
    TelemetryEvent,
)
from .domain.ticker import Ticker
from .domain.time_range import TimeRange
from .domain.timeframe import Timeframe
from .domain.trade import TakerSide, Trade
from .infrastructure.bootstrap import create_unified_api

if TYPE_CHECKING:
    __version__: str
    from .application.api import UnifiedMarketDataAPI
    from .application.archive.audit import AuditReport
    from .application.archive.series_download import DownloadResult, Progress
    from .application.repository import UnifiedMarketDataRepository
    from .application.routing.policies import CacheOnly, PreferFreshest, RestOnly, SmartRoutingPolicy, WebSocketFirst
    from .domain.unifier import DataUnifier

_APPLICATION = {
    "AuditReport": "application.archive.audit",
    "CacheOnly": "application.routing.policies",
    "DataUnifier": "domain.unifier",
    "DownloadResult": "application.archive.series_download",
    "PreferFreshest": "application.routing.policies",
    "Progress": "application.archive.series_download",
    "RestOnly": "application.routing.policies",
    "SmartRoutingPolicy": "application.routing.policies",
    "UnifiedMarketDataAPI": "application.api",
    "UnifiedMarketDataRepository": "application.repository",
    "WebSocketFirst": "application.routing.policies",
}
"""Names whose modules are imported at first use: with asyncio, two thirds of the time of the import."""

__all__ = [
    "AdapterContext",
    "AllChannelsFailedError",
    "AuditReport",
    "Backfilled",
    "BookLevel",
    "BudgetWaited",
    "BudgetedChannel",
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
    "ChannelTried",
    "ChannelUnavailableError",
    "ChannelView",
    "CircuitState",
    "CircuitSwitched",
    "ClosedError",
    "Completeness",
    "ConfigurationError",
    "Coverage",
    "CoverageReport",
    "DataKind",
    "DataUnifier",
    "DeadlineExceededError",
    "Degraded",
    "DeliverySwitched",
    "DownloadResult",
    "ExplainedRange",
    "Finality",
    "FollowerLost",
    "Gap",
    "Grade",
    "Headroom",
    "HistoryDepth",
    "HistoryLoaded",
    "HistoryRewritten",
    "Instrument",
    "IntegrityError",
    "InvalidRangeError",
    "ItemDropped",
    "ItemRejected",
    "LiveChannel",
    "LoopBlocked",
    "MalformedReplyError",
    "Market",
    "MarketDataError",
    "MarketDataRepository",
    "MarketEvent",
    "Observer",
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
    "RequestEnded",
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
    "SeriesAnswered",
    "SeriesFollowed",
    "SeriesKey",
    "SlowConsumerError",
    "SmartRoutingPolicy",
    "Status",
    "StreamBegan",
    "StreamEnded",
    "StreamStatus",
    "SubscriptionRefused",
    "SubscriptionUnanswered",
    "Symbol",
    "SymbolDelistedError",
    "TakerSide",
    "TelemetryEvent",
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


def __getattr__(name: str) -> Any:  # noqa: ANN401 - classes and functions alike
    """Import a name of the application; after that it is found without coming here."""
    if name == "__version__":
        return import_module("importlib.metadata").version("market-backbone")  # 11 ms, for whoever asks
    if name not in _APPLICATION:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_APPLICATION[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what is there, imported or not."""
    return sorted({*globals(), *_APPLICATION})
