"""One call to Upbit: wait for the budget, send, learn from the headers, translate refusals."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from attrs import evolve, frozen

from ...domain.adapter import AdapterContext
from ...domain.errors import ChannelUnavailableError, RateLimitedError
from ...domain.market import Market
from ...domain.ports import ServerTime
from ...domain.symbol import Symbol
from ...domain.telemetry_events import BudgetWaited
from ..budget import RateBudget
from ..http_transport import HttpFactory, HttpLimits, HttpTransport, Reply
from .errors import BLOCKED, Refusal, explain_status, read_error, stated_wait
from .markets import MarketList
from .options import UpbitOptions
from .protocol import Call, Remaining, markets_call, read_remaining
from .rate_limits import MAX_TIMEOUT_S, Refusals, shared_budget
from .rest_decoding import decode_markets, reading, to_market
from .venue_identity import VenueIdentity

OK = 200


@frozen(kw_only=True)
class Answer:
    """A reply of status 200 and what is known of its reading.

    ``read_at`` is the earliest server time at which the data can have been read.
    """

    body: bytes
    venue: str
    read_at: datetime
    reply: Reply


class UpbitRestClient:
    """Calls to one Upbit address, inside its limits."""

    def __init__(self, options: UpbitOptions, context: AdapterContext, make_http: HttpFactory = HttpTransport) -> None:
        """Open nothing yet; ``make_http`` makes what carries the calls."""
        limits = HttpLimits(
            connect_timeout_s=options.connect_timeout_s,
            reply_timeout_s=options.reply_timeout_s,
            max_reply_bytes=options.max_reply_bytes,
        )
        self._name = context.name
        self._context = context
        self._transport = make_http(options.rest_base, limits, context.clock, options.tls(), context.name)
        self.budget: RateBudget = shared_budget(options, context, options.rest_base)
        self.identity = VenueIdentity(options.rest_base, options, context.clock)
        self.markets = MarketList()
        self.last_remaining: Remaining | None = None
        self._listing = asyncio.Lock()

    @property
    def server_time(self) -> ServerTime:
        """What the replies prove about the server's clock."""
        return self._context.server_time

    async def call(self, call: Call, symbols: Sequence[Symbol] = ()) -> Answer:
        """Return the answer to a call that is about ``symbols``.

        Raises:
            RequestError: the exchange does not know the symbol, or refuses the request.
            ChannelError: the exchange failed.

        """
        reply = await self._send(call)
        if reply.status == OK:
            for symbol in symbols:
                self.markets.remember(symbol)
            return self._answer(reply)
        found = explain_status(reply.status, reply.headers, reply.body, channel=self._name)
        if found is Refusal.CODE_NOT_FOUND:
            raise await self._explain_missing(symbols)
        raise self._slow_down(found, call, reply) if isinstance(found, RateLimitedError) else found

    async def _send(self, call: Call) -> Reply:
        if (blocked := self.budget.blocked_for(call.group)) > MAX_TIMEOUT_S:
            msg = f"this address is blocked for {blocked:.0f} s more; nothing is sent until then"
            raise RateLimitedError(msg, channel=self._name, retryable=False, retry_after=blocked)
        async with self.budget.acquire(call.group) as permit:  # counts the call in its context
            self._context.observe(BudgetWaited(channel=self._name, group=permit.group, waited_s=permit.waited_s))
            reply = self._announced(await self._transport.get(call.path, call.query, permit))
        # Before the status is judged: a refusal carries a Date and a Remaining-Req, too.
        if (date_s := reply.date_s()) is not None:
            self._context.server_time.observe_reply(date_s, sent=reply.sent, received=reply.received)
        # Absent on unrouted paths (probed 2026-09-23), and perhaps on what a proxy answers itself.
        if remaining := read_remaining(reply.headers.get("Remaining-Req")):
            self.last_remaining = remaining
            # The wire's group is the budget's: docs say candle and trade, replies candles and crix-trades.
            permit.learn(remaining.group, remaining.left, per_second=remaining.per_second)
        return reply

    def _announced(self, reply: Reply) -> Reply:
        """Learn whose reply this is; if market time runs faster from here on, it did so for the server before."""
        # The order matters: learning changes the clock's speed, and the reply was timed at the old one.
        real_s = self._context.clock.to_real_s(1.0)
        self.identity.learn(reply.headers)
        faster = real_s / self._context.clock.to_real_s(1.0)
        return reply if faster == 1.0 else evolve(reply, sent=reply.received - reply.round_trip_s * faster)

    def _answer(self, reply: Reply) -> Answer:
        self.budget.note_success()
        read_at = self._context.server_time.earliest(reply.sent)
        if read_at is None:
            msg = "the reply carries no Date, so nothing says when it was read; a proxy may have removed the header"
            raise ChannelUnavailableError(msg, channel=self._name)
        return Answer(body=reply.body, venue=self.identity.venue, read_at=read_at, reply=reply)

    def _slow_down(self, found: RateLimitedError, call: Call, reply: Reply) -> RateLimitedError:
        account = Refusals(self.budget, self._context)
        if found.retryable:
            account.pause(call.group)
            return found
        # No 418 was ever captured, so that its wait is looked for in header and text.
        wait = account.stop_all(stated_wait(reply.headers, read_error(reply.body).message))
        return RateLimitedError(
            f"blocked ({BLOCKED}): nothing is sent for {wait:g} s",
            channel=self._name,
            retryable=False,
            retry_after=wait,
        )

    async def _explain_missing(self, symbols: Sequence[Symbol]) -> Exception:
        if not symbols:
            msg = "'Code not found' in answer to a call that names no code; try again later"
            return ChannelUnavailableError(msg, channel=self._name)
        # One unknown code fails a whole call, and the 404 does not say which.
        await self.load_markets()
        missing = [symbol for symbol in symbols if not self.markets.is_listed(symbol)]
        return self.markets.explain_missing((missing or list(symbols))[0], channel=self._name)

    async def load_markets(self) -> Sequence[Market]:
        """Return the market list, read again if the last reading is old enough."""
        async with self._listing:  # many answers may ask what a 404 means at once
            now = self._context.clock.monotonic()
            if self.markets.may_refresh(now):
                answer = await self.call(markets_call())
                with reading(self._name):
                    self.markets.update([to_market(row) for row in decode_markets(answer.body)], now)
            return self.markets.markets

    async def close(self) -> None:
        """Release every connection, and share the budget no longer."""
        self.budget.close()
        await self._transport.close()
