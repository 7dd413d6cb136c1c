"""Our own stores keep what the port promises."""

import pytest

from market_backbone.infrastructure.candle_store import MemoryCandleStore, SqliteCandleStore
from market_backbone.infrastructure.conformance import CandleStoreContract, StoreUnderTest


class TestSqlite(CandleStoreContract):
    @pytest.fixture
    def subject(self, tmp_path):
        def opened():
            return SqliteCandleStore(tmp_path / "candles.sqlite3", report=lambda *told: pytest.fail(f"{told}"))

        def fill_up():
            used = store._connection.execute("PRAGMA page_count").fetchone()[0]
            store._connection.execute(f"PRAGMA max_page_count = {used + 2}")

        def make_room():  # the store has begun with a fresh connection, which knows of no limit
            assert store._connection.execute("PRAGMA max_page_count").fetchone()[0] > 10**6

        store = opened()
        return StoreUnderTest(store, reopen=opened, break_medium=fill_up, mend_medium=make_room)


class TestMemory(CandleStoreContract):
    @pytest.fixture
    def subject(self):
        return StoreUnderTest(MemoryCandleStore())
