"""What lies about in folders is read; what is wrong with it is named, and nothing is dropped in silence."""

import json
import os
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from conftest import START, minutes_of

from market_backbone import ConfigurationError, Finality, MalformedReplyError, SealedBy
from market_backbone.infrastructure.export import write_series

MS = round(START.timestamp() * 1000)
ROWS = [[MS + n * 60_000, 100.1 + n, 200.0, 50.0, 101.0, 1.5] for n in range(5)]
BTC = "files:BTC/KRW"
CSV = "time,open,high,low,close,volume\n"


async def candles(folder, symbol=BTC, frame="1m", **options):
    return await folder.channel(**options).get_candles(symbol, frame)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("KRW-BTC-1m.csv", "files:BTC/KRW"),
        ("KRW-BTC_1m.csv", "files:BTC/KRW"),
        ("KRW-BTC/1m.csv", "files:BTC/KRW"),
        ("BTC_USDT-1m.csv", "files:BTC/USDT"),
        ("deep/down/BTC_USDT/1m.csv", "files:BTC/USDT"),
    ],
)
async def test_the_name_tells_market_and_timeframe(folder, name, symbol):
    folder.write_csv(name)
    assert len(await candles(folder, symbol)) == 60


async def test_with_an_empty_prefix_symbols_are_spelled_as_upbit_does(folder):
    folder.write_csv("BTC_KRW-1m.csv")
    series = await candles(folder, "KRW-BTC", prefix="", venue="my-archive")
    assert (series.symbol, series.venue, len(series)) == ("KRW-BTC", "my-archive", 60)


async def test_text_is_kept_to_the_last_digit_and_floats_by_their_shortest_text(folder):
    folder.write("KRW-BTC-1m.csv", f"{CSV}2026-11-01T00:00:00Z,0.1000,0.30000000000000000001,0.1,0.2,1e-8\n")
    (exact,) = await candles(folder)
    assert (exact.high, exact.volume) == (Decimal("0.30000000000000000001"), Decimal("0.00000001"))
    folder.write("KRW-ETH-1m.json", json.dumps([[MS, 0.1, 0.3, 0.1, 0.2, 1]]))
    (from_json,) = await candles(folder, "files:ETH/KRW")
    assert from_json.high == Decimal("0.3")


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000, 1_000_000_000])
async def test_instants_since_1970_are_read_in_any_unit(folder, unit):
    lines = [f"{(MS // 1000 + 60 * n) * unit},1,2,1,2,3" for n in range(3)]
    folder.write("KRW-BTC-1m.csv", "timestamp,o,h,l,c,v\n" + "\n".join(lines))
    assert minutes_of(await candles(folder)) == [0, 1, 2]


async def test_rows_without_a_header_and_lists_of_ccxt_are_read(folder):
    folder.write("KRW-BTC-1m.csv", "\n".join(",".join(map(str, row)) for row in ROWS))
    folder.write("BTC_USDT-1m.json", json.dumps(ROWS))
    folder.write(
        "ETH_USDT-1m.json", json.dumps([dict(zip("tohlcv", row, strict=True)) | {"time": row[0]} for row in ROWS])
    )
    for symbol in (BTC, "files:BTC/USDT", "files:ETH/USDT"):
        series = await candles(folder, symbol)
        assert (minutes_of(series), series[0].open) == ([0, 1, 2, 3, 4], Decimal("100.1"))


@pytest.mark.parametrize("ending", ["parquet", "feather", "arrow"])
@pytest.mark.parametrize("unit", ["ms", "ns"])
async def test_tables_of_pandas_and_freqtrade_are_read(folder, ending, unit):
    opened = pa.array([datetime.fromtimestamp(row[0] / 1000, UTC) for row in ROWS], pa.timestamp(unit, "UTC"))
    names = ("open", "high", "low", "close", "volume")
    table = pa.table({"date": opened, **{name: [row[n] for row in ROWS] for n, name in enumerate(names, 1)}})
    writer = {"parquet": pyarrow.parquet.write_table}.get(ending, pyarrow.feather.write_feather)
    writer(table, folder.path / f"BTC_USDT-1m.{ending}")
    series = await candles(folder, "files:BTC/USDT")
    assert (minutes_of(series), series[-1].open) == ([0, 1, 2, 3, 4], Decimal("104.1"))


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
async def test_what_our_own_download_writes_is_read_whatever_the_file_is_called(folder, ending):
    folder.write_csv("KRW-BTC-1m.csv")
    folder.write_csv("KRW-ETH-1m.csv", range(3))
    source = folder.channel(prefix="")
    found = [await source.get_candles(symbol, "1m") for symbol in ("KRW-BTC", "KRW-ETH")]
    for path in folder.path.iterdir():
        path.unlink()
    write_series(found, folder.path / f"what.{ending}")
    again = [await candles(folder, symbol, prefix="") for symbol in ("KRW-BTC", "KRW-ETH")]
    assert [list(series) for series in again] == [list(series) for series in found]


