"""One exchange of ccxt: what it can do, its markets, and its clock as its replies prove it."""

import math
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from attrs import define, field

from market_backbone import (
    AdapterContext,
    ChannelUnavailableError,
    ClosedError,
    Market,
    Symbol,
    Timeframe,
    UnknownSymbolError,
)
from market_backbone.domain.ports import ServerTime
from market_backbone.domain.symbol import nearest_symbols

from .failures import translated
from .options import CcxtOptions
from .values import Origin

Answer = TypeVar("Answer")
RELIST_AFTER_S = 60.0
USUAL_PAGE = 100
_sent: ContextVar[float] = ContextVar("sent")


@define(eq=False)
class CcxtExchange:
    """A ccxt object, asked through one door.

    Attributes:
        raw: ccxt's own object; it keeps its rate limit itself (``enableRateLimit``).
        make: makes another one like it, for a stream.

    """

    name: str
    options: CcxtOptions
    context: AdapterContext
    make: Callable[[], Any]
    raw: Any = field(init=False)
    _listed_at: float = -math.inf
    _is_closed: bool = False

    def __attrs_post_init__(self) -> None:
        """Make the object; nothing is asked yet."""
        self.raw = self.make()
        answer = self.raw.on_rest_response

        def noting(code: Any, reason: Any, url: Any, method: Any, headers: Mapping[str, str], *rest: Any) -> Any:
            self._note_date(headers)
            return answer(code, reason, url, method, headers, *rest)

        self.raw.on_rest_response = noting

    @classmethod
    def of(cls, options: CcxtOptions, context: AdapterContext, package: str) -> Self:
        """Return an exchange of one of ccxt's packages: ``ccxt.async_support`` or ``ccxt.pro``."""
        usual = getattr(import_module("ccxt.async_support"), options.exchange)
        maker = getattr(import_module(package), options.exchange, usual)  # not every exchange has streams

        def make() -> Any:
            made = maker({"enableRateLimit": True})
            if options.url:
                made.urls["api"] = _moved(made.urls["api"], options.url)
            if options.url.startswith("http:"):
                made.timeout_on_exit = 0  # ccxt waits 250 ms for TLS to say good-bye
            return made

        return cls(context.name, options, context, make)

    @property
    def server_time(self) -> ServerTime:
        """The exchange's clock, as far as its replies prove it."""
        return self.context.server_time_of(self.options.exchange)

    @property
    def timeframes(self) -> frozenset[Timeframe]:
        """The timeframes that both sides know by the same name."""
        return frozenset(frame for frame in Timeframe if str(frame) in (self.raw.timeframes or {}))

    @property
    def candles_per_call(self) -> int:
        """The largest page: what the options say, or what ccxt knows."""
        known = self.raw.features or {}
        limit = ((known.get("spot") or {}).get("fetchOHLCV") or {}).get("limit")
        return self.options.candles_per_call or limit or USUAL_PAGE

    def can(self, what: str) -> bool:
        """Return whether ccxt declares a method for this exchange, and does not merely imitate it."""
        return self.raw.has.get(what) is True

    def origin(self, symbol: Symbol) -> Origin:
        """Return where values of a symbol come from."""
        return Origin(self.options.venue, symbol, self.name)

    async def ask(self, call: Callable[[], Awaitable[Answer]]) -> tuple[Answer, datetime]:
        """Return an answer and the earliest time, by the exchange's clock, at which it can have been read.

        Raises:
            RequestError: the exchange refuses the question.
            ChannelError: it failed.

        """
        self.check_open()
        sent = self.context.clock.monotonic()  # before ccxt's own waiting, hence not later than the sending
        token = _sent.set(sent)
        try:
            with translated(self.name):
                answer = await call()
        finally:
            _sent.reset(token)
        read_at = self.server_time.earliest(sent)
        if read_at is None:
            told = "no reply carried a Date, so nothing says when it was read"
            raise ChannelUnavailableError(told, channel=self.name)
        return answer, read_at

    def _note_date(self, headers: Mapping[str, str]) -> None:
        """Learn from a reply of the present call; those of others are not known to have been sent when."""
        date, sent = headers.get("Date"), _sent.get(None)
        if date is not None and sent is not None:
            received = self.context.clock.monotonic()
            seconds = parsedate_to_datetime(date).timestamp()
            self.server_time.observe_reply(seconds, sent=sent, received=received)

    def check_open(self) -> None:
        """Refuse to be used after the end."""
        if self._is_closed:
            raise ClosedError(f"channel {self.name!r} is closed")

    async def market_of(self, symbol: str) -> tuple[Symbol, str]:
        """Return a symbol and ccxt's own name of its market; the list is read anew, once a minute at most.

        Raises:
            UnknownSymbolError: the exchange does not list it.

        """
        self.check_open()
        wanted = Symbol(symbol)
        name = wanted.partition(":")[2]
        if name not in (self.raw.markets or {}):
            await self.load_markets()
        if name not in self.raw.markets:
            near = nearest_symbols(name, self.raw.markets)
            hint = f"; did you mean {', '.join(f'{wanted.venue_prefix}:{one}' for one in near)}?" if near else ""
            raise UnknownSymbolError(f"{self.options.exchange} does not list {wanted}{hint}")
        return wanted, name

    async def load_markets(self) -> list[Market]:
        """Return what is listed."""
        self.check_open()
        now = self.context.clock.monotonic()
        if now - self._listed_at >= RELIST_AFTER_S or not self.raw.markets:
            await self.ask(lambda: self.raw.load_markets(reload=True))
            self._listed_at = now
        found = (self._market(name) for name in self.raw.markets)
        return [market for market in found if market is not None]

    def _market(self, name: str) -> Market | None:
        try:
            return Market(symbol=Symbol(f"{self.options.exchange}:{name}"), english_name=name.partition("/")[0])
        except UnknownSymbolError:
            return None  # options and futures with names that no symbol can spell

    async def close(self) -> None:
        """Release connections; idempotent."""
        if not self._is_closed:
            self._is_closed = True
            await self.raw.close()


def _moved(addresses: Any, url: str) -> Any:
    """Return ccxt's addresses with all hosts replaced by one; what follows the host stays."""
    if isinstance(addresses, dict):
        return {name: _moved(address, url) for name, address in addresses.items()}
    scheme, rest = str(addresses).split("://", 1)
    there = urlsplit(url)
    is_socket = scheme.startswith("ws")
    secure = "s" if there.scheme == "https" else ""
    path = rest.partition("/")[2]
    return f"{'ws' if is_socket else 'http'}{secure}://{there.netloc}{'/' + path if path else ''}"
