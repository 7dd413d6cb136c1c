"""Promises about what a store knows."""

from attrs import evolve

from ...domain.coverage import Reason
from ...domain.ledger import Ledger, SeriesKey
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from .model_market import KEY, candle, minute, page, series, span
from .promises import promise, require_equal
from .targets import StoreUnderTest


class StoreCoveragePromises:
    """Coverage never says more than the candles that are held."""

    @promise()
    async def test_s12_cut(self, under_test: StoreUnderTest) -> None:
        """S-12: A series that was cut vouches only for what is left of it.

        Do: write two rows out of the middle of a page that proves ten minutes.
        Pass: the two minutes are proven, and no other.
        """
        whole = series(map(candle, range(10)), proven=(span(0, 10),))
        await under_test.store.write(whole[4:6])
        require_equal(under_test.store.ledger(KEY).proven, (span(4, 6),), "what is proven")

    @promise()
    async def test_s13_whole_slots(self, under_test: StoreUnderTest) -> None:
        """S-13: A slot that is known in part is not known.

        Do: write coverage that begins and ends inside slots.
        Pass: only whole slots are proven.
        """
        half = (minute(1) - minute(0)) / 2
        ragged = TimeRange(minute(2) + half, minute(9) + half)
        await under_test.store.write(series(proven=(ragged,)))
        require_equal(under_test.store.ledger(KEY).proven, (span(3, 9),), "what is proven")

    @promise()
    async def test_s14_provisional(self, under_test: StoreUnderTest) -> None:
        """S-14: A range that is proven is provisional no more, whichever came first.

        Do: write provisional coverage, prove a part of it, and write a part as provisional again.
        Pass: proven and provisional never share a slot.
        """
        store = under_test.store
        await store.write(series(provisional=(span(0, 10),)))
        await store.write(series(proven=(span(3, 5),)))
        await store.write(series(provisional=(span(2, 4),)))
        ledger = store.ledger(KEY)
        require_equal((ledger.proven, ledger.provisional), ((span(3, 5),), (span(0, 3), span(5, 10))), "the ledger")

    @promise()
    async def test_s15_doubt(self, under_test: StoreUnderTest) -> None:
        """S-15: A doubt strikes provisional coverage of every slot that it touches, and nothing that is proven.

        Do: doubt a range that begins among proven slots and ends inside a provisional one.
        Pass: that slot and those before it are provisional no more; proven ranges and candles stay.
        """
        store = under_test.store
        rows = series(map(candle, range(4)), proven=(span(0, 4),), provisional=(span(4, 10),))
        await store.write(rows)
        await store.invalidate(KEY, TimeRange(minute(2), minute(5) + (minute(1) - minute(0)) / 2))
        ledger = store.ledger(KEY)
        require_equal((ledger.proven, ledger.provisional), ((span(0, 4),), (span(6, 10),)), "the ledger")
        require_equal(len(await store.read(KEY, span(0, 4))), 4, "candles that are held")

    @promise()
    async def test_s16_before_listing(self, under_test: StoreUnderTest) -> None:
        """S-16: The time before the listing is kept, and no candle can lie in it.

        Do: write it, and then a candle that is older.
        Pass: the ledger tells the beginning, a read explains it; the older candle moves the beginning back.
        """
        store = under_test.store
        await store.write(series(map(candle, range(3)), proven=(span(0, 3),), before=0))
        require_equal(store.ledger(KEY).beginning, minute(0), "the beginning")
        ((explained),) = (await store.read(KEY, span(-5, 3))).coverage.explained
        require_equal((explained.span, explained.reason), (span(-5, 0), Reason.BEFORE_LISTING), "what is explained")
        await store.write(series([candle(-10)], proven=(span(-10, -9),)))
        require_equal(store.ledger(KEY).beginning, minute(-10), "the beginning, after an older candle")

    @promise()
    async def test_s17_set_aside(self, under_test: StoreUnderTest) -> None:
        """S-17: A series that was set aside is served no more, its rows stay apart, and it begins anew.

        Do: write a page, set it aside, read, and write a smaller page.
        Pass: nothing is read and the ledger is empty; the inventory has both, the one set aside last, with the reason.
        """
        store = under_test.store
        await store.write(page(0, 100))
        count = await store.quarantine(KEY, "two pages disagreed")
        found = await store.read(KEY, span(0, 100))
        require_equal((count, len(found), store.ledger(KEY)), (len(page(0, 100)), 0, Ledger()), "what is served")
        again = await store.write(page(0, 10))
        lines = [(line.rows, line.quarantine_reason) for line in await store.inventory()]
        expected = [(len(page(0, 10)), ""), (len(page(0, 100)), "two pages disagreed")]
        require_equal((again.added, lines), (len(page(0, 10)), expected), "the inventory")

    @promise()
    async def test_s23_inventory(self, under_test: StoreUnderTest) -> None:
        """S-23: The inventory is in the order of venue, symbol and timeframe; verified_at outlives a write.

        Do: write four series in another order, mark one as verified, and write it again.
        Pass: the order, and the instant in the ledger.
        """
        store, eth = under_test.store, Symbol("KRW-ETH")
        keys = [SeriesKey("b", KEY.symbol, Timeframe.M1), SeriesKey("a", eth, Timeframe.S1)]
        keys += [SeriesKey("a", KEY.symbol, Timeframe.D1), SeriesKey("a", KEY.symbol, Timeframe.M3)]
        for key in keys:
            opened_at = key.timeframe.floor(minute(0))
            row = evolve(candle(0), venue=key.venue, symbol=key.symbol, timeframe=key.timeframe, opened_at=opened_at)
            await store.write(series([row], key=key))
        held = [line.key for line in await store.inventory()]
        require_equal(held, [keys[3], keys[2], keys[1], keys[0]], "the order of the inventory")
        await store.mark_verified(keys[0], minute(77))
        await store.write(series([candle(1, key=keys[0])], key=keys[0]))
        require_equal(store.ledger(keys[0]).verified_at, minute(77), "the instant of the last comparison")
