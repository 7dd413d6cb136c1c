"""One call to Upbit: wait for the budget, send, learn from the headers, translate refusals."""

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

from ...domain.adapter import AdapterContext
from ...domain.errors import ChannelUnavailableError, RateLimitedError
from ...domain.market import Market
from ...domain.symbol import Symbol
from ..rate_budget import BudgetLimits, RateBudget
from ..transport import HttpLimits, HttpTransport, Reply
from .failures import BLOCKED, Refusal, explain_status
from .identity import VenueIdentity
from .markets import MarketList
from .options import UpbitOptions
from .protocol import Call, markets_call, read_remaining
from .replies import decode_markets, to_market

OK = 200
GROUPS = ("market", "candles", "crix-trades", "ticker", "orderbook")
LONGEST_BLOCK_S = 600.0


@frozen(kw_only=True)
class Answer:
    """A reply of status 200 and what is known of its reading.

    ``read_at`` is the earliest server time at which the data can have been read.
    """

    body: bytes
    venue: str
    read_at: datetime
    reply: Reply


class UpbitExchange:
    """Calls to one Upbit address, inside its limits."""

    def __init__(self, options: UpbitOptions, context: AdapterContext) -> None:
        """Open nothing yet."""
        limits = HttpLimits(
            connect_timeout_s=options.connect_timeout_s,
            reply_timeout_s=options.reply_timeout_s,
            max_reply_bytes=options.max_reply_bytes,
        )
        budget = BudgetLimits(
            per_second=options.requests_per_s,
            least_jitter_s=options.least_jitter_s,
            first_jitter_s=options.first_jitter_s,
        )
        self._name = context.name
        self._context = context
        self._transport = HttpTransport(options.rest_base, limits, context.clock, options.tls(), context.name)
        self.budget = RateBudget(budget, context.clock)
        self.identity = VenueIdentity(options.rest_base, options, context.clock)
        self.markets = MarketList()
        self._blocks = 0

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
        raise self._slow_down(found, call)

    async def _send(self, call: Call) -> Reply:
        await self.budget.wait_for_turn(call.group)
        reply = await self._transport.get(call.path, call.query)
        self.identity.learn(reply.headers)
        if (date_s := reply.date_s()) is not None:
            self._context.server_time.observe_reply(date_s, sent=reply.sent, received=reply.received)
        if remaining := read_remaining(reply.headers.get("Remaining-Req")):
            self.budget.learn(call.group, remaining.group, remaining.left, reply.round_trip_s)
        return reply

    def _answer(self, reply: Reply) -> Answer:
        self._blocks = 0
        read_at = self._context.server_time.earliest(reply.sent)
        if read_at is None:
            msg = "the reply carries no Date, so nothing says when it was read; a proxy may have removed the header"
            raise ChannelUnavailableError(msg, channel=self._name)
        return Answer(body=reply.body, venue=self.identity.venue, read_at=read_at, reply=reply)

    def _slow_down(self, found: Exception | Refusal, call: Call) -> Exception:
        if not isinstance(found, RateLimitedError):
            return found if isinstance(found, Exception) else RuntimeError(found)
        if found.retryable:
            self.budget.pause(call.group)
            return found
        wait = min(LONGEST_BLOCK_S, (found.retry_after or 0) * 2**self._blocks)
        self._blocks += 1
        self.budget.stop_all(wait, GROUPS)
        return RateLimitedError(
            f"blocked ({BLOCKED}): nothing is sent for {wait:g} s",
            channel=self._name,
            retryable=False,
            retry_after=wait,
        )

    async def _explain_missing(self, symbols: Sequence[Symbol]) -> Exception:
        await self.load_markets()
        missing = [symbol for symbol in symbols if not self.markets.is_listed(symbol)]
        return self.markets.explain_missing((missing or list(symbols))[0], channel=self._name)

    async def load_markets(self) -> Sequence[Market]:
        """Return the market list, read again if the last reading is old enough."""
        now = self._context.clock.monotonic()
        if self.markets.may_refresh(now):
            answer = await self.call(markets_call())
            self.markets.update((to_market(row) for row in decode_markets(answer.body)), now)
        return self.markets.markets

    async def close(self) -> None:
        """Release every connection."""
        await self._transport.close()
