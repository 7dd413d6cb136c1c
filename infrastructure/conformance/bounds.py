"""Promises about which candles a question brings."""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from ...domain.candle import Candle
from ...domain.errors import InvalidRangeError, RequestError, UnsupportedRequestError
from .promises import promise, refused, require, require_equal
from .targets import HISTORY, TIP_ONLY, ChannelUnderTest

_KOREA = timezone(timedelta(hours=9))
_NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - what a channel has to refuse


def openings(rows: Iterable[Candle]) -> list[datetime]:
    """Return when candles open."""
    return [row.opened_at for row in rows]


class BoundPromises:
    """What ``count``, ``start`` and ``end`` mean, of one page."""

    @promise(HISTORY)
    async def test_r12_count(self, under_test: ChannelUnderTest) -> None:
        """R-12: A count alone brings the newest candles.

        Do: ask for many, and then for five.
        Pass: the five are candles that exist, without a hole among them, and none is older than the last five of
            the many.
        """
        many = openings(await under_test.newest())
        few = openings(await under_test.page(5))
        require_equal(len(few), 5, "candles that came for count=5")
        require(few[0] >= many[-5], f"the newest five begin at {few[0]}, and before at {many[-5]}")
        require_equal([at for at in few if at <= many[-1]], [at for at in many if at >= few[0]], "the newest five")

    @promise(HISTORY)
    async def test_r13_end(self, under_test: ChannelUnderTest) -> None:
        """R-13: A count and an end bring the newest candles before the end, which is exclusive.

        Do: ask for five candles before the opening of one that exists.
        Pass: the five before that one come, and not that one itself.
        """
        past = await under_test.past()
        page = await under_test.page(5, end=past[-1].opened_at)
        require_equal(openings(page), openings(past[-6:-1]), f"five candles before {past[-1].opened_at}")

    @promise(HISTORY)
    async def test_r14_range(self, under_test: ChannelUnderTest) -> None:
        """R-14: A start and an end bring every candle between them; the start is inclusive, the end exclusive.

        Do: ask for the range from the opening of one candle to the opening of another.
        Pass: every candle from the first on comes, and the second does not.
        """
        past = await under_test.past()
        page = await under_test.page(start=past[2].opened_at, end=past[7].opened_at)
        require_equal(openings(page), openings(past[2:7]), f"[{past[2].opened_at}, {past[7].opened_at})")

    @promise(HISTORY)
    async def test_r15_bounds_inside_slots(self, under_test: ChannelUnderTest) -> None:
        """R-15: A bound inside a slot means what it says: a candle belongs to the range by its opening.

        Do: ask for a range from the middle of one slot to the middle of another, and for five candles before the
            middle of a slot.
        Pass: the slot that the start cuts is left out, the slots that the ends cut come.
        """
        past = await under_test.past()
        half = under_test.frame.nominal_width / 2
        start, end = past[2].opened_at + half, past[7].opened_at + half
        require_equal(openings(await under_test.page(start=start, end=end)), openings(past[3:8]), f"[{start}, {end})")
        require_equal(openings(await under_test.page(5, end=end)), openings(past[3:8]), f"five candles before {end}")

    @promise(HISTORY)
    async def test_r16_start_and_count(self, under_test: ChannelUnderTest) -> None:
        """R-16: A start and a count bring the first candles from the start, or are refused.

        Do: ask for the first three candles from the opening of one that exists.
        Pass: these three come, or an `UnsupportedRequestError`: the API pages forward for channels that cannot.
        """
        past = await under_test.past()
        try:
            page = await under_test.page(3, start=past[2].opened_at)
        except UnsupportedRequestError:
            return
        require_equal(openings(page), openings(past[2:5]), f"the first three from {past[2].opened_at}")

    @promise(HISTORY)
    async def test_r17_zones(self, under_test: ChannelUnderTest) -> None:
        """R-17: An instant means the same in every time zone.

        Do: ask for candles before an instant that is written in UTC, and in Korean time.
        Pass: the same candles come.
        """
        past = await under_test.past()
        end = past[-1].opened_at
        there = end.astimezone(_KOREA)
        page = await under_test.page(5, end=there)
        require_equal(openings(page), openings(past[-6:-1]), f"five candles before {there}")

    @promise(HISTORY)
    async def test_r18_future_end(self, under_test: ChannelUnderTest) -> None:
        """R-18: An end that lies in the future is no obstacle.

        Do: ask for five candles before an instant far after the newest candle.
        Pass: the newest candles come.
        """
        newest = await under_test.newest()
        page = await under_test.page(5, end=under_test.frame.move(newest[-1].opened_at, 1000))
        require(len(page) and page[-1].opened_at >= newest[-1].opened_at, f"the newest candle lacks: {page!r}")

    @promise(HISTORY)
    async def test_r19_senseless_ranges(self, under_test: ChannelUnderTest) -> None:
        """R-19: A question that cannot be meant is refused with InvalidRangeError.

        Do: ask with all three of start, end and count, with a start after the end, with an instant without a zone,
            and for 0 and -1 candles.
        Pass: each is refused.
        """
        past = await under_test.past()
        start, end = past[2].opened_at, past[7].opened_at
        senseless: dict[str, dict[str, Any]] = {
            "start, end and count together": {"start": start, "end": end, "count": 3},
            "a start after the end": {"start": end, "end": start},
            "a naive start": {"start": _NAIVE, "end": end},
            "a naive end": {"count": 3, "end": _NAIVE},
            "count=0": {"count": 0},
            "count=-1": {"count": -1},
        }
        for what, question in senseless.items():
            with refused(what, InvalidRangeError):
                await under_test.page(**question)

    @promise(TIP_ONLY)
    async def test_r20_tip_only(self, under_test: ChannelUnderTest) -> None:
        """R-20: A channel that knows the newest candle only refuses questions about others.

        Do: ask for two candles, for one before an hour ago, and for a range.
        Pass: each is refused with a `RequestError`; one candle without bounds comes.
        """
        newest = await under_test.page(1)
        require_equal(len(newest), 1, "candles that came for count=1")
        end = newest[0].opened_at
        start = end - timedelta(hours=1)
        beyond: tuple[dict[str, Any], ...] = ({"count": 2}, {"count": 1, "end": start}, {"start": start, "end": end})
        for question in beyond:
            with refused(f"a question with {', '.join(question)}", RequestError):
                await under_test.page(**question)
