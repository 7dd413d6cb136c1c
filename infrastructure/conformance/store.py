"""The contract of a store of candles."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, suppress

import pytest
import pytest_asyncio

from ...domain.errors import ChannelUnavailableError, ClosedError
from ...domain.ledger import Ledger
from ...domain.ports import CandleStore
from .model_market import KEY, page, span
from .promises import promise, refused, require, require_equal, require_is_a
from .store_coverage import StoreCoveragePromises
from .store_rows import StoreRowPromises
from .targets import FULL_MEDIUM, REOPEN, StoreUnderTest, do, opened
from .task_watch import TaskWatch

_PAGES = 6
_PAGE_ROWS = 100
_LARGE = 2900
_TURNS = (0, 1, 2, 3, 5, 8)


@pytest.mark.asyncio
class CandleStoreContract(StoreRowPromises, StoreCoveragePromises):
    """The promises S-01 to S-24. Override ``subject`` with a store that holds nothing."""

    @pytest.fixture
    def subject(self) -> StoreUnderTest | AbstractAsyncContextManager[StoreUnderTest]:
        """Return the store to test, or an async context manager that yields it; the contract closes it."""
        pytest.fail("override the fixture 'subject': return StoreUnderTest(YourStore(...))")

    @pytest_asyncio.fixture
    async def under_test(
        self, subject: StoreUnderTest | AbstractAsyncContextManager[StoreUnderTest]
    ) -> AsyncGenerator[StoreUnderTest]:
        """Open what ``subject`` returned, and close it after the test."""
        async with opened(subject) as under_test:
            yield under_test
            with suppress(Exception):  # a promise of its own tells of a close that fails
                await under_test.store.close()

    @promise()
    async def test_s01_protocol(self, under_test: StoreUnderTest) -> None:
        """S-01: A store has every member of the port.

        Do: look at the object.
        Pass: it is a `CandleStore`.
        """
        require_is_a(under_test.store, CandleStore, f"{under_test.store!r} lacks members of `CandleStore`")

    @promise()
    async def test_s02_empty(self, under_test: StoreUnderTest) -> None:
        """S-02: Of a series that was never written nothing is known, and nothing is an error.

        Do: read, doubt, mark as verified and set aside a series that is not held.
        Pass: no candles, no coverage, an empty ledger and inventory, and 0 rows set aside.
        """
        store = under_test.store
        found = await store.read(KEY, span(0, 5))
        newest = await store.read_newest(KEY, 3, span(0, 5))
        await store.invalidate(KEY, span(0, 5))
        await store.mark_verified(KEY, span(0, 5).start)
        require_equal((len(found), found.coverage.proven, len(newest)), (0, (), 0), "what is read")
        require_equal(found.coverage.asked, span(0, 5), "the question that the coverage names")
        require_equal(await store.quarantine(KEY, "of no use"), 0, "rows set aside")
        require_equal((store.ledger(KEY), len(await store.inventory())), (Ledger(), 0), "ledger and inventory")

    @promise()
    async def test_s18_two_writers(self, under_test: StoreUnderTest) -> None:
        """S-18: Two writers of one series lose nothing of each other's.

        Do: write pages that alternate and overlap, all at once.
        Pass: every candle and all coverage of every page is held.
        """
        await _write_all(under_test.store, under_test.store)
        await _require_whole(under_test.store)

    @promise(REOPEN)
    async def test_s19_two_stores(self, under_test: StoreUnderTest) -> None:
        """S-19: Two stores on one medium lose nothing of each other's.

        Do: open another store on the same medium and write through both at once.
        Pass: both hold every candle and all coverage.
        """
        other = await under_test.open_again()
        try:
            await _write_all(under_test.store, other)
            await _require_whole(under_test.store)
            await _require_whole(other)
        finally:
            await other.close()

    @promise(REOPEN)
    async def test_s20_reopened(self, under_test: StoreUnderTest) -> None:
        """S-20: What was written is there when the store is opened again.

        Do: write a page, set another series aside, mark as verified, close, and open again.
        Pass: candles, ledger and inventory are the same.
        """
        store = under_test.store
        await store.write(page(0, 50))
        await store.quarantine(KEY, "two pages disagreed")
        await store.write(page(0, 20))
        await store.mark_verified(KEY, span(0, 1).end)
        before = (store.ledger(KEY), list(await store.inventory()))
        await store.close()
        again = await under_test.open_again()
        try:
            require_equal((again.ledger(KEY), list(await again.inventory())), before, "ledger and inventory")
            require(await again.read(KEY, span(0, 20)) == page(0, 20), "the candles differ after opening again")
        finally:
            await again.close()

    @promise()
    async def test_s21_cancelling(self, under_test: StoreUnderTest) -> None:
        """S-21: A write that is cancelled is kept whole or not at all, and leaves nothing running.

        Do: cancel writes of different pages at once, or after up to 8 turns of the loop.
        Pass: of each page all candles and the coverage are held, or none; one second later no task is left.
        """
        store = under_test.store
        for number, turns in enumerate(_TURNS):
            first = number * _PAGE_ROWS
            with TaskWatch() as watch:
                await _cancelled_write(store, first, turns)
                left = await watch.left()
            require(not left, f"a write, cancelled after {turns} turns, left {', '.join(left)}")
        for number in range(len(_TURNS)):
            bounds = span(number * _PAGE_ROWS, (number + 1) * _PAGE_ROWS)
            found = await store.read(KEY, bounds)
            whole = page(number * _PAGE_ROWS, (number + 1) * _PAGE_ROWS)
            what = (list(found), found.coverage.proven)
            is_right = what in (([], ()), (list(whole), (bounds,)))
            require(is_right, f"{len(found)} of {len(whole)} candles, proven {found.coverage.proven}")

    @promise()
    async def test_s22_close(self, under_test: StoreUnderTest) -> None:
        """S-22: Closing is idempotent, and after it every call is refused with ClosedError.

        Do: close twice, then call every method.
        Pass: `ClosedError` each time.
        """
        store = under_test.store
        await store.write(page(0, 5))
        await store.close()
        await store.close()
        with refused("a ledger of a closed store", ClosedError):
            store.ledger(KEY)
        for call in (
            lambda: store.read(KEY, span(0, 1)),
            lambda: store.read_newest(KEY, 1, span(0, 1)),
            lambda: store.write(page(0, 5)),
            lambda: store.quarantine(KEY, "late"),
            lambda: store.mark_verified(KEY, span(0, 1).start),
            lambda: store.invalidate(KEY, span(0, 1)),
            store.inventory,
        ):
            with refused("a call of a closed store", ClosedError):
                await call()

    @promise(FULL_MEDIUM)
    async def test_s24_full_medium(self, under_test: StoreUnderTest) -> None:
        """S-24: A medium that fails is a ChannelUnavailableError; what was written before stays readable.

        Do: write a page, break the medium, write a larger page, mend it, and write that page again.
        Pass: the second writing is refused, and the first page stays as it was; the third keeps everything.
        """
        store = under_test.store
        await store.write(page(0, _PAGE_ROWS))
        await do(under_test.break_medium)
        try:
            with refused("a write to a medium that takes no more", ChannelUnavailableError):
                await store.write(page(_PAGE_ROWS, _LARGE))
            found = await store.read(KEY, span(0, _LARGE))
            what = (list(found), found.coverage.proven)
            require_equal(what, (list(page(0, _PAGE_ROWS)), (span(0, _PAGE_ROWS),)), "what is held")
        finally:
            await do(under_test.mend_medium)
        await store.write(page(_PAGE_ROWS, _LARGE))
        require(await store.read(KEY, span(0, _LARGE)) == page(0, _LARGE), "the page that was refused is not kept")


async def _write_all(one: CandleStore, other: CandleStore) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(_PAGES):
            first = number * _PAGE_ROWS
            group.create_task((one, other)[number % 2].write(page(first, first + _PAGE_ROWS + 20)))


async def _require_whole(store: CandleStore) -> None:
    beyond = _PAGES * _PAGE_ROWS + 20
    found, whole = await store.read(KEY, span(0, beyond)), page(0, beyond)
    require_equal(len(found), len(whole), "candles that are held")
    require(found == whole, "the candles that are held are not those that were written")
    require_equal(found.coverage.proven, (span(0, beyond),), "the coverage that is held")
    require_equal(store.ledger(KEY).proven, (span(0, beyond),), "the ledger")


async def _cancelled_write(store: CandleStore, first: int, turns: int) -> None:
    async def write() -> None:
        await store.write(page(first, first + _PAGE_ROWS))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
