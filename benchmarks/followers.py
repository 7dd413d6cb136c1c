"""One code and 1, 100 or 1,000 followers: what each event costs, and what one more follower adds.

Run: python benchmarks/followers.py
"""

import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from market_backbone import (
    Candle,
    CandleUpdated,
    DataKind,
    Finality,
    Symbol,
    TakerSide,
    Timeframe,
    Trade,
    TradeReceived,
)
from market_backbone.application.follower import Follower
from market_backbone.application.topics import Audience, QuoteTopic
from market_backbone.domain.request import Topic

START = datetime(2026, 11, 1, tzinfo=UTC)
BTC = Symbol("KRW-BTC")
FOLLOWERS = (1, 100, 1000)
EVENTS, ROUNDS = 200, 7


def trade_event(number: int) -> TradeReceived:
    """Make a trade that nobody has had."""
    return TradeReceived(
        Trade(
            venue="bench",
            symbol=BTC,
            sequential_id=number,
            price=Decimal(100),
            volume=Decimal(1),
            taker_side=TakerSide.BUY,
            traded_at=START + timedelta(milliseconds=number),
            source="websocket",
        )
    )


def candle_event(number: int) -> CandleUpdated:
    """Make a newer view of one forming candle."""
    price = Decimal(100)
    return CandleUpdated(
        Candle(
            venue="bench",
            symbol=BTC,
            timeframe=Timeframe.M1,
            opened_at=START,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=Decimal(number),
            source="websocket",
            finality=Finality.FORMING,
        )
    )


MAKERS = {"trade": trade_event, "forming candle": candle_event}


async def read(follower: Follower) -> int:
    """Read what waits, as a follower does."""
    taken = 0
    while len(follower.buffer):
        await follower.buffer.get()
        taken += 1
    return taken


async def cost_us(kind: str, count: int) -> float:
    """Return microseconds per event: published to all, read by all."""
    followers = [Follower.of(10_000, waits_for_history=False) for _ in range(count)]
    topic = QuoteTopic(Topic(DataKind.TICKER, BTC), Audience(set(followers)))
    events = [MAKERS[kind](number) for number in range(1, EVENTS + 1)]
    began = time.perf_counter()
    for event in events:
        topic.audience.publish((event,))
        for follower in followers:
            await read(follower)
    return (time.perf_counter() - began) / EVENTS * 1e6


def main() -> None:
    """Print the median of each."""
    print(f"{'':16}{'followers':>10}{'us per event':>14}{'us per event and follower':>27}")
    for kind in MAKERS:
        for count in FOLLOWERS:
            taken = statistics.median(asyncio.run(cost_us(kind, count)) for _ in range(ROUNDS))
            print(f"{kind:16}{count:>10}{taken:>14.1f}{taken / count:>27.2f}")


if __name__ == "__main__":
    main()
