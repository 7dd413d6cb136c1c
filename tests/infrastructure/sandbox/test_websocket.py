"""The WebSocket checklist of facts/upbit-api.md, section 8, on a clock that tests move by hand."""

import json

import pytest

from market_backbone.infrastructure.sandbox.units import MINUTE, SECOND

TICKER = {"type": "ticker", "codes": ["KRW-BTC"]}
TRADE = {"type": "trade", "codes": ["KRW-BTC"]}
BOOK = {"type": "orderbook", "codes": ["KRW-BTC"]}
UNITS = ["1s", "1m", "3m", "5m", "10m", "15m", "30m", "60m", "240m"]


def only_snapshot(data):
    return {**data, "is_only_snapshot": True}


def only_realtime(data):
    return {**data, "is_only_realtime": True}


def test_a_request_gets_one_snapshot_per_code_after_170_to_350_ms_and_then_the_stream(bench):
    wire = bench.session()
    wire.send({"type": "ticker", "codes": ["KRW-BTC", "KRW-ETH", "KRW-XRP"]})
    sent = bench.now
    frames = wire.run(5)
    snapshots = [
        (at, frame) for (at, _), frame in zip(wire.arrived, frames, strict=True) if frame["stream_type"] == "SNAPSHOT"
    ]
    assert sorted(frame["code"] for _, frame in snapshots) == ["KRW-BTC", "KRW-ETH", "KRW-XRP"]
    assert all(170 <= at - sent <= 370 for at, _ in snapshots)
    assert {frame["stream_type"] for frame in frames[3:]} == {"REALTIME"}


def test_trades_are_streamed_once_each_and_some_out_of_order(bench):
    wire = bench.session()
    wire.send(only_realtime(TRADE))
    frames = wire.run(300, step_ms=50)
    identities = [frame["sequential_id"] for frame in frames]
    truth = bench.exchange.trades("KRW-BTC", bench.now - 299 * SECOND, bench.now - SECOND)
    assert {trade.sequential_id for trade in truth} <= set(identities)
    assert len(identities) == len(set(identities))
    assert identities != sorted(identities)
    assert all(0 < frame["timestamp"] - frame["trade_timestamp"] <= 440 for frame in frames)


def test_a_trade_frame_has_the_wires_keys_in_the_wires_order(bench):
    wire = bench.session()
    wire.send(only_snapshot(TRADE))
    (frame,) = wire.run(5)
    assert list(frame) == [
        "type",
        "code",
        "timestamp",
        "trade_date",
        "trade_time",
        "trade_timestamp",
        "trade_price",
        "trade_volume",
        "ask_bid",
        "prev_closing_price",
        "change",
        "change_price",
        "sequential_id",
        "best_ask_price",
        "best_ask_size",
        "best_bid_price",
        "best_bid_size",
        "stream_type",
    ]
    assert frame["change_price"] == abs(frame["trade_price"] - frame["prev_closing_price"])
    assert frame["best_bid_price"] < frame["best_ask_price"]


def test_tickers_follow_trades_and_equal_rest(bench):
    wire = bench.session()
    wire.send(TICKER)
    frame = wire.run(20)[-1]
    row = bench.get("ticker", markets="KRW-BTC")[0]
    shared = set(frame) & set(row)
    assert len(shared) > 18
    assert {name: frame[name] for name in shared} == {name: row[name] for name in shared}
    assert frame["acc_ask_volume"] + frame["acc_bid_volume"] == pytest.approx(frame["acc_trade_volume"])
    assert (frame["market_state"], frame["delisting_date"]) == ("ACTIVE", None)


def test_books_are_whole_and_equal_rest(bench):
    wire = bench.session()
    wire.send(BOOK)
    frames = wire.run(10)
    assert 40 < len(frames) <= 102
    stamps = [frame["timestamp"] for frame in frames]
    assert stamps == sorted(stamps)
    frame = frames[-1]
    row = bench.get("orderbook", markets="KRW-BTC")[0]
    assert row["timestamp"] == frame["timestamp"]
    assert row["orderbook_units"] == [
        {name: unit[name] for name in row["orderbook_units"][0]} for unit in frame["orderbook_units"]
    ]
    assert list(frame["orderbook_units"][0]) == ["ask_price", "bid_price", "ask_size", "bid_size"]


