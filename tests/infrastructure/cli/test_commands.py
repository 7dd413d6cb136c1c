"""The command line, as a person runs it: real processes of our own, real sandbox, exit codes that mean something."""

import asyncio
import json
import re
import sys

import pytest

from market_backbone.infrastructure.cli.console import banner
from market_backbone.infrastructure.sandbox import Fault


async def test_candles_show_a_table_coverage_and_route_and_say_whose_data_it_is(command, sandbox):
    code, out, err = await command("candles", "KRW-BTC", "1m", "--count", "20")
    assert code == 0
    assert "20 candles" in out
    assert "rule: candles-bulk" in out
    assert f"sandbox:{sandbox.dataset}" in err
    assert "not Upbit" in err


async def test_candles_as_json_are_one_object_a_line_with_a_summary_at_the_end(command):
    code, out, _ = await command("candles", "KRW-BTC", "1m", "--count", "1000", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(lines) == 1001
    assert lines[-1]["summary"]["candles"] == 1000
    assert re.fullmatch(r"\d+\.\d+", lines[0]["close"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("candles", "krw-btc"), 2, "did you mean 'KRW-BTC'"),
        (("candles", "KRW-NOPE"), 2, "unknown symbol 'KRW-NOPE'"),
        (("candles", "KRW-BTC", "7m"), 2, "unknown timeframe '7m'"),
        (("candles", "KRW-BTC", "--count", "0"), 2, "count must be a whole number"),
        (("candles", "KRW-BTC", "--start", "yesterday"), 2, "must look like 2026-11-01"),
        (("follow", "KRW-BTC", "--kind", "gossip"), 2, "expected one of candle"),
        (("follow", "KRW-NOPE", "--kind", "trade"), 2, "unknown symbol 'KRW-NOPE'"),
        (
            ("follow", "KRW-BTC", "--kind", "trade", "--resume-after", "noon"),
            2,
            "must be a trade's sequential_id such as",
        ),
        (("follow", "KRW-BTC", "KRW-ETH", "--kind", "trade", "--resume-after", "17"), 2, "follow each by itself"),
        (("follow", "KRW-BTC", "--resume-after", "2026-11-01T00:00:07"), 2, "did you mean 2026-11-01T00:00:00Z"),
        (("follow", "KRW-BTC", "--reorder", "1"), 2, "reorder_s is for trades only"),
        (
            ("explain", "KRW-BTC", "--policy", "best"),
            2,
            "installed: cache-only, prefer-freshest, rest-only, smart, websocket-first",
        ),
        (("download", "1m", "--from", "2026-11-01"), 2, "expected symbols and a timeframe"),
        (
            ("download", "KRW-BTC", "1m", "--from", "2026-11-01", "--to", "2026-11-01T00:10", "--out", "x.doc"),
            2,
            ".parquet",
        ),
    ],
)
async def test_a_users_mistake_is_one_sentence_on_stderr_and_exit_code_two(command, words, code, said):
    found, out, err = await command(*words)
    assert (found, out) == (code, "")
    assert said in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err


async def test_a_failure_is_exit_code_one_and_names_every_channel(command, sandbox):
    sandbox.inject(Fault("rest-status", status=500))
    code, _, err = await command("candles", "KRW-BTC")
    assert code == 1
    assert "no channel could serve" in err


async def test_follow_prints_events_of_several_symbols_and_stops(command):
    code, out, _ = await command("follow", "KRW-BTC", "KRW-ETH", "--kind", "trade", "--events", "6")
    assert code == 0
    assert len(out.splitlines()) == 6
    assert all(line.startswith(("trade", "switched")) for line in out.splitlines())
    code, out, err = await command("follow", "KRW-BTC", "--history", "5", "--seconds", "2", "--json")
    assert code == 0
    assert json.loads(out.splitlines()[0])["event"] == "HistoryLoaded"
    assert "stopped after 2 s" in err


async def test_explain_shows_the_plan_without_asking_anybody(command, sandbox):
    code, out, _ = await command("explain", "KRW-BTC", "1m", "--count", "5000")
    assert code == 0
    assert "25" in out
    assert "candles-bulk" in out
    code, out, _ = await command("explain", "KRW-BTC", "1m", "--live", "--json")
    assert json.loads(out)["rule"] == "live-stream"
    assert sum(sandbox.counters.requests.values()) == 0


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--kind", "ticker"), "quote-snapshot"),
        (("--kind", "orderbook"), "quote-snapshot"),
        (("--kind", "trade", "--count", "700"), "trades"),
        (("--kind", "trade", "--live"), "live-stream"),
        (("--live",), "live-stream"),
    ],
)
async def test_every_kind_of_request_can_be_explained(command, sandbox, options, rule):
    code, out, _ = await command("explain", "KRW-BTC", *options)
    assert code == 0
    assert f"rule: {rule} " in out
    assert sum(sandbox.counters.requests.values()) == 0


async def test_what_is_held_counts_once_the_server_has_said_whose_data_it_serves(command):
    span = ("--start", "2026-11-01T00:00", "--end", "2026-11-01T02:00")
    await command("candles", "KRW-BTC", "1m", *span)
    _, out, _ = await command("explain", "KRW-BTC", "1m", *span)
    assert "--meet asks it" in out
    _, out, _ = await command("explain", "KRW-BTC", "1m", *span, "--meet")
    assert "rule: candles-held " in out
    assert "--meet" not in out


