"""WebSocket frames to values: DEFAULT, SIMPLE and the LIST formats. No I/O.

Every data frame is a UTF-8 JSON object, or a list of them; its kind is the value of ``type`` (``ty``).
Control frames (``{"status":"UP"}``, errors, LIST_SUBSCRIPTIONS) carry neither type nor code.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec
from attrs import frozen

from ...domain.candle import Candle
from ...domain.capabilities import DataKind
from ...domain.errors import IntegrityError, MarketDataError
from ...domain.finality import Finality
from ...domain.orderbook import OrderBook
from ...domain.request import Topic
from ...domain.streaming import LiveValue, Received, Rejected
from ...domain.symbol import Symbol
from ...domain.ticker import Ticker
from ...domain.timeframe import Timeframe
from ...domain.trade import Trade
from ..printable import excerpt
from .failures import ErrorDetail
from .frame_types import EXACT, ROUGH, TIMEFRAMES
from .protocol import stream_type
from .rows import Provenance, book_of, prices_of, ticker_of, trade_of
from .unread_books import UnreadSides, can_wait, unread_book
from .values import check_stamp, to_instant, to_slot

CHANNEL = "websocket"
MOST_KNOWN = 10_000
"""Names that are remembered; Upbit has some 700 codes, and a server that makes up more costs no memory."""


class ControlFrame(msgspec.Struct):
    """A frame that carries no market data."""

    status: str | None = None
    error: ErrorDetail | None = None
    method: str | None = None
    mthd: str | None = None

    @property
    def is_recognised(self) -> bool:
        """Whether this is one of the control frames that Upbit documents."""
        return any((self.status, self.error, self.method, self.mthd))


@frozen
class FrameOrigin:
    """Where and when a frame came: all frames of one reading have the same origin."""

    venue: str
    source: str = CHANNEL
    life: int = 0
    received_at: float = 0.0


def _ticker(fields: Any, provenance: Provenance, _: Topic) -> Ticker:  # noqa: ANN401 - built structs
    return ticker_of(fields, provenance)


def _trade(fields: Any, provenance: Provenance, _: Topic) -> Trade:  # noqa: ANN401 - built structs
    check_stamp(fields.timestamp)
    return trade_of(fields, fields.trade_timestamp, provenance)


def _candle(fields: Any, provenance: Provenance, topic: Topic) -> Candle:  # noqa: ANN401 - built structs
    return Candle(
        venue=provenance.venue,
        symbol=provenance.symbol,
        timeframe=cast("Timeframe", topic.timeframe),
        opened_at=to_slot(fields.candle_date_time_utc),
        **prices_of(fields),
        updated_at=to_instant(fields.timestamp),
        source=provenance.source,
        finality=Finality.FORMING,
    )


_Read = Callable[[Any, Provenance, Topic], LiveValue]
_READERS: dict[str, _Read] = {
    "ticker": _ticker,
    "trade": _trade,
    **dict.fromkeys(TIMEFRAMES, _candle),
}


@frozen
class _Known:
    """What frames of one name have in common."""

    topic: Topic
    provenance: Provenance
    read: _Read | None


_CONTROL = msgspec.json.Decoder(ControlFrame | list[ControlFrame])


class FrameReader:
    """Reads the frames of one format: data, control, or a rejection with the offending text.

    Topics of the same name are the same object, frame after frame: comparing names takes longer than decoding.
    """

    def __init__(self, frame_format: str, topics: Iterable[Topic] = ()) -> None:
        """Choose the format that the subscription asked for; frames of ``topics`` carry these very objects."""
        self._format = frame_format
        self._decode_exactly = EXACT[frame_format]
        self._decode = ROUGH.get(frame_format, self._decode_exactly)
        self._topics = {(stream_type(topic), str(topic.symbol)): topic for topic in topics}
        self._known: dict[tuple[str, str], _Known] = {}
        self._origin: FrameOrigin | None = None

    def read(self, frame: bytes | str, origin: FrameOrigin) -> list[Received | ControlFrame | Rejected]:
        """Return what one frame holds; never raises for its content."""
        body = frame.encode(errors="replace") if isinstance(frame, str) else frame
        if origin is not self._origin:
            self._meet(origin)
        try:
            decoded = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            try:
                decoded = self._decode_exactly(body)  # figures of a book in quotes, or too large for a float
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                return [_read_control(body, error)]
        if isinstance(decoded, list):
            return [self._read_data(row, origin, body) for row in cast("list[Any]", decoded)]
        return [self._read_data(decoded, origin, body)]

    def _read_data(self, row: Any, origin: FrameOrigin, body: bytes) -> Received | Rejected:  # noqa: ANN401 - built structs
        tag: str = row.__struct_config__.tag
        try:
            known = self._known.get((tag, row.code)) or self._learn(tag, row.code, origin)
            topic, provenance = known.topic, known.provenance
            value = known.read(row, provenance, topic) if known.read else self._read_book(row, provenance, body)
        except IntegrityError as error:
            return Rejected(str(error), excerpt(body), _topic_of(tag, row.code))
        except MarketDataError as error:
            return Rejected(f"not a symbol of this venue: {error}", excerpt(body))
        is_snapshot = row.stream_type == "SNAPSHOT"
        return Received(topic, value, origin.life, is_snapshot, origin.received_at)

    def _read_book(self, row: Any, provenance: Provenance, body: bytes) -> OrderBook:  # noqa: ANN401 - built structs
        units = row.orderbook_units
        if not units or not isinstance(units[0].ask_price, float):
            return book_of(row, provenance)
        if can_wait(units, body):
            return unread_book(row, provenance, UnreadSides(body, self._format))
        return book_of(self._decode_exactly(body), provenance)

    def _meet(self, origin: FrameOrigin) -> None:
        """Forget what frames from elsewhere had in common."""
        before, self._origin = self._origin, origin
        if before is None or (before.venue, before.source) != (origin.venue, origin.source):
            self._known.clear()

    def _learn(self, tag: str, code: str, origin: FrameOrigin) -> _Known:
        topic = self._topics.get((tag, code)) or _topic(tag, code)
        known = _Known(topic, Provenance(origin.venue, topic.symbol, origin.source), _READERS.get(tag))
        if len(self._known) < MOST_KNOWN:
            self._known[tag, code] = known
        return known


def _topic(tag: str, code: str) -> Topic:
    return Topic(DataKind.CANDLE, Symbol(code), TIMEFRAMES[tag]) if tag in TIMEFRAMES else Topic(DataKind(tag), code)


def _read_control(body: bytes, data_error: Exception) -> ControlFrame | Rejected:
    try:
        found = _CONTROL.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Rejected(f"not a frame: {data_error}", excerpt(body), _named_topic(body))
    frame: object = next(iter(cast("list[object]", found)), None) if isinstance(found, list) else found
    if isinstance(frame, ControlFrame) and frame.is_recognised:
        return frame
    return Rejected(f"not a frame: {data_error}", excerpt(body), _named_topic(body))


class _Named(msgspec.Struct):
    """What a frame says of its topic, in either spelling."""

    type: str = ""
    code: str = ""
    ty: str = ""
    cd: str = ""


_NAMED = msgspec.json.Decoder(_Named)


def _named_topic(body: bytes) -> Topic | None:
    """Return the topic of a frame whose values cannot be read; None where its name cannot either."""
    try:
        named = _NAMED.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _topic_of(named.type or named.ty, named.code or named.cd)


def _topic_of(tag: str, code: str) -> Topic | None:
    try:
        return _topic(tag, code)
    except (MarketDataError, ValueError):
        return None
