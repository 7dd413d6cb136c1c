"""Commands about what is held: coverage, download, audit; real processes, real sandbox, real files."""

import asyncio
import json
import re
import signal
from datetime import UTC, datetime

import pytest
from attrs import evolve

from market_backbone import CandleSeries, Symbol, Timeframe, TimeRange
from market_backbone.application.paging.prefetch import MAX_AHEAD
from market_backbone.domain.ledger import SeriesKey
from market_backbone.infrastructure.candle_store import SqliteCandleStore
from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MORNING = ("--from", "2026-11-20T02:00", "--to", "2026-11-20T07:00")
LONGER = ("--start", "2026-11-20T02:00", "--end", "2026-11-20T10:00")
DAYS, THREE_WEEKS = 21, ("--from", "2026-10-11", "--to", "2026-11-01")
PAGES = -(-DAYS * 1440 // 200)


@pytest.fixture
async def sandbox():
    async with Sandbox(SandboxConfig(starts_at=NOON, speed=100.0)) as opened:
        yield opened


def calls(sandbox):
    return sandbox.counters.requests["candles"]


async def test_what_was_downloaded_is_listed_and_drawn_with_its_holes(command, sandbox):
    code, out, _ = await command("coverage")
    assert (code, "series on disk: 0" in out) == (0, True)
    code, out, _ = await command("coverage", "KRW-BTC")
    assert (code, "nothing is held" in out) == (1, True)
    await command("download", "KRW-BTC", "1m", *MORNING)
    before = calls(sandbox)
    code, out, _ = await command("coverage")
    assert (code, "series on disk: 1" in out) == (0, True)
    assert re.search(rf"KRW-BTC +1m +300 .* sandbox:{sandbox.dataset}", out)
    code, out, err = await command("coverage", "KRW-BTC", "1m", *LONGER)
    assert code == 1
    assert "300 candles in 480 slots" in out
    assert re.search(r"^█{45}x{27}$", out, re.MULTILINE)
    assert "empty slots: UNKNOWN 180" in out
    assert "not Upbit" in err
    code, out, _ = await command("coverage", "KRW-BTC", "1m", "--start", "2026-11-20T03:00")
    assert (code, "240 candles in 240 slots" in out) == (0, True)
    assert calls(sandbox) == before


async def test_programs_read_coverage_as_one_object_a_line(command, sandbox):
    await command("download", "KRW-BTC", "KRW-ETH", "1m", *MORNING)
    code, out, _ = await command("coverage", "--json")
    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "venue": f"sandbox:{sandbox.dataset}",
            "symbol": symbol,
            "timeframe": "1m",
            "start": "2026-11-20T02:00:00Z",
            "end": "2026-11-20T07:00:00Z",
            "candles": 300,
            "set_aside": "",
        }
        for symbol in ("KRW-BTC", "KRW-ETH")
    ]
    code, out, _ = await command("coverage", "KRW-ETH", "1m", *LONGER, "--json")
    told = json.loads(out)
    assert code == 1
    assert (told["candles"], told["slots"], told["empty"]) == (300, 480, {"UNKNOWN": 180})
    assert told["gaps"] == [{"start": "2026-11-20T07:00:00Z", "end": "2026-11-20T10:00:00Z", "reason": "UNKNOWN"}]


async def test_candles_that_are_held_are_not_asked_for_by_the_next_process(command, sandbox):
    words = ("candles", "KRW-BTC", "1m", *LONGER)
    await command(*words)
    before = calls(sandbox)
    code, out, _ = await command(*words)
    assert (code, calls(sandbox)) == (0, before)
    assert "rule: candles-held" in out


async def test_while_the_exchange_is_down_coverage_says_why_it_cannot_tell_the_dataset(command, sandbox):
    sandbox.inject(Fault("rest-status", status=503))
    code, out, err = await command("coverage", "KRW-BTC")
    assert (code, "nothing is held" in out) == (1, True)
    assert "its dataset is not known" in err


async def test_an_interrupted_download_says_how_to_go_on_and_goes_on(start, command, sandbox):
    process = await start("download", "KRW-ETH", "1m", *THREE_WEEKS)
    first = await asyncio.wait_for(process.stderr.readline(), 30)
    told = re.fullmatch(rb"KRW-ETH 1m: 1\d%, (\d+) rows, \d+ calls\n", first)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines()[-1] == (
        "interrupted; every page that was written is kept, and the same command goes on from there"
    )
    assert b"Traceback" not in err
    done, kept = calls(sandbox), int(told[1]) // 200
    assert done < PAGES
    code, out, err = await command("download", "KRW-ETH", "1m", *THREE_WEEKS, "--out", "eth.csv")
    assert code == 0, err
    assert calls(sandbox) - done <= PAGES - kept + 3, "what the first one has told is not asked for again"
    assert calls(sandbox) <= PAGES + MAX_AHEAD + 3, "pages that were on their way may be lost, and no others"
    assert f"{DAYS * 1440} candles in {DAYS * 1440} slots" in out
    assert int(re.search(r"(\d+) requests", out)[1]) == calls(sandbox) - done
    assert f"wrote {DAYS * 1440} candles to eth.csv" in err
    before = calls(sandbox)
    code, out, _ = await command("download", "KRW-ETH", "1m", *THREE_WEEKS)
    assert (code, "0 requests, 0 rows fetched" in out) == (0, True)
    assert calls(sandbox) == before