async def test_bounds_of_what_has_none_are_refused(command):
    code, _, err = await command("explain", "KRW-BTC", "--kind", "ticker", "--start", "2026-11-01")
    assert code == 2
    assert "leave them out" in err


async def test_adapters_lists_channels_with_what_they_can_do(command):
    code, out, _ = await command("adapters")
    assert code == 0
    assert "rest" in out
    assert "websocket" in out
    code, out, _ = await command("adapters", "--json")
    assert {json.loads(line)["name"] for line in out.splitlines()} == {"cache", "rest", "websocket"}


async def test_config_shows_what_is_in_force_and_where_it_comes_from(command):
    code, out, _ = await command("config", "--json", MARKET_BACKBONE__QUEUE__CAPACITY="77")
    rows = {row["setting"]: row for row in map(json.loads, out.splitlines())}
    assert code == 0
    assert rows["queue.capacity"]["value"] == 77
    assert "MARKET_BACKBONE__QUEUE__CAPACITY" in rows["queue.capacity"]["origin"]
    assert rows["upbit.region"]["origin"] == "default.toml"
    code, out, _ = await command("config")
    assert "environment test" in out


async def test_a_configuration_with_three_mistakes_names_all_three(command, tmp_path):
    (tmp_path / "mine.toml").write_text('[upbit]\nregion = "mars"\nfoo = 1\n[queue]\ncapacity = -1\n', encoding="utf-8")
    code, _, err = await command("config", MARKET_BACKBONE_CONFIG=str(tmp_path / "mine.toml"))
    assert code == 2
    for path in ("upbit.region", "upbit.foo", "queue.capacity"):
        assert path in err


async def test_doctor_is_content_and_complains_with_exit_code_one(command, sandbox):
    code, out, _ = await command("doctor")
    assert "channel rest" in out
    assert "do:" in out or code == 0
    sandbox.inject(Fault("refuse-upgrades", status=503))
    code, out, _ = await command("doctor", "--json")
    rows = {row["what"]: row for row in map(json.loads, out.splitlines())}
    assert code == 1
    assert not rows["channel websocket"]["is_ok"]


async def test_download_writes_a_whole_file_and_says_what_is_known(command, tmp_path):
    words = ("download", "KRW-BTC", "KRW-ETH", "1m", "--from", "2026-06-01", "--to", "2026-06-01T02:00")
    code, out, err = await command(*words, "--out", "two.csv")
    assert code == 0, err
    assert len((tmp_path / "two.csv").read_text(encoding="utf-8").splitlines()) == 1 + sum(
        int(found) for found in re.findall(r"(\d+) candles in", out)
    )
    code, out, _ = await command(*words, "--json")
    assert [json.loads(line)["symbol"] for line in out.splitlines()] == ["KRW-BTC", "KRW-ETH"]


async def test_markets_are_listed(command):
    code, out, _ = await command("markets")
    assert (code, "KRW-BTC" in out) == (0, True)
    code, out, _ = await command("markets", "--json")
    assert any(json.loads(line)["symbol"] == "KRW-BTC" for line in out.splitlines())


async def test_every_command_explains_itself(command):
    code, out, _ = await command("--help")
    assert code == 0
    for name in ("demo", "candles", "follow", "download", "explain", "adapters", "doctor", "sandbox", "config"):
        assert name in out
        code, text, _ = await command(name, "--help")
        assert (code, "Usage" in text) == (0, True)


async def test_the_sandbox_command_serves_until_it_is_stopped(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "market_backbone", "sandbox", "--port", "0", "--speed", "5",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        said = b"".join([await asyncio.wait_for(process.stdout.readline(), 20) for _ in range(2)])
        assert b"http://127.0.0.1:" in said
    finally:
        process.terminate()
        await process.wait()


async def test_the_demo_tells_the_story_in_plain_text_and_loses_nothing(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "market_backbone", "demo",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 55)
    text = out.decode()
    assert process.returncode == 0, err.decode()
    assert "\x1b[" not in text
    assert "500 candles" in text
    assert re.search(r"\d+ trades across the cut: 0 lost, 0 doubled", text), text
    assert "websocket -> rest" in text
    assert "rest -> websocket" in text


@pytest.mark.parametrize(
    ("venue", "said"),
    [
        ("upbit-kr", ""),
        ("sandbox:seed-7", "*** sandbox:seed-7: synthetic or recorded data, not Upbit ***\n"),
        ("custom:127.0.0.1:80", "*** custom:127.0.0.1:80: not an official address, not Upbit ***\n"),
        ("binance", "*** binance: another venue's data, not Upbit ***\n"),
    ],
)
def test_a_banner_says_whose_data_it_is_unless_it_is_upbits(capsys, venue, said):
    banner(venue)
    assert capsys.readouterr().err == said


async def test_markets_of_a_venue_that_is_not_installed_are_refused(command):
    code, _, err = await command("markets", "--prefix", "kraken")
    assert (code, "of symbols that begin with kraken:" in err) == (2, True)