@pytest.mark.parametrize("unit", UNITS)
def test_candles_come_on_the_second_when_they_changed_and_end_as_the_truth(bench, unit):
    wire = bench.session()
    wire.send(only_realtime({"type": f"candle.{unit}", "codes": ["KRW-BTC"]}))
    wire.run(90)
    ticks = {at % SECOND for at, _ in wire.arrived}
    assert all(7 <= tick < 30 for tick in ticks)
    last = {}
    for body in wire.bodies():
        frame = json.loads(body)
        assert frame["type"] == f"candle.{unit}"
        last[frame["candle_date_time_utc"]] = frame
    closed = bench.exchange.candles("KRW-BTC", unit, bench.now - 80 * SECOND, bench.now - 3 * SECOND)
    complete = [candle for candle in closed if unit in ("1s", "1m") and candle.timestamp_ms < bench.now - 2 * SECOND]
    for candle in complete:
        volumes = [
            frame["candle_acc_trade_volume"] for frame in last.values() if frame["timestamp"] == candle.timestamp_ms
        ]
        assert float(candle.volume) in volumes
    assert all("unit" not in frame for frame in last.values())


def test_a_quiet_second_sends_no_candle(bench):
    wire = bench.session()
    wire.send(only_realtime({"type": "candle.1m", "codes": ["KRW-AWE"]}))
    assert len(wire.run(600, step_ms=100)) < 20


def test_a_candle_snapshot_is_the_newest_that_exists_even_if_it_is_closed(bench):
    wire = bench.session()
    wire.send({"type": "candle.1m", "codes": ["KRW-STRAX"]})
    (frame,) = wire.run(5)
    assert (frame["stream_type"], frame["candle_date_time_utc"]) == ("SNAPSHOT", "2026-11-22T11:59:00")


def test_the_last_frame_of_a_minute_may_come_after_its_end(bench):
    wire = bench.session()
    wire.send(only_realtime({"type": "candle.1m", "codes": ["KRW-BTC"]}))
    wire.run(600)
    late = [
        at
        for at, body in wire.arrived
        if f'"{at // MINUTE * MINUTE}"' not in body.decode() and at % MINUTE < SECOND and b":00:" not in body[:60]
    ]
    assert late


def test_only_snapshot_is_silent_afterwards_and_only_realtime_has_none(bench):
    wire = bench.session()
    wire.send(only_snapshot(BOOK))
    assert [frame["stream_type"] for frame in wire.run(5)] == ["SNAPSHOT"]
    other = bench.session()
    other.send({**BOOK, "isOnlyRealtime": True})
    assert {frame["stream_type"] for frame in other.run(5)} == {"REALTIME"}
    both = bench.session()
    both.send({**BOOK, "isOnlyRealtime": True, "isOnlySnapshot": True})
    assert [frame["stream_type"] for frame in both.run(5)] == ["SNAPSHOT"]


def test_unknown_and_lower_case_codes_are_silent(bench):
    wire = bench.session()
    wire.send({"type": "ticker", "codes": ["krw-btc", "BTC-KRW", "KRW-NOPE"]})
    assert wire.run(5) == []
    assert wire.closed is None


def test_depth_is_a_suffix_and_other_suffixes_mean_thirty(bench):
    wire = bench.session()
    wire.send(only_snapshot({"type": "orderbook", "codes": ["KRW-BTC.1", "KRW-ETH.15", "KRW-XRP.7"]}))
    depths = {frame["code"]: len(frame["orderbook_units"]) for frame in wire.run(5)}
    assert depths == {"KRW-BTC": 1, "KRW-ETH": 15, "KRW-XRP": 30}


def test_a_level_groups_the_book_and_an_unsupported_one_is_silent(bench):
    wire = bench.session()
    wire.send(
        only_snapshot({**BOOK, "level": 10000}),
        only_snapshot({**BOOK, "level": "100000"}),
        only_snapshot({**BOOK, "level": 7}),
        only_snapshot({**BOOK, "level": "x"}),
        only_snapshot({"type": "orderbook", "codes": ["BTC-ETH"], "level": 10000}),
    )
    assert sorted(frame["level"] for frame in wire.run(5)) == [10000, 100000]


def test_the_same_two_hundred_codes_in_one_request_are_all_served(bench):
    wire = bench.session()
    codes = [f"KRW-X{number}" for number in range(840)] + list(bench.exchange.symbols())
    wire.send(only_snapshot({"type": "orderbook", "codes": codes}))
    assert {frame["code"] for frame in wire.run(2)} == set(bench.exchange.symbols())