async def test_rows_that_come_newest_first_are_turned_round(folder):
    folder.write_csv(minutes=range(9, -1, -1))
    assert minutes_of(await candles(folder)) == list(range(10))


async def test_a_row_whose_slot_was_open_when_the_file_was_written_is_forming(folder):
    file = folder.write_csv(minutes=range(3))
    at = START.timestamp() + 2 * 60 + 30
    os.utime(file, (at, at))
    series = await candles(folder)
    assert [row.finality for row in series] == [Finality.FINAL, Finality.FINAL, Finality.FORMING]
    assert [row.sealed_by for row in series] == [SealedBy.SOURCE, SealedBy.SOURCE, None]
    assert [span.end for span in series.coverage.proven] == [series[1].closed_at]


async def test_a_naive_instant_is_refused_unless_its_zone_is_said(folder):
    folder.write("KRW-BTC-1m.csv", f"{CSV}2026-11-01 09:00:00,1,2,1,2,3\n")
    with pytest.raises(MalformedReplyError, match=r"KRW-BTC-1m.csv, line 2: .* has no time zone; .* option timezone"):
        await candles(folder)
    assert minutes_of(await candles(folder, timezone="Asia/Seoul")) == [0]


async def test_a_column_that_says_utc_in_its_name_needs_no_zone(folder):
    header = (
        "market,candle_date_time_utc,opening_price,high_price,low_price,trade_price,candle_acc_trade_volume,timestamp\n"
    )
    folder.write("KRW-BTC-1m.csv", header + "KRW-BTC,2026-11-01T00:00:00,1,2,1,2,3,17\n")
    assert minutes_of(await candles(folder)) == [0]


GOOD = "2026-11-01T00:00:00Z,1,2,1,2,3\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        (CSV, "holds no row"),
        ("time,open,high\n" + "1,2,3\n", "lacks the columns low (as low l low_price); close"),
        (CSV + GOOD + "2026-11-01T00:01:00Z,nan,2,1,2,3\n", "line 3: open is NaN"),
        (CSV + GOOD + "2026-11-01T00:01:00Z,,2,1,2,3\n", "line 3: open is no number, but ''"),
        (CSV + GOOD + "2026-11-01T00:01:00Z,1,0.5,1,2,3\n", "line 3: impossible candle"),
        (CSV + GOOD + "2026-11-01T00:01:30Z,1,2,1,2,3\n", "line 3: impossible candle"),
        (CSV + GOOD + "2026-11-01T00:01:00Z,1,2,1,2\n", "line 3: expected 6 cells, got 5"),
        (CSV + GOOD + GOOD, "line 3: the slot that opens at 2026-11-01T00:00:00+00:00 comes twice"),
        (CSV + GOOD + "2026-11-01T00:02:00Z,1,2,1,2,3\n2026-11-01T00:01:00Z,1,2,1,2,3\n", "line 4: .*; sort the file"),
        (CSV + GOOD + f"{MS},1,2,1,2,3\n", "line 3: this is in milliseconds, and the rows before are in instants"),
        (CSV + f"{MS},1,2,1,2,3\n{MS // 1000 + 60},1,2,1,2,3\n", "line 3: this is in seconds, and .* in milliseconds"),
        (CSV + "yesterday,1,2,1,2,3\n", "line 2: 'yesterday' is no instant"),
    ],
)
async def test_what_is_wrong_is_named_with_its_line(folder, text, told):
    folder.write("KRW-BTC-1m.csv", text)
    with pytest.raises(MalformedReplyError) as caught:
        await candles(folder)
    assert str(caught.value).startswith("files: ")
    assert "KRW-BTC-1m.csv" in str(caught.value)
    assert _matches(told, str(caught.value)), str(caught.value)


