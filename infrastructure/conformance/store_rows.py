"""Promises about the candles that a store keeps."""

from decimal import Decimal

from attrs import evolve

from ...domain.finality import Finality, SealedBy
from ...domain.ledger import SeriesKey
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from .model_market import KEY, candle, minute, page, series, span
from .promises import promise, require, require_equal
from .targets import StoreUnderTest

_HUGE = Decimal("99999999999999999999999999999.123456789012345678")
_TINY = Decimal("0.000000000000000000000000000001")


class StoreRowPromises:
    """What is FINAL is kept, and comes back as it was."""

    @promise()
    async def test_s03_comes_back(self, under_test: StoreUnderTest) -> None:
        """S-03: What was written comes back in order and in full, with its coverage and its quiet slots.

        Do: write a page with quiet slots and read its range.
        Pass: equal candles, coverage of the whole range, the same quiet slots, no gap; `added` counts the candles.
        """
        written = page(-30, 1500)
        remembered = await under_test.store.write(written)
        found = await under_test.store.read(KEY, span(-30, 1500))
        require_equal((remembered.added, remembered.revised), (len(written), ()), "what became of the write")
        require(found == written, f"{len(written)} candles were written, what was read differs: {found!r}")
        require_equal((found.coverage.asked, found.coverage.proven), (span(-30, 1500), (span(-30, 1500),)), "coverage")
        quiet = [part for part in written.quiet() if part.span.intersect(span(-30, 1500))]
        require_equal((list(found.quiet()), found.gaps()), (quiet, ()), "quiet slots and gaps")

    @promise()
    async def test_s04_exact(self, under_test: StoreUnderTest) -> None:
        """S-04: Numbers come back exactly, very large and very small ones as well.

        Do: write candles at prices of 29 digits before and 18 after the point, and of 1e-30.
        Pass: every field of every candle comes back equal.
        """
        rows = [candle(0, _HUGE), candle(1, _TINY), evolve(candle(2), quote_volume=_HUGE, updated_at=minute(3))]
        await under_test.store.write(series(rows, proven=(span(0, 3),)))
        require_equal(list(await under_test.store.read(KEY, span(0, 3))), rows, "the candles")

    @promise()
    async def test_s05_final_only(self, under_test: StoreUnderTest) -> None:
        """S-05: Only FINAL candles are kept, and the slots of the others are not known.

        Do: write FINAL, CLOSED and FORMING candles under one coverage.
        Pass: only the FINAL ones come back, and the ledger leaves the slots of the others out.
        """
        rows = [candle(0), candle(1, finality=Finality.CLOSED), candle(2), candle(3, finality=Finality.FORMING)]
        remembered = await under_test.store.write(series(rows, proven=(span(0, 4),)))
        found = await under_test.store.read(KEY, span(0, 4))
        require_equal((remembered.added, list(found)), (2, [rows[0], rows[2]]), "what is kept")
        require_equal(under_test.store.ledger(KEY).proven, (span(0, 1), span(2, 3)), "what is proven")

    @promise()
    async def test_s06_half_open(self, under_test: StoreUnderTest) -> None:
        """S-06: A read brings the candles that open inside its range; the start is inclusive, the end exclusive.

        Do: write ten minutes and read five of them.
        Pass: five candles, and coverage of these five minutes only.
        """
        await under_test.store.write(series(map(candle, range(10)), proven=(span(0, 10),)))
        found = await under_test.store.read(KEY, span(2, 7))
        require_equal([row.opened_at for row in found], [minute(number) for number in range(2, 7)], "openings")
        require_equal((found.coverage.asked, found.coverage.proven), (span(2, 7), (span(2, 7),)), "the coverage")

    @promise()
    async def test_s07_newest(self, under_test: StoreUnderTest) -> None:
        """S-07: read_newest brings the end of what read brings, with the same coverage.

        Do: ask for 1, 5, 100 and more candles than are held.
        Pass: candles, quiet slots and coverage equal those of the last rows of a whole read.
        """
        await under_test.store.write(page(0, 300))
        whole = await under_test.store.read(KEY, span(-10, 300))
        for count in (1, 5, 100, 9999):
            newest = await under_test.store.read_newest(KEY, count, span(-10, 300))
            expected = whole[max(0, len(whole) - count) :]
            require_equal(list(newest), list(expected), f"the newest {count}")
            require_equal((newest.coverage, newest.quiet()), (expected.coverage, expected.quiet()), f"of {count}")

    @promise()
    async def test_s08_written_again(self, under_test: StoreUnderTest) -> None:
        """S-08: A page that was held before adds nothing.

        Do: write a page twice, and a third that overlaps it.
        Pass: `added` counts new candles only, nothing is revised, and each candle is held once.
        """
        store = under_test.store
        await store.write(page(0, 100))
        again = await store.write(page(0, 100))
        more = await store.write(page(50, 120))
        require_equal((again.added, again.revised, more.revised), (0, (), ()), "what became of the second writing")
        require_equal(more.added, len(page(0, 120)) - len(page(0, 100)), "what the overlapping page added")
        require(await store.read(KEY, span(0, 120)) == page(0, 120), "a candle is lost or held twice")

    @promise()
    async def test_s09_revisions(self, under_test: StoreUnderTest) -> None:
        """S-09: What the venue has changed is told and kept as a revision; a stream never changes what was read.

        Do: write a candle, then another view of it by REST, then a third by a stream.
        Pass: the second is told as old and new and stays with `revision` 1; the third changes nothing.
        """
        store, five, nine = under_test.store, Decimal(5), Decimal(9)
        await store.write(series([candle(0)]))
        changed = await store.write(series([candle(0, five)]))
        streamed = await store.write(series([candle(0, nine, sealed_by=SealedBy.SUCCESSOR)]))
        expected = evolve(candle(0, five), revision=1)
        require_equal(changed.revised, ((candle(0), expected),), "the revision that is told")
        require_equal((streamed.added, streamed.revised), (0, ()), "what the stream has changed")
        require_equal(list(await store.read(KEY, span(0, 1))), [expected], "what is held")

    @promise()
    async def test_s10_apart(self, under_test: StoreUnderTest) -> None:
        """S-10: Venues, symbols and timeframes are kept apart.

        Do: write the same slot under keys that differ in one of the three.
        Pass: each comes back with its own price.
        """
        others = (
            SeriesKey("elsewhere", KEY.symbol, KEY.timeframe),
            SeriesKey(KEY.venue, Symbol("KRW-ETH"), KEY.timeframe),
            SeriesKey(KEY.venue, KEY.symbol, Timeframe.S1),
        )
        for price, key in enumerate((KEY, *others), start=50):
            await under_test.store.write(series([candle(0, Decimal(price), key=key)], key=key))
        for price, key in enumerate((KEY, *others), start=50):
            found = await under_test.store.read(key, span(0, 1))
            require_equal(list(found), [candle(0, Decimal(price), key=key)], f"what is held of {key}")

    @promise()
    async def test_s11_every_timeframe(self, under_test: StoreUnderTest) -> None:
        """S-11: Candles of every timeframe are kept.

        Do: write forty candles of each timeframe, and read them.
        Pass: they come back.
        """
        for frame in Timeframe:
            key = SeriesKey(KEY.venue, KEY.symbol, frame)
            opened = [frame.floor(minute(0))]
            for _ in range(40):
                opened.append(frame.next(opened[-1]))
            rows = [evolve(candle(0, key=KEY), timeframe=frame, opened_at=at) for at in opened[:-1]]
            written: CandleSeries = series(rows, key=key)
            await under_test.store.write(written)
            found = await under_test.store.read(key, TimeRange(opened[0], opened[-1]))
            require(found == written, f"candles of {frame} differ: {found!r}")