async def test_where_nobody_looks_at_a_terminal_progress_is_a_line_every_tenth(command):
    code, _, err = await command("download", "KRW-BTC", "1m", "--from", "2026-11-12", "--to", "2026-11-18")
    assert code == 0
    shares = [int(share) for share in re.findall(r"^KRW-BTC 1m: (\d+)%, \d+ rows, \d+ calls$", err, re.MULTILINE)]
    assert shares == sorted(set(shares))
    assert 5 <= len(shares) <= 10
    assert shares[-1] == 100
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("download", "KRW-BTC", "1m", *MORNING, "--out", "btc.xls"), ".csv, .parquet, .arrow, got 'btc.xls'"),
        (("download", "KRW-BTC", "1m", *MORNING, "--out", "nowhere/btc.csv"), "the folder 'nowhere' does not exist"),
        (("download", "KRW-BTC", "KRW-ETH", *MORNING), "a timeframe at the end, such as KRW-BTC 1m"),
        (("download", "KRW-BTC", "7m", *MORNING), "unknown timeframe '7m'"),
        (("download", "KRW-BTC", "1m"), "Missing option '--from'"),
        (("download", "KRW-BTC", "1m", "--from", "noon"), "--from must look like 2026-11-01"),
        (("audit", "KRW-BTC", "yesterday"), "expected a day such as 2026-11-01, got 'yesterday'"),
        (("audit", "krw-btc", "2026-11-19"), "did you mean 'KRW-BTC'"),
        (("coverage", "KRW-BTC", "7m"), "unknown timeframe '7m'"),
        (("coverage", "KRW-BTC", "--start", "noon"), "--start must look like 2026-11-01"),
    ],
)
async def test_a_mistake_is_exit_code_two_before_any_candle_is_asked_for(command, sandbox, words, said):
    code, out, err = await command(*words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert calls(sandbox) == 0
    if "--out" in words:
        assert sum(sandbox.counters.requests.values()) == 0


async def test_what_stays_unknown_is_exit_code_one_and_what_came_is_kept(command, sandbox):
    await command("download", "KRW-BTC", "1m", *MORNING)
    sandbox.inject(Fault("rest-status", status=500, group="candles"))
    words = ("download", "KRW-BTC", "1m", "--from", "2026-11-20T02:00", "--to", "2026-11-20T10:00")
    code, out, err = await command(*words)
    assert code == 1
    assert "300 candles in 480 slots" in out, err
    assert "UNKNOWN 180" in out
    assert re.search(r"KRW-BTC ended early: .*(500|circuit)", err)
    code, out, _ = await command(*words, "--json")
    told = json.loads(out)
    assert (code, told["candles"], bool(told["error"])) == (1, 300, True)


async def test_what_the_exchange_no_longer_keeps_is_exit_code_one_and_called_so(command):
    code, out, _ = await command("download", "KRW-DOGE", "1s", "--from", "2026-06-01", "--to", "2026-06-01T00:10")
    assert code == 1
    assert "BEYOND_RETENTION 600" in out


async def spoil_a_minute(sandbox, tmp_path):
    """Have the file hold what the exchange never said, as a damaged past would."""
    store = SqliteCandleStore(tmp_path / "cache" / "candles.sqlite3", report=print)
    key = SeriesKey(f"sandbox:{sandbox.dataset}", Symbol("KRW-BTC"), Timeframe.M1)
    span = TimeRange(datetime(2026, 11, 19, 10, tzinfo=UTC), datetime(2026, 11, 19, 11, tzinfo=UTC))
    series = await store.read(key, span)
    rows = list(series)
    rows[7] = evolve(rows[7], volume=rows[7].volume * 3)
    await store.write(CandleSeries.of(key.venue, key.symbol, key.timeframe, rows, series.coverage))
    await store.close()


async def test_an_audit_compares_a_day_with_its_minutes_and_repairs_them(command, sandbox, tmp_path):
    code, out, err = await command("audit", "KRW-BTC", "2026-11-19")
    assert code == 0, err
    assert out == "KRW-BTC 2026-11-19: 25 longer candles compared with 1440 minutes: all agree\n"
    assert "not Upbit" in err
    await spoil_a_minute(sandbox, tmp_path)
    code, out, _ = await command("audit", "KRW-BTC", "2026-11-19")
    assert code == 1
    assert "2 differ" in out
    assert re.search(r"1h 2026-11-19 10:00: held: O .*; its minutes: O ", out)
    code, out, _ = await command("audit", "KRW-BTC", "2026-11-19", "--json")
    assert (code, len(json.loads(out)["differences"])) == (1, 2)
    code, out, _ = await command("audit", "KRW-BTC", "2026-11-19", "--repair")
    assert code == 0
    assert "all agree" in out
    assert "changed by reading them anew: 1" in out


async def test_an_audit_of_what_cannot_be_had_is_exit_code_one(command, sandbox):
    await command("download", "KRW-BTC", "1m", "--from", "2026-11-18T12:00", "--to", "2026-11-19")
    for timeframe in ("1h", "1d"):
        await command("download", "KRW-BTC", timeframe, "--from", "2026-11-18", "--to", "2026-11-19")
    sandbox.inject(Fault("rest-status", status=500, group="candles"))
    code, out, _ = await command("audit", "KRW-BTC", "2026-11-18")
    assert code == 1
    assert "not known: [2026-11-18T00:00:00Z, 2026-11-18T12:00:00Z) UNKNOWN" in out
