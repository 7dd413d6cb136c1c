"""Series into files: exact, atomic, and refused in words."""

import csv
from decimal import Decimal

import pyarrow.feather
import pyarrow.parquet
import pytest

from market_backbone import MarketDataError, UnsupportedRequestError, create_candle_request
from market_backbone.infrastructure.export import HEADER, AtomicFile, write_series


@pytest.fixture
async def found(open_market):
    async with open_market() as (_, api):
        return [
            await api.request_data_sync(create_candle_request(symbol, "1m", 5)) for symbol in ("KRW-BTC", "KRW-ETH")
        ]


def write_all(file, found):
    with file:
        for series in found:
            file.add(series)


def test_csv_holds_every_candle_with_exact_numbers(found, tmp_path):
    path = tmp_path / "candles.csv"
    assert write_series(found, path) == 10
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["symbol"] for row in rows] == ["KRW-BTC"] * 5 + ["KRW-ETH"] * 5
    assert [Decimal(row["close"]) for row in rows[:5]] == [candle.close for candle in found[0]]
    assert all("E" not in row["volume"] for row in rows)


@pytest.mark.parametrize(
    ("name", "read"), [("c.parquet", pyarrow.parquet.read_table), ("c.arrow", pyarrow.feather.read_table)]
)
def test_parquet_and_arrow_hold_the_same(found, tmp_path, name, read):
    path = tmp_path / name
    assert write_series(found, path) == 10
    table = read(str(path))
    assert table.column_names == list(HEADER)
    assert table["close"].to_pylist()[:5] == [candle.close for candle in found[0]]


def test_an_unknown_ending_is_refused_with_the_known_ones(found, tmp_path):
    with pytest.raises(UnsupportedRequestError, match=r"\.csv, \.parquet, \.arrow"):
        write_series(found, tmp_path / "c.xlsx")


def test_a_file_that_cannot_be_written_leaves_nothing_behind(found, tmp_path):
    with pytest.raises(MarketDataError, match="cannot write"):
        write_series(found, tmp_path / "missing" / "c.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_leaves_the_old_file_alone(found, tmp_path):
    path = tmp_path / "c.csv"
    write_series(found, path)
    before = path.read_bytes()
    full = AtomicFile(path)
    full._unfinished.symlink_to("/dev/full")
    with pytest.raises(MarketDataError, match="No space left"):
        write_all(full, found)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["c.csv"]


def test_two_runs_that_write_one_file_never_mix_and_the_slower_one_is_told(found, tmp_path):
    path = tmp_path / "candles.csv"
    slow = AtomicFile(path)
    write_series([found[0][:1]], path)
    whole = path.read_bytes()
    with pytest.raises(MarketDataError, match="somebody else") as caught:
        write_all(slow, found)
    assert path.read_bytes() == whole
    assert len(whole.splitlines()) == 2
    (kept,) = (file for file in tmp_path.iterdir() if file != path)
    assert str(kept) in str(caught.value)
    assert len(kept.read_bytes().splitlines()) == 1 + sum(map(len, found))