def test_default_and_simple_spell_numbers_differently(bench):
    default, simple = bench.session(), bench.session()
    default.send(only_snapshot(BOOK))
    simple.send(only_snapshot(BOOK), shape="SIMPLE")
    default.run(1)
    simple.run(1)
    (long_body,), (short_body,) = default.bodies(), simple.bodies()
    assert b'"ask_price":1.40' in long_body
    assert b"E8" in long_body
    assert b'"ap":140' in short_body
    assert short_body.startswith(b'{"ty":"orderbook","cd":"KRW-BTC","tms":')


@pytest.mark.parametrize(
    ("shape", "key", "listed"),
    [
        ("DEFAULT", "type", False),
        ("SIMPLE", "ty", False),
        ("JSON_LIST", "type", True),
        ("SIMPLE_LIST", "ty", True),
        ("FANCY", "type", False),
    ],
)
def test_formats_decide_keys_and_brackets(bench, shape, key, listed):
    wire = bench.session()
    wire.send(
        only_snapshot(TICKER),
        only_snapshot(TRADE),
        only_snapshot({"type": "candle.1m", "codes": ["KRW-BTC"]}),
        shape=shape,
    )
    frames = wire.run(2)
    assert len(frames) == 3
    rows = [frame[0] for frame in frames] if listed else frames
    assert {row[key] for row in rows} == {"ticker", "trade", "candle.1m"}


def test_a_format_may_stand_anywhere_in_the_request(bench):
    wire = bench.session()
    wire.send_text(json.dumps([{"ticket": "x"}, {"format": "SIMPLE"}, only_snapshot(TRADE)]))
    assert wire.run(2)[0]["ty"] == "trade"


def test_a_new_request_replaces_the_old_one_after_a_few_stale_frames(bench):
    strays = []
    for _ in range(6):
        wire = bench.session()
        wire.send(only_realtime(BOOK))
        wire.run(2)
        wire.send(only_realtime({"type": "orderbook", "codes": ["KRW-ETH"]}))
        frames = wire.run(5)
        assert {frame["code"] for frame in frames[2:]} == {"KRW-ETH"}
        strays.append(sum(frame["code"] == "KRW-BTC" for frame in frames))
    assert max(strays) in (1, 2)


def test_a_replacement_loses_frames_unless_it_is_told_not_to(bench):
    lost = {}
    for enabled in (True, False):
        if not enabled:
            bench.inject("replacement-loss", enabled=False)
        gaps = []
        for _ in range(8):
            wire = bench.session()
            wire.send(only_realtime(TRADE))
            wire.run(1)
            replaced = bench.now
            wire.send(only_realtime(TRADE), only_realtime(TICKER))
            wire.run(3)
            gaps.append(min((at for at, _ in wire.arrived if at > replaced + 150), default=0) - replaced)
            session = wire.session
            gaps[-1] = max(session._running.live_from.values()) - replaced
        lost[enabled] = gaps
    assert max(lost[True]) > 380
    assert max(lost[False]) <= 350


def test_a_replacement_cancels_snapshots_that_were_not_sent_yet(bench):
    wire = bench.session()
    wire.send(only_snapshot(TICKER))
    wire.send(only_snapshot(TRADE))
    assert [frame["type"] for frame in wire.run(3)] == ["trade"]


def test_a_thousandfold_speed_coalesces_books_and_loses_no_trade(bench):
    wire = bench.session()
    wire.send(only_realtime(TRADE), only_realtime(BOOK), only_realtime({"type": "candle.1s", "codes": ["KRW-BTC"]}))
    frames = wire.run(600, step_ms=10_000)
    trades = [frame["sequential_id"] for frame in frames if frame["type"] == "trade"]
    truth = bench.exchange.trades("KRW-BTC", bench.now - 580 * SECOND, bench.now - SECOND)
    assert {trade.sequential_id for trade in truth} <= set(trades)
    assert sum(frame["type"] == "orderbook" for frame in frames) <= 61
    seconds = {frame["candle_date_time_utc"] for frame in frames if frame["type"] == "candle.1s"}
    assert len(seconds) >= len({trade.traded_ms // SECOND for trade in truth})
