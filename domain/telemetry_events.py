"""What happened, as small values for those who watch: facts that are over, told once each.

Durations are market seconds unless the name says otherwise.
"""

from attrs import frozen

from .capabilities import DataKind
from .coverage_report import Completeness
from .request import Topic
from .symbol import Symbol
from .timeframe import Timeframe

OK = "ok"
"""The outcome of what succeeded; that of a failure is the name of the error's class."""

STREAM_LOST = "stream-lost"
"""The outcome of a socket that was lost: nobody was refused anything, so there is no error."""

REPORTED = "reported"
"""The outcome of a failure that somebody outside reported."""


@frozen(kw_only=True)
class ChannelTried:
    """A channel answered or failed, or a stream of it showed its first value or was lost.

    Attributes:
        outcome: ``ok``, an error class, ``stream-lost`` or ``reported``.
        latency_s: from the question to its outcome; of a lost stream, how long it had lived.

    """

    channel: str
    outcome: str
    latency_s: float


@frozen(kw_only=True)
class RequestEnded:
    """A request got its answer, or its error.

    Attributes:
        rule: the row of the policy that served it; empty when the request ended before any did.
        outcome: ``ok`` or an error class.
        calls: calls that were sent for it; 0 of a failure.
        waited_s: how long its calls waited for the budget.

    """

    kind: DataKind
    rule: str
    outcome: str
    latency_s: float
    calls: int = 0
    rows: int = 0
    waited_s: float = 0.0


@frozen(kw_only=True)
class BudgetWaited:
    """A call was let go after it had waited for the budget of its group."""

    channel: str
    group: str
    waited_s: float


@frozen(kw_only=True)
class StreamBegan:
    """A socket is open and subscribed; ``is_reconnect`` says that it stands for one that was lost."""

    channel: str
    is_reconnect: bool


@frozen(kw_only=True)
class StreamEnded:
    """A socket that was open is no more, after it had lived for ``lasted_s``; closed, unless it ``is_lost``."""

    channel: str
    lasted_s: float
    is_lost: bool


@frozen(kw_only=True)
class DeliverySwitched:
    """From now on another channel delivers a topic."""

    topic: Topic
    old: str
    new: str


@frozen(kw_only=True)
class CircuitSwitched:
    """A channel is asked no more for a while, or is asked again."""

    channel: str
    is_open: bool


@frozen(kw_only=True)
class SeriesAnswered:
    """A request for candles was answered, and so complete."""

    symbol: Symbol
    timeframe: Timeframe
    completeness: Completeness


@frozen(kw_only=True)
class SeriesFollowed:
    """What became, since somebody follows a series, of its slots that are over."""

    symbol: Symbol
    timeframe: Timeframe
    completeness: Completeness


@frozen(kw_only=True)
class FollowerLost:
    """A follower read so slowly that it was ended with ``SlowConsumerError``."""

    topic: Topic


@frozen(kw_only=True)
class ItemDropped:
    """A malformed item of a channel was dropped."""

    channel: str


@frozen(kw_only=True)
class LoopBlocked:
    """The event loop ran nothing for so many *real* seconds: somebody did not give way."""

    real_s: float


TelemetryEvent = (
    ChannelTried
    | RequestEnded
    | BudgetWaited
    | StreamBegan
    | StreamEnded
    | DeliverySwitched
    | CircuitSwitched
    | SeriesAnswered
    | SeriesFollowed
    | FollowerLost
    | ItemDropped
    | LoopBlocked
)