def _matches(told, text):
    places = [text.find(part) for part in told.split(".*")]
    return -1 not in places and places == sorted(places)


@pytest.mark.parametrize("ending", ["parquet", "feather", "json"])
async def test_a_file_that_is_cut_short_is_refused(folder, ending):
    folder.write(f"KRW-BTC-1m.{ending}", "PAR1 and no more")
    with pytest.raises(MalformedReplyError, match="cannot be read"):
        await candles(folder)


async def test_an_export_that_mixes_venues_is_refused(folder):
    header = "venue,symbol,timeframe,opened_at,open,high,low,close,volume\n"
    rows = [
        f"{venue},KRW-BTC,1m,2026-11-01T00:0{n}:00Z,1,2,1,2,3\n" for n, venue in enumerate(["upbit-kr", "sandbox:7"])
    ]
    folder.write("what.csv", header + "".join(rows))
    with pytest.raises(MalformedReplyError, match="line 3: this row is of sandbox:7, and those before are of upbit-kr"):
        await candles(folder)


async def test_two_files_of_one_series_are_told_and_not_chosen_from(folder):
    folder.write_csv("KRW-BTC-1m.csv")
    folder.write_csv("BTC_KRW-1m.csv")
    with pytest.raises(MalformedReplyError, match="2 files hold files:BTC/KRW 1m"):
        await candles(folder)


async def test_blank_lines_before_the_header_are_no_row(folder):
    folder.write("KRW-BTC-1m.csv", f"\n\n{CSV}2026-11-01T00:00:00Z,1,1,1,1,1\n")
    assert len(await candles(folder)) == 1
    folder.write("KRW-ETH-1m.csv", f"\n{MS},1,1,1,1,x\n")
    with pytest.raises(MalformedReplyError, match="line 2: volume is no number"):
        await candles(folder, "files:ETH/KRW")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("2026-11-01T00:00:00Z,1,1,1,1,1,final", "line 2: finality is one of FORMING CLOSED FINAL, not 'final'"),
        ("1e30,1,1,1,1,1,FINAL", "line 2: its instant lies outside of all calendars"),
        ("0001-01-01T00:00:00+09:00,1,1,1,1,1,FINAL", "line 2: its instant lies outside of all calendars"),
        ("9999-12-31T23:59:00Z,1,1,1,1,1,FINAL", "line 2: its instant lies outside of all calendars"),
    ],
)
async def test_an_odd_cell_is_named_and_costs_the_other_files_nothing(folder, row, told):
    folder.write("KRW-BTC-1m.csv", f"{CSV.strip()},finality\n{row}\n")
    with pytest.raises(MalformedReplyError, match=told) as caught:
        await candles(folder)
    assert not caught.value.is_fault
    assert not caught.value.retryable


def test_blank_lines_alone_do_not_keep_the_channel_from_opening(folder):
    folder.write("notes.csv", "\n\n")
    folder.write("deep.json", "[" * 100_000)
    folder.channel()
    assert len(folder.ignored) == 2


def test_a_file_that_is_not_understood_is_told(folder):
    folder.write_csv("notes.csv")
    folder.write("broken.parquet", "no")
    folder.write("readme.txt", "not even looked at")
    folder.channel()
    assert len(folder.ignored) == 2
    assert "broken.parquet cannot be read" in folder.ignored[0]
    assert "notes.csv is named after no market" in folder.ignored[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"folder": "nowhere"}, "plugins.options.files.folder: expected a folder that exists, got 'nowhere'"),
        ({"prefix": "Up bit"}, "prefix: expected a word in lower case"),
        ({"complete": "perhaps"}, "complete: expected true or false, got 'perhaps'"),
        ({"timezone": "Seoul"}, "timezone: expected a zone"),
        ({"most_rows": "many"}, "most_rows: expected a whole number"),
        ({"foldr": "x"}, "unknown option 'foldr'; known: folder, venue"),
    ],
)
def test_every_wrong_option_is_named(folder, options, told):
    with pytest.raises(ConfigurationError) as caught:
        folder.channel(**options)
    assert told in str(caught.value)


def test_options_from_the_environment_are_text(folder):
    folder.write_csv()
    assert folder.channel(complete="TRUE", most_rows="5000")._options.most_rows == 5000
