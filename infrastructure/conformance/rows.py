"""Promises about the candles of a page."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from ...domain.candle import Candle
from ...domain.errors import RequestError
from ...domain.finality import SealedBy
from ...domain.timeframe import Timeframe
from .promises import promise, require, require_equal
from .targets import CANDLES, HISTORY, NOW, ChannelUnderTest


def is_utc(at: object) -> bool:
    """Return whether this is an aware instant in UTC."""
    return isinstance(at, datetime) and at.utcoffset() == timedelta(0)


def are_exact(*numbers: object) -> bool:
    """Return whether all of these are finite decimals."""
    return all(isinstance(number, Decimal) and number.is_finite() for number in numbers)


async def _rows(under_test: ChannelUnderTest) -> AsyncGenerator[Candle]:
    async for page in under_test.some_pages():
        for row in page:
            yield row


class RowPromises:
    """What is true of every candle, whatever was asked."""

    @promise(CANDLES)
    async def test_r04_belongs(self, under_test: ChannelUnderTest) -> None:
        """R-04: An answer is about the symbol and the timeframe that were asked for, and holds candles.

        Do: ask for the newest candles, for some before an instant, and for a range.
        Pass: each answer holds a candle, and all candles are of that symbol and timeframe.
        """
        async for page in under_test.some_pages():
            require(len(page), f"no candle of {under_test.symbol} came")
            found = {(row.symbol, row.timeframe) for row in page} | {(page.symbol, page.timeframe)}
            require_equal(found, {(under_test.symbol, under_test.frame)}, "what the candles are of")

    @promise(CANDLES)
    async def test_r05_instants(self, under_test: ChannelUnderTest) -> None:
        """R-05: Every candle opens at an aware UTC instant on the grid of its timeframe.

        Do: ask as for R-04, and look at `opened_at` and `updated_at`.
        Pass: both are aware and in UTC (the second may be None), and a slot opens at `opened_at`.
        """
        async for row in _rows(under_test):
            require(is_utc(row.opened_at), f"a candle opens at {row.opened_at!r}, which is not an aware UTC instant")
            require(row.updated_at is None or is_utc(row.updated_at), f"updated_at is {row.updated_at!r}")
            require(row.timeframe.is_on_grid(row.opened_at), f"no {row.timeframe} slot opens at {row.opened_at}")

    @promise(CANDLES)
    async def test_r06_order(self, under_test: ChannelUnderTest) -> None:
        """R-06: Candles come oldest first, and each slot once.

        Do: ask as for R-04.
        Pass: each candle opens later than the one before it.
        """
        async for page in under_test.some_pages():
            for older, newer in pairwise(page):
                require(older.opened_at < newer.opened_at, f"after {older!r} came {newer!r}")

    @promise(CANDLES)
    async def test_r07_page_size(self, under_test: ChannelUnderTest) -> None:
        """R-07: A page holds at most as many rows as were asked for, and never more than candles_per_call.

        Do: ask for one, for a whole page (at most 1,000), and for one more than a page.
        Pass: no answer holds more; the last question may also be refused with a `RequestError`.
        """
        most = under_test.channel.capabilities.candles_per_call
        for count in {1, min(most, 1000)}:
            found = len(await under_test.page(count))
            require(found <= count, f"{found} rows came, {count} were asked for")
        try:
            found = len(await under_test.page(most + 1))
        except RequestError:
            return
        require(found <= most, f"a page of {found} rows came, and candles_per_call is {most}")

    @promise(CANDLES)
    async def test_r08_numbers(self, under_test: ChannelUnderTest) -> None:
        """R-08: Numbers are exact decimals that a market can produce.

        Do: ask as for R-04.
        Pass: prices and volumes are finite `Decimal`s, low and high bracket open and close, no volume is negative.
        """
        async for row in _rows(under_test):
            turnover = row.volume if row.quote_volume is None else row.quote_volume
            numbers = (row.open, row.high, row.low, row.close, row.volume, turnover)
            require(are_exact(*numbers), f"not all of {numbers!r} are finite Decimals")
            bracketed = row.low <= min(row.open, row.close) and max(row.open, row.close) <= row.high
            require(bracketed, f"low and high do not bracket open and close: {row!r}")
            require(row.volume >= 0 and turnover >= 0, f"a volume is negative: {row!r}")

    @promise(CANDLES, NOW)
    async def test_r09_not_before_its_time(self, under_test: ChannelUnderTest) -> None:
        """R-09: A candle comes not before its slot begins, and is CLOSED or FINAL not before its slot is over.

        Do: ask as for R-04, and look at the source's clock afterwards.
        Pass: every slot has begun, and the slot of every candle that is not FORMING is over.
        """
        async for row in _rows(under_test):
            now = under_test.read_clock()
            require(row.opened_at <= now, f"it is {now}, and this slot has not begun: {row!r}")
            is_over = row.closed_at <= now
            require(is_over or row.finality.name == "FORMING", f"it is {now}, and this slot is not over: {row!r}")

    @promise(CANDLES)
    async def test_r10_sealed(self, under_test: ChannelUnderTest) -> None:
        """R-10: A FINAL candle says who sealed it, and only a source of final rows seals its own.

        Do: ask as for R-04.
        Pass: `sealed_by` is given exactly for FINAL candles, and is SOURCE only if `rows_are_final` is declared.
        """
        is_sealer = under_test.channel.capabilities.rows_are_final
        async for row in _rows(under_test):
            require_equal(row.sealed_by is not None, row.is_final, f"{row!r} has a seal")
            by_source = row.sealed_by is SealedBy.SOURCE
            require(
                is_sealer or not by_source, f"rows_are_final is not declared, and this was sealed by SOURCE: {row!r}"
            )

    @promise(HISTORY)
    async def test_r11_every_timeframe(self, under_test: ChannelUnderTest) -> None:
        """R-11: Every timeframe that is declared is answered.

        Do: ask for two candles of each. A channel that answers from a store may hold none of it, and say so.
        Pass: the candles are of that timeframe and on its grid.
        """
        channel, able = under_test.channel, under_test.channel.capabilities
        asked = (
            [under_test.frame] if able.answers_from_store else [each for each in Timeframe if each in able.timeframes]
        )
        for frame in asked:
            text = str(frame)
            series = await under_test.ask(lambda text=text: channel.get_candles(under_test.symbol, text, 2))
            require_equal(
                {row.timeframe for row in series} | {series.timeframe}, {frame}, "the timeframe of the answer"
            )
            off = [row for row in series if not frame.is_on_grid(row.opened_at)]
            require(not off, f"not on the grid of {frame}: {off!r}")
