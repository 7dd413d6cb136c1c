"""Promises about coverage, and about answers that agree with each other."""

from datetime import UTC, datetime

from ...domain.candle import Candle
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange, clip
from .bounds import openings
from .promises import promise, require, require_equal
from .targets import CANDLES, HISTORY, NOW, ChannelUnderTest

_BEFORE_HISTORY = datetime(1971, 1, 1, tzinfo=UTC)


def claimed(series: CandleSeries) -> tuple[TimeRange, ...]:
    """Return the ranges in which an answer says that it knows every slot; it speaks of its question only."""
    coverage = series.coverage
    return clip((*coverage.proven, *coverage.provisional), coverage.asked)


def sealed(rows: CandleSeries | list[Candle]) -> dict[datetime, Candle]:
    """Return the FINAL candles by their openings."""
    return {row.opened_at: row for row in rows if row.is_final}


def _require_agreement(one: CandleSeries | list[Candle], other: CandleSeries | list[Candle]) -> None:
    first, second = sealed(one), sealed(other)
    for at in first.keys() & second.keys():
        require(first[at].is_same_market_data(second[at]), f"{first[at]!r} is another time {second[at]!r}")


class CoveragePromises:
    """What an answer says about slots without a candle."""

    @promise(CANDLES)
    async def test_r21_rows_lie_inside(self, under_test: ChannelUnderTest) -> None:
        """R-21: Every candle lies inside the question that the coverage names.

        Do: ask as for R-04.
        Pass: `coverage.asked` holds the opening of every candle.
        """
        async for page in under_test.some_pages():
            outside = [at for at in openings(page) if at not in page.coverage.asked]
            require(not outside, f"the coverage speaks of {page.coverage.asked}, and these lie outside: {outside}")

    @promise(HISTORY)
    async def test_r22_not_beyond_the_question(self, under_test: ChannelUnderTest) -> None:
        """R-22: The coverage never speaks of more than was asked.

        Do: ask for a range, for a range between the middles of two slots, and for five candles before an instant.
        Pass: `coverage.asked` begins not before the start, and ends not after the slot that the end cuts.
        """
        past, frame = await under_test.past(), under_test.frame
        half = frame.nominal_width / 2
        for shift in (half * 0, half):
            start, end = past[2].opened_at + shift, past[7].opened_at + shift
            asked = (await under_test.page(start=start, end=end)).coverage.asked
            inside = start <= asked.start and asked.end <= frame.ceil(end)
            require(inside, f"[{start}, {end}) was asked for, and the coverage speaks of {asked}")
            asked = (await under_test.page(5, end=end)).coverage.asked
            require(asked.end <= frame.ceil(end), f"the end was {end}, and the coverage speaks of {asked}")

    @promise(CANDLES, NOW)
    async def test_r23_open_slots(self, under_test: ChannelUnderTest) -> None:
        """R-23: The coverage never claims a slot that was not over when it was read.

        Do: ask as for R-04, and look at the source's clock afterwards.
        Pass: every proven and provisional range ends before that instant.
        """
        async for page in under_test.some_pages():
            now = under_test.read_clock()
            early = [span for span in claimed(page) if span.end > now]
            require(not early, f"it is {now}, and the coverage claims {', '.join(map(str, early))}")

    @promise(HISTORY)
    async def test_r24_fewer_rows(self, under_test: ChannelUnderTest) -> None:
        """R-24: Fewer candles than asked for come only with a reason.

        Do: ask for a page, for a range of ten slots, and for candles before all history.
        Pass: a count is met, or the answer has a gap, an explained range, or claims the beginning of history; of a
            range every slot lies in `coverage.asked`, or the beginning is claimed.
        """
        past = await under_test.past()
        rows = min(100, under_test.channel.capabilities.candles_per_call)
        for count, end in ((rows, None), (5, past[-1].opened_at), (5, _BEFORE_HISTORY)):
            page = await under_test.page(count, end=end)
            known = page.coverage
            reasons = (page.gaps(), known.explained, known.claimed_beginning)
            require(len(page) == count or any(reasons), f"{len(page)} of {count} candles came before {end}: no reason")
        start, end = past[0].opened_at, past[9].opened_at
        known = (await under_test.page(start=start, end=end)).coverage
        is_whole = known.asked.start <= start and end <= known.asked.end
        require(is_whole or known.claimed_beginning, f"[{start}, {end}) was asked for; told was only of {known.asked}")

    @promise(HISTORY)
    async def test_r25_nothing_missing_inside(self, under_test: ChannelUnderTest) -> None:
        """R-25: No slot is claimed to be empty that has a candle.

        Do: ask for many candles, and then for parts of their range.
        Pass: no part says of a slot that it is quiet, if the many hold a candle of it.
        """
        past = await under_test.past()
        existing = openings(past)
        for first in (0, 4):
            page = await under_test.page(start=existing[first], end=existing[first + 5])
            lies = [at for at in existing for part in page.quiet() if at in part.span]
            require(not lies, f"said to be quiet, and has a candle: {lies}")


class AgreementPromises:
    """Answers that overlap tell the same."""

    @promise(HISTORY)
    async def test_r26_repeatable(self, under_test: ChannelUnderTest) -> None:
        """R-26: Two readings agree about what is FINAL.

        Do: ask the same question about the past twice.
        Pass: the same slots have candles, and a candle that is FINAL in both has the same numbers.
        """
        past = await under_test.past()
        pages = [await under_test.page(10, end=past[-1].opened_at) for _ in range(2)]
        require_equal(openings(pages[0]), openings(pages[1]), "the second reading")
        _require_agreement(pages[0], pages[1])

    @promise(HISTORY)
    async def test_r27_overlapping_pages(self, under_test: ChannelUnderTest) -> None:
        """R-27: Pages that overlap agree where they do.

        Do: ask for pages before two instants that lie four candles apart.
        Pass: both have candles in the same slots of their overlap, with the same numbers where both are FINAL.
        """
        past = await under_test.past()
        newer = await under_test.page(8, end=past[-1].opened_at)
        older = await under_test.page(5, end=past[-3].opened_at)
        shared = [at for at in openings(newer) if older[0].opened_at <= at < past[-3].opened_at]
        require_equal([at for at in openings(older) if at >= newer[0].opened_at], shared, "the overlap")
        _require_agreement(newer, older)

    @promise(HISTORY)
    async def test_r28_walk(self, under_test: ChannelUnderTest) -> None:
        """R-28: A walk back, page by page, finds what one range holds.

        Do: ask for three pages of three candles, each before the oldest candle of the one before, and for the range.
        Pass: both ways bring the same candles; where both are FINAL, with the same numbers.
        """
        past = await under_test.past()
        end, walked = past[-1].opened_at, list[Candle]()
        for _ in range(3):
            walked = [*await under_test.page(3, end=end), *walked]
            end = walked[0].opened_at
        whole = await under_test.page(start=end, end=past[-1].opened_at)
        require_equal(openings(walked), openings(whole), "the walk")
        _require_agreement(walked, whole)
