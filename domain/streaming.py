"""What a live channel delivers; a lost connection is an item of the stream."""

from datetime import datetime

from attrs import define, frozen

from .candle import Candle
from .orderbook import OrderBook
from .request import Topic
from .ticker import Ticker
from .trade import Trade

LiveValue = Candle | Ticker | Trade | OrderBook


def stamp_of(value: LiveValue) -> datetime | None:
    """Return the server time that a value itself tells: it was not sent before; None when it tells none."""
    return value.traded_at if isinstance(value, Trade) else value.updated_at


@frozen
class LifeBegan:
    """A socket is open and its subscription has been sent.

    ``life`` counts up within one stream; values of different lives prove nothing about each other.
    """

    life: int


@define
class Received:
    """One value; not frozen, since that would take longer to make than to decode.

    Attributes:
        is_snapshot: the first answer to the subscription; for candles it may be an old slot.
        received_at: monotonic instant of arrival.

    """

    topic: Topic
    value: LiveValue
    life: int
    is_snapshot: bool
    received_at: float


@frozen
class LifeEnded:
    """The socket is gone; the channel is reconnecting."""

    life: int
    cause: str


@frozen
class Rejected:
    """A malformed frame was dropped, and with it whatever it should have told.

    Attributes:
        reason: what is wrong with it.
        excerpt: its text, cut to a line.
        topic: what it was about; None where it does not even say that.

    """

    reason: str
    excerpt: str
    topic: Topic | None = None


StreamItem = LifeBegan | Received | LifeEnded | Rejected
