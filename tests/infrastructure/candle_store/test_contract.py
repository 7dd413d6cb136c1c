from datetime import timedelta
from decimal import Decimal

import pytest

from market_backbone.domain.coverage import Reason
from market_backbone.domain.errors import ClosedError
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.ledger import Ledger, SeriesKey
from market_backbone.domain.ports import CandleStore, WatchedStore
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe


class TestWhatEveryStoreOfCandlesPromises:
    def test_it_is_a_store_of_candles(self, store):
        assert isinstance(store, CandleStore)

    async def test_what_was_written_comes_back_in_order_and_in_full(self, store, pages):
        written = pages.page(-30, 3000)

        remembered = await store.write(written)
        found = await store.read(pages.KEY, pages.span(-30, 3000))

        assert (remembered.added, remembered.revised) == (len(written), ())
        assert found == written
        assert found.coverage.asked == pages.span(-30, 3000)
        assert found.coverage.proven == pages.spans((-30, 3000))
        assert found.quiet() == written.quiet()
        assert found.gaps() == ()

    async def test_every_field_of_a_candle_comes_back(self, store, pages):
        odd = {
            "open": Decimal("0.000000000000000000001"),
            "high": Decimal("1E+400"),
            "low": Decimal("-5E-30"),
            "close": Decimal("17343033068679.96786000"),
            "volume": Decimal(0),
            "quote_volume": None,
            "updated_at": pages.minute(1) + timedelta(microseconds=1),
            "revision": 3,
            "source": '거래소 "파일"',
        }
        plain = {"quote_volume": Decimal("1.5"), "updated_at": None, "by": SealedBy.STREAM_QUIET}
        written = pages.series([pages.candle(0, **odd), pages.candle(1, **plain), pages.candle(2, by=SealedBy.SOURCE)])

        await store.write(written)

        assert list(await store.read(pages.KEY, pages.span(0, 3))) == list(written)

    async def test_a_span_is_half_open_and_what_lies_outside_is_not_told(self, store, pages):
        await store.write(
            pages.series(map(pages.candle, range(10)), proven=[(0, 10)], provisional=[(12, 20)], before=0)
        )

        found = await store.read(pages.KEY, TimeRange(pages.minute(-1), pages.minute(5)))
        late = await store.read(pages.KEY, pages.span(15, 30))

        assert [candle.opened_at for candle in found] == [pages.minute(number) for number in range(5)]
        assert found.coverage.proven == pages.spans((0, 5))
        assert [part.span for part in found.coverage.explained] == [pages.span(-1, 0)]
        assert (len(late), late.coverage.provisional) == (0, pages.spans((15, 20)))

    async def test_of_a_series_that_was_never_written_nothing_is_known(self, store, pages):
        found = await store.read(pages.KEY, pages.span(0, 5))
        newest = await store.read_newest(pages.KEY, 3, pages.span(0, 5))
        await store.invalidate(pages.KEY, pages.span(0, 5))
        await store.mark_verified(pages.KEY, pages.minute(0))

        assert (len(found), found.coverage.asked, found.coverage.proven) == (0, pages.span(0, 5), ())
        assert (len(newest), newest.coverage.asked) == (0, pages.span(0, 5))
        assert store.ledger(pages.KEY) == Ledger()
        assert await store.quarantine(pages.KEY, "doubtful") == 0
        assert await store.inventory() == ()

    async def test_a_series_of_which_nothing_can_be_kept_leaves_no_trace(self, store, pages):
        remembered = await store.write(pages.series([pages.candle(0, finality=Finality.CLOSED)]))

        assert remembered.added == 0
        assert await store.inventory() == ()

    async def test_only_final_candles_are_kept_and_the_slots_of_the_others_are_not_known(self, store, pages):
        rows = [pages.candle(0), pages.candle(1, finality=Finality.CLOSED), pages.candle(2)]
        rows += [pages.candle(3, finality=Finality.FORMING)]

        remembered = await store.write(pages.series(rows, proven=[(0, 3)], provisional=[(3, 4)]))
        found = await store.read(pages.KEY, pages.span(0, 4))

        assert remembered.added == 2
        assert list(found) == [rows[0], rows[2]]
        assert store.ledger(pages.KEY).proven == pages.spans((0, 1), (2, 3))
        assert store.ledger(pages.KEY).provisional == ()

    async def test_a_filler_is_not_kept_but_its_slot_stays_known_to_be_quiet(self, store, pages):
        filled = pages.series([pages.candle(0), pages.candle(3)], proven=[(0, 4)], asked=(0, 4)).fill_forward()
        final = pages.candle(4, is_empty=True)

        await store.write(filled)
        await store.write(pages.series([final]))

        found = await store.read(pages.KEY, pages.span(0, 5))
        assert (len(filled), len(found)) == (4, 2)
        assert [part.span for part in found.quiet()] == [pages.span(1, 3)]

    async def test_slots_that_are_known_in_part_are_not_known(self, store, pages):
        half = timedelta(seconds=30)
        series = pages.series(asked=(0, 20))
        ragged = TimeRange(pages.minute(2) + half, pages.minute(9) + half)
        halves = (
            TimeRange(pages.minute(12), pages.minute(12) + half),
            TimeRange(pages.minute(12) + half, pages.minute(13)),
        )
        coverage = type(series.coverage)(
            asked=pages.span(0, 20),
            proven=(ragged, *halves),
            provisional=(TimeRange(pages.minute(9), pages.minute(11) + half),),
        )

        await store.write(CandleSeries(series.columns, coverage))

        assert store.ledger(pages.KEY).proven == pages.spans((3, 9), (12, 13))
        assert store.ledger(pages.KEY).provisional == pages.spans((9, 11))

    async def test_a_series_that_was_cut_vouches_only_for_what_is_left_of_it(self, store, pages):
        await store.write(pages.series(map(pages.candle, range(10)), proven=[(0, 10)], asked=(0, 10))[4:6])

        assert store.ledger(pages.KEY).proven == pages.spans((4, 6))

    async def test_what_is_proven_is_provisional_no_more_whichever_came_first(self, store, pages):
        await store.write(pages.series(provisional=[(0, 10)]))
        await store.write(pages.series(proven=[(3, 5)]))
        await store.write(pages.series(provisional=[(2, 4), (20, 21)]))

        assert store.ledger(pages.KEY).proven == pages.spans((3, 5))
        assert store.ledger(pages.KEY).provisional == pages.spans((0, 3), (5, 10), (20, 21))

    async def test_the_time_before_the_listing_is_kept_and_no_other_label(self, store, pages):
        others = [
            (5 + place, 6 + place, reason) for place, reason in enumerate(Reason) if reason != Reason.BEFORE_LISTING
        ]
        await store.write(pages.series(before=0, labels=others))
        await store.write(pages.series(before=-500))
        await store.write(pages.series(before=2))

        ((explained),) = store.ledger(pages.KEY).explained
        assert (explained.span, explained.reason) == (pages.span(-1500, 2), Reason.BEFORE_LISTING)

    async def test_a_page_that_was_held_before_adds_nothing(self, store, pages):
        await store.write(pages.page(0, 200))

        again = await store.write(pages.page(100, 210))

        assert (again.added, again.revised) == (sum(map(pages.has_trade, range(200, 210))), ())
        assert await store.read(pages.KEY, pages.span(0, 210)) == pages.page(0, 210)

    async def test_what_the_venue_has_changed_is_told_and_kept_as_a_revision(self, store, pages):
        await store.write(pages.series(map(pages.candle, range(5))))

        remembered = await store.write(pages.series([pages.candle(1), pages.candle(2, 7), pages.candle(9)]))

        ((old, new),) = remembered.revised
        assert remembered.added == 1
        assert (old, new) == (pages.candle(2), pages.candle(2, 7, revision=1))
        assert (await store.read(pages.KEY, pages.span(2, 3)))[0] == new

    async def test_a_stream_changes_nothing_that_was_read_and_a_read_vouches_for_a_stream(self, store, pages):
        await store.write(pages.series([pages.candle(0), pages.candle(1, by=SealedBy.SUCCESSOR)]))

        theirs = await store.write(pages.series([pages.candle(0, 7, by=SealedBy.SUCCESSOR)]))
        vouched = await store.write(pages.series([pages.candle(1)]))

        assert (theirs.added, theirs.revised, vouched.added, vouched.revised) == (0, (), 0, ())
        assert list(await store.read(pages.KEY, pages.span(0, 2))) == [pages.candle(0), pages.candle(1)]

    async def test_venues_symbols_and_timeframes_are_kept_apart(self, store, pages):
        keys = [
            pages.KEY,
            SeriesKey("upbit-sg", pages.KEY.symbol, Timeframe.M1),
            SeriesKey("upbit-kr", Symbol("KRW-ETH"), Timeframe.M1),
            SeriesKey("upbit-kr", pages.KEY.symbol, Timeframe.S1),
        ]
        for price, key in enumerate(keys):
            await store.write(pages.series([pages.candle(0, 50 + price, key=key)], proven=[(0, 1)], key=key))

        for price, key in enumerate(keys):
            assert list(await store.read(key, pages.span(0, 1))) == [pages.candle(0, 50 + price, key=key)]

    @pytest.mark.parametrize("timeframe", list(Timeframe))
    async def test_candles_of_every_timeframe_are_kept(self, store, pages, timeframe):
        key = SeriesKey("upbit-kr", pages.KEY.symbol, timeframe)
        opened, rows = timeframe.floor(pages.START), []
        for number in range(300):
            rows.append(pages.candle(0, key=key, opened_at=opened, revision=number))
            opened = timeframe.next(opened)
        written = pages.series(rows, key=key)

        await store.write(written)

        assert await store.read(key, TimeRange(rows[0].opened_at, opened)) == written

    @pytest.mark.parametrize("count", [-1, 0, 1, 5, 1439, 1440, 1441, 2571, 2572, 9999])
    async def test_the_newest_candles_are_the_end_of_what_a_read_answers(self, store, pages, count):
        whole = pages.span(-10, 3000)
        await store.write(pages.page(0, 3000))
        everything = await store.read(pages.KEY, whole)

        newest = await store.read_newest(pages.KEY, count, whole)

        expected = everything if count >= len(everything) else everything[len(everything) - max(0, count) :]
        assert list(newest) == list(expected)
        assert newest.coverage == expected.coverage
        assert newest.quiet() == expected.quiet()

    async def test_what_is_handed_out_is_not_what_is_kept(self, store, pages):
        written = pages.page(0, 10)
        await store.write(written)
        found = await store.read(pages.KEY, pages.span(0, 10))
        for series in (written, found):
            series.columns.opened[0] = 0
            series.columns.close.units[0] = 0

        assert await store.read(pages.KEY, pages.span(0, 10)) == pages.page(0, 10)

    async def test_its_state_is_another_after_whatever_changes_it_and_only_then(self, store, pages):
        assert isinstance(store, WatchedStore)
        await store.write(pages.series(map(pages.candle, range(20, 30)), provisional=[(30, 40)]))
        changes = [
            lambda: store.write(pages.page(0, 10)),
            lambda: store.mark_verified(pages.KEY, pages.minute(20)),
            lambda: store.invalidate(pages.KEY, pages.span(30, 31)),
            lambda: store.quarantine(pages.KEY, "two pages disagreed"),
        ]
        for change in changes:
            before = store.state()
            await store.read(pages.KEY, pages.span(0, 10))
            await store.read_newest(pages.KEY, 5, pages.span(0, 10))
            assert store.ledger(pages.KEY) is not None
            assert store.state() is before
            await change()
            assert store.state() is not before

    async def test_a_series_that_was_set_aside_is_not_served_and_begins_anew(self, store, pages):
        await store.write(pages.page(0, 100))

        count = await store.quarantine(pages.KEY, "two pages disagreed")
        empty = await store.read(pages.KEY, pages.span(0, 100))
        again = await store.write(pages.page(0, 10))

        assert (count, len(empty), empty.coverage.proven) == (len(pages.page(0, 100)), 0, ())
        assert again.added == len(pages.page(0, 10))
        assert [(line.rows, line.quarantine_reason) for line in await store.inventory()] == [
            (len(pages.page(0, 10)), ""),
            (len(pages.page(0, 100)), "two pages disagreed"),
        ]

    async def test_a_series_may_be_set_aside_more_than_once_and_without_a_reason(self, store, pages):
        for reason in ("first", ""):
            await store.write(pages.page(0, 10))
            assert await store.quarantine(pages.KEY, reason) == len(pages.page(0, 10))

        assert [bool(line.quarantine_reason) for line in await store.inventory()] == [True, True]
        assert store.ledger(pages.KEY) == Ledger()

    async def test_a_doubt_strikes_provisional_coverage_of_every_slot_that_it_touches(self, store, pages):
        half = timedelta(seconds=30)
        await store.write(pages.series(map(pages.candle, range(4)), proven=[(0, 4)], provisional=[(4, 10), (12, 14)]))

        await store.invalidate(pages.KEY, TimeRange(pages.minute(2), pages.minute(5) + half))
        await store.invalidate(pages.KEY, TimeRange(pages.minute(8) + half, pages.minute(9)))

        assert store.ledger(pages.KEY).proven == pages.spans((0, 4))
        assert store.ledger(pages.KEY).provisional == pages.spans((6, 8), (9, 10), (12, 14))
        assert len(await store.read(pages.KEY, pages.span(0, 4))) == 4

    async def test_when_pages_were_last_compared_is_remembered_and_a_write_does_not_forget_it(self, store, pages):
        await store.write(pages.page(0, 10))
        await store.mark_verified(pages.KEY, pages.minute(77))
        await store.write(pages.page(10, 20))

        assert store.ledger(pages.KEY).verified_at == pages.minute(77)

    async def test_the_inventory_is_in_the_order_of_venue_symbol_and_timeframe(self, store, pages):
        names = [
            ("b", "KRW-A", "1m"),
            ("a", "KRW-B", "1s"),
            ("a", "KRW-A", "1d"),
            ("a", "KRW-A", "3m"),
            ("a", "KRW-A", "10m"),
        ]
        for venue, symbol, timeframe in names:
            key = SeriesKey(venue, Symbol(symbol), Timeframe(timeframe))
            await store.write(pages.series([pages.candle(0, key=key)], key=key))
        await store.quarantine(SeriesKey("a", Symbol("KRW-A"), Timeframe.D1), "doubtful")

        held = await store.inventory()

        assert [(line.key.venue, str(line.key.symbol), str(line.key.timeframe)) for line in held] == [
            ("a", "KRW-A", "3m"),
            ("a", "KRW-A", "10m"),
            ("a", "KRW-B", "1s"),
            ("b", "KRW-A", "1m"),
            ("a", "KRW-A", "1d"),
        ]
        assert held[0].span == TimeRange(pages.minute(0), pages.minute(3))

    async def test_the_inventory_names_series_of_which_only_the_coverage_is_known(self, store, pages):
        await store.write(pages.series(proven=[(0, 5)], provisional=[(7, 9)]))

        (line,) = await store.inventory()

        assert (line.rows, line.span) == (0, pages.span(0, 9))

    async def test_after_the_end_nothing_is_answered_and_closing_again_does_nothing(self, store, pages):
        await store.write(pages.page(0, 10))
        await store.close()
        await store.close()

        with pytest.raises(ClosedError):
            store.ledger(pages.KEY)
        for call in (
            store.read(pages.KEY, pages.span(0, 1)),
            store.read_newest(pages.KEY, 1, pages.span(0, 1)),
            store.write(pages.page(0, 10)),
            store.quarantine(pages.KEY, "late"),
            store.mark_verified(pages.KEY, pages.minute(0)),
            store.invalidate(pages.KEY, pages.span(0, 1)),
            store.inventory(),
        ):
            with pytest.raises(ClosedError):
                await call
