"""WebSocket frames to values: DEFAULT, SIMPLE and the LIST formats. No I/O.

Every data frame is a UTF-8 JSON object, or a list of them; its kind is the value of ``type`` (``ty``).
Control frames (``{"status":"UP"}``, errors, LIST_SUBSCRIPTIONS) carry neither type nor code.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, cast

import msgspec
from attrs import define, frozen

from ...domain.candle import Candle
from ...domain.capabilities import DataKind
from ...domain.errors import IntegrityError, MarketDataError
from ...domain.finality import Finality
from ...domain.orderbook import OrderBook
from ...domain.request import Topic
from ...domain.streaming import LiveValue, Received, Rejected
from ...domain.symbol import Symbol
from ...domain.timeframe import Timeframe
from ...domain.trade import Trade
from ..sanitize import excerpt
from .errors import ErrorDetail
from .fields import Provenance, book_of, prices_of, ticker_of, trade_of
from .frame_types import EXACT, ROUGH, TIMEFRAMES
from .lazy_orderbook import LazySides, can_wait, lazy_book
from .mapping import LAST_MICROS, to_instant, to_slot
from .protocol import stream_type

CHANNEL = "websocket"
MAX_KNOWN = 10_000
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


@define
class FrameOrigin:
    """Where and when a frame came: all frames of one reading have the same origin. Never changed.

    Attributes:
        latest: the latest that the server's time can have been then; None where nothing is known of it.

    """

    venue: str
    source: str = CHANNEL
    life: int = 0
    received_at: float = 0.0
    latest: datetime | None = None


def _candle(fields: Any, known: "_Known", latest: datetime | None) -> Candle:  # noqa: ANN401 - built structs
    opened_at, provenance = to_slot(fields.candle_date_time_utc), known.provenance
    # A slot of the future would be taken for the newest, and every true one after it for old.
    if latest is not None and opened_at > latest:
        raise IntegrityError(f"a candle of a slot that has not begun: {opened_at:%Y-%m-%dT%H:%M:%SZ}")
    return Candle(
        venue=provenance.venue,
        symbol=provenance.symbol,
        timeframe=cast("Timeframe", known.topic.timeframe),
        opened_at=opened_at,
        **prices_of(fields),
        updated_at=to_instant(fields.timestamp),
        source=provenance.source,
        finality=Finality.FORMING,
    )


def _trade(fields: Any, provenance: Provenance) -> Trade:  # noqa: ANN401 - built structs
    if not 0 <= fields.timestamp <= LAST_MICROS:
        to_instant(fields.timestamp)  # refuses it: only the row, since the rest of a frame may be sound
    return trade_of(fields, provenance)


_Read = Callable[[Any, Provenance], LiveValue]
_READERS: dict[str, _Read] = {"ticker": ticker_of, "trade": _trade}


@frozen
class _Known:
    """What frames of one name have in common; ``read`` is None where more than its fields has to be known."""

    topic: Topic
    provenance: Provenance
    read: _Read | None
    is_wanted: bool


_CONTROL = msgspec.json.Decoder(ControlFrame | list[ControlFrame])


class FrameReader:
    """Reads the frames of one format: data, control, or a rejection with the offending text.

    Topics of the same name are the same object, frame after frame: comparing names takes longer than decoding.
    Values of topics that are not wanted are left out.
    """

    def __init__(self, frame_format: str, topics: Iterable[Topic] = ()) -> None:
        """Choose the format that the subscription asked for; frames of ``topics`` carry these very objects.

        Without any, everything is wanted.
        """
        self._format = frame_format
        self._decode_exactly = EXACT[frame_format]
        self._decode = ROUGH.get(frame_format, self._decode_exactly)
        self._topics = {(stream_type(topic), str(topic.symbol)): topic for topic in topics}
        self._known: dict[tuple[type, str], _Known] = {}
        self._origin: FrameOrigin | None = None

    def read(self, body: bytes, origin: FrameOrigin) -> list[Received | ControlFrame | Rejected]:
        """Return what one frame holds; never raises for its content."""
        # By identity: all frames of a reading share one origin, and comparing fields would be paid for each frame.
        if origin is not self._origin:
            self._meet(origin)
        try:
            # Sides of books as floats: 7 us instead of 30, for a book that is mostly replaced unseen.
            decoded = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            try:
                decoded = self._decode_exactly(body)  # figures of a book in quotes, or too large for a float
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                return [_read_control(body, error)]
        # Whether LIST frames ever hold several objects is not known; one or many, they are read alike.
        if isinstance(decoded, list):
            return [item for row in cast("list[Any]", decoded) for item in self._read_data(row, origin, body)]
        return self._read_data(decoded, origin, body)

    def _read_data(self, row: Any, origin: FrameOrigin, body: bytes) -> list[Received | ControlFrame | Rejected]:  # noqa: ANN401 - built structs
        try:
            # The class stands for the type: msgspec has chosen it by the tag already.
            known = self._known.get((row.__class__, row.code)) or self._learn(row, origin)
            read = known.read
            value = read(row, known.provenance) if read is not None else self._read_with(known, row, body, origin)
        except IntegrityError as error:
            return [Rejected(str(error), excerpt(body), _topic_of(_tag_of(row), row.code))]
        except MarketDataError as error:
            return [Rejected(f"not a symbol of this venue: {error}", excerpt(body))]
        if not known.is_wanted:
            return []
        return [Received(known.topic, value, origin.life, row.stream_type == "SNAPSHOT", origin.received_at)]

    def _read_with(self, known: _Known, row: Any, body: bytes, origin: FrameOrigin) -> Candle | OrderBook:  # noqa: ANN401 - built structs
        if known.topic.timeframe is not None:
            return _candle(row, known, origin.latest)
        return self._read_book(row, known.provenance, body)

    def _read_book(self, row: Any, provenance: Provenance, body: bytes) -> OrderBook:  # noqa: ANN401 - built structs
        units = row.orderbook_units
        # Empty, or read exactly: a LIST format, or figures that the rough decoder has refused.
        if not units or not isinstance(units[0].ask_price, float):
            return book_of(row, provenance)
        if can_wait(units, body):
            return lazy_book(row, provenance, LazySides(body, self._format))
        return book_of(self._decode_exactly(body), provenance)

    def _meet(self, origin: FrameOrigin) -> None:
        """Forget what frames from elsewhere had in common."""
        before, self._origin = self._origin, origin
        if before is None or (before.venue, before.source) != (origin.venue, origin.source):
            self._known.clear()

    def _learn(self, row: Any, origin: FrameOrigin) -> _Known:  # noqa: ANN401 - built structs
        tag, code = _tag_of(row), row.code
        wanted = self._topics.get((tag, code))
        topic = wanted or _topic(tag, code)
        is_wanted = wanted is not None or not self._topics
        known = _Known(topic, Provenance(origin.venue, topic.symbol, origin.source), _READERS.get(tag), is_wanted)
        if len(self._known) < MAX_KNOWN:
            self._known[row.__class__, code] = known
        return known


def _tag_of(row: msgspec.Struct) -> str:
    return str(row.__struct_config__.tag)


def _topic(tag: str, code: str) -> Topic:
    return Topic(DataKind.CANDLE, Symbol(code), TIMEFRAMES[tag]) if tag in TIMEFRAMES else Topic(DataKind(tag), code)


def _read_control(body: bytes, data_error: Exception) -> ControlFrame | Rejected:
    try:
        # UP, errors and LIST replies carry neither type nor code, so that no tag tells them.
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
