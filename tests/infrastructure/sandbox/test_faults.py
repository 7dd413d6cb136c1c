"""Every fault does what it says, and nothing else."""

import json

import pytest

from market_backbone.domain.errors import ConfigurationError
from market_backbone.infrastructure.sandbox import Fault
from market_backbone.infrastructure.sandbox.faults import KINDS, PARAMETERS, FaultSchedule, faults_from, read_script
from market_backbone.infrastructure.sandbox.units import DAY, HOUR, MINUTE, SECOND, UNITS

TRADE = {"type": "trade", "codes": ["KRW-BTC"], "is_only_realtime": True}
BOOK = {"type": "orderbook", "codes": ["KRW-BTC"], "is_only_realtime": True}
BOTH = {"type": "orderbook", "codes": ["KRW-BTC", "KRW-ETH"], "is_only_realtime": True}


def subscribed(bench, *data, seconds=2):
    wire = bench.session()
    wire.send(*data)
    wire.run(seconds)
    wire.arrived.clear()
    return wire


def test_every_kind_says_which_parameters_it_takes():
    assert set(PARAMETERS) == set(KINDS)
    for kind, names in PARAMETERS.items():
        needed = {name[:-1]: "KRW-BTC" for name in names if name.endswith("!")}
        assert Fault(kind, **needed).kind == kind


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "drop-socket"}, "no fault kind named 'drop-socket'; did you mean 'drop-sockets'?"),
        ({"kind": "xyz"}, "no fault kind named 'xyz'; known: drop-sockets"),
        ({"kind": "drop-sockets", "status": 500}, "drop-sockets takes no 'status' (it takes: none)"),
        ({"kind": "delist"}, "delist needs 'symbol'"),
        ({"kind": "rest-status", "status": 200}, "status must lie between 300 and 599, not 200"),
        ({"kind": "rest-status", "group": "candle"}, "group must be one of market, candles"),
        ({"kind": "close-sockets", "code": 1002}, "code must be one of 1000, 1001, not 1002"),
        ({"kind": "stall", "pongs": "no"}, "pongs must be"),
        ({"kind": "stall", "symbol": 3}, "symbol must be"),
        ({"kind": "slow-rest", "seconds": True}, "seconds must be"),
        ({"kind": "slow-rest", "second": 1}, "no parameter named 'second'"),
        ({"at_s": 1}, "'kind' is missing"),
        ("drop-sockets", "expected a table such as"),
    ],
)
def test_a_bad_fault_is_refused_with_what_is_wrong(given, said):
    with pytest.raises(ConfigurationError) as caught:
        faults_from(given)
    assert said in str(caught.value)


def test_all_mistakes_of_a_list_are_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        faults_from([{"kind": "nope"}, {"kind": "delist"}, {"kind": "outage", "hours": 1}])
    assert "fault 1: " in str(caught.value)
    assert "fault 2: delist needs 'symbol'" in str(caught.value)
    assert "fault 3" not in str(caught.value)


def test_a_script_is_toml_or_json(tmp_path):
    toml = tmp_path / "faults.toml"
    toml.write_text('[[fault]]\nkind = "stall"\nat_s = 5\nduration_s = 10\npongs = false\n')
    listed = tmp_path / "faults.json"
    listed.write_text('[{"kind": "stall", "at_s": 5, "duration_s": 10, "pongs": false}]')
    assert read_script(toml) == read_script(listed) == [Fault("stall", at_s=5, duration_s=10, pongs=False)]
    single = tmp_path / "one.toml"
    single.write_text('kind = "drop-sockets"\n')
    assert read_script(single) == [Fault("drop-sockets")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", b"kind = ", "expected TOML or a JSON list"),
        ("a.json", b"{", "expected TOML or a JSON list"),
        ("a.toml", b"\xff\xfe", "expected TOML or a JSON list"),
        ("a.json", b'[{"kind": "nope"}]', "fault 1: no fault kind named 'nope'"),
        ("missing.toml", None, "No such file"),
    ],
)
def test_a_bad_script_is_refused_by_name(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_script(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_fault_begins_and_ends_by_the_sandbox_clock(bench):
    bench.inject("rest-status", status=500, at_s=2, duration_s=3)
    seen = []
    for _ in range(7):
        seen.append(bench.reply("market/all").status)
        bench.now += SECOND
    assert seen == [200, 200, 500, 500, 500, 200, 200]


def test_a_share_hits_some(bench):
    bench.inject("rest-status", status=500, share=0.5)
    assert {bench.reply("market/all").status for _ in range(40)} == {200, 500}


def test_sockets_are_dropped_or_closed_with_a_code(bench):
    for kind, parameters, code in (
        ("drop-sockets", {}, None),
        ("close-sockets", {}, 1000),
        ("close-sockets", {"code": 1001}, 1001),
    ):
        wire = subscribed(bench, TRADE)
        bench.inject(kind, at_s=1, **parameters)
        wire.run(0.9)
        assert wire.closed is None
        wire.run(0.2)
        assert wire.closed.code == code
        bench.clear()


def test_a_stall_is_silent_and_its_frames_are_lost(bench):
    wire = subscribed(bench, BOOK)
    bench.inject("stall", duration_s=5)
    assert wire.run(4.9) == []
    assert wire.session.answers_pings(bench.now)
    frames = wire.run(2)
    assert 5 < len(frames) < 25
    bench.inject("stall", pongs=False)
    assert not wire.session.answers_pings(bench.now)


def test_a_stall_of_one_code_leaves_the_others(bench):
    wire = subscribed(bench, BOTH)
    bench.inject("stall", symbol="KRW-BTC", pongs=False)
    wire.send_text("PING")
    frames = wire.run(12)
    assert {frame["code"] for frame in frames if "code" in frame} == {"KRW-ETH"}
    assert {"status": "UP"} in frames
    assert wire.session.answers_pings(bench.now)


def test_a_dead_code_stops_without_a_word(bench):
    wire = subscribed(bench, BOTH, {"type": "ticker", "codes": ["KRW-BTC"]})
    bench.inject("dead-code", symbol="KRW-BTC", channel="orderbook")
    kinds = {(frame["type"], frame["code"]) for frame in wire.run(20)}
    assert kinds == {("orderbook", "KRW-ETH"), ("ticker", "KRW-BTC")}
    assert bench.get("orderbook", markets="KRW-BTC")


@pytest.mark.parametrize("status", [418, 429, 500, 503])
def test_rest_answers_with_a_status_for_one_group(bench, status):
    bench.inject("rest-status", status=status, group="candles")
    reply = bench.reply("candles/days", market="KRW-BTC")
    assert reply.status == status
    assert bench.reply("market/all").status == 200
    assert (b"seconds" in reply.body) is (status == 418)


def test_slow_rest_answers_late_with_what_it_read_early(bench):
    bench.inject("slow-rest", seconds=4, group="ticker")
    assert bench.reply("ticker", markets="KRW-BTC").delay_s == 4
    assert bench.reply("market/all").delay_s == 0
    bench.inject("slow-rest")
    assert bench.reply("market/all").delay_s == 3


def test_units_lag_behind_each_other(bench):
    def newest():
        return {
            unit: bench.get(f"candles/{unit}", market="KRW-BTC")[0]["timestamp"]
            for unit in ("minutes/1", "days", "months")
        }

    assert len(set(newest().values())) == 1
    bench.inject("unit-lag", unit="1M", seconds=1)
    different = 0
    for _ in range(40):
        bench.now += 130
        seen = newest()
        assert seen["days"] == seen["minutes/1"] >= seen["months"]
        different += seen["days"] > seen["months"]
    assert different
    bench.inject("unit-lag")
    lags = {name: bench.exchange._lag_ms(unit, bench.now) for name, unit in UNITS.items()}
    assert len(set(lags.values())) > 3
    assert all(0 <= lag <= 1000 for lag in lags.values())


def test_frames_come_late(bench):
    wire = subscribed(bench, BOOK)
    bench.inject("late-frames", seconds=3)
    frames = wire.run(10)
    lateness = [at - frame["timestamp"] for (at, _), frame in zip(wire.arrived, frames, strict=True)]
    assert min(lateness) >= 3_000
    bench.clear()
    bench.inject("late-frames", share=0.0)
    assert wire.run(1)


def test_frames_come_twice(bench):
    wire = subscribed(bench, BOOK)
    bench.inject("duplicate-frames", share=0.5)
    frames = wire.run(10)
    stamps = [frame["timestamp"] for frame in frames]
    assert len(set(stamps)) < len(stamps) < 2 * len(set(stamps))


def test_frames_come_out_of_order(bench):
    wire = subscribed(bench, BOOK)
    bench.inject("disordered-frames", maximum_ms=800)
    stamps = [frame["timestamp"] for frame in wire.run(10)]
    assert stamps != sorted(stamps)
    assert len(stamps) == len(set(stamps))
    bench.clear()
    bench.inject("disordered-frames", share=1.0)
    assert wire.run(2)


def test_frames_are_broken(bench):
    wire = subscribed(bench, BOOK)
    bench.inject("malformed-frame", channel="orderbook")
    assert all(isinstance(frame, bytes) for frame in wire.run(2))


def test_stamps_are_microseconds(bench):
    wire = subscribed(bench, BOOK)
    bench.inject("microsecond-timestamp", channel="orderbook")
    assert all(frame["timestamp"] > 10**15 for frame in wire.run(2))


def test_a_book_loses_a_side(bench):
    bench.inject("one-sided-book", symbol="KRW-BTC", side="ask")
    one, other = bench.get("orderbook", markets="KRW-BTC,KRW-ETH")
    assert {unit["ask_price"] for unit in one["orderbook_units"]} == {0}
    assert one["total_bid_size"] > 0
    assert other["total_ask_size"] > 0
    bench.inject("one-sided-book")
    assert {unit["bid_price"] for unit in bench.get("orderbook", markets="KRW-ETH")[0]["orderbook_units"]} == {0}


def test_a_candle_is_revised_after_its_close(bench):
    bench.inject("revise-candle", symbol="KRW-BTC", unit="1m", seconds=20)
    bench.now = bench.now // MINUTE * MINUTE + MINUTE + 6 * SECOND

    def closed(path="candles/minutes/1", to="2026-11-22T12:01:00Z"):
        return bench.get(path, market="KRW-BTC", to=to)[0]

    early, hour = closed(), bench.get("candles/minutes/60", market="KRW-BTC")
    bench.now += 15 * SECOND
    late = closed()
    assert early["candle_date_time_utc"] == late["candle_date_time_utc"]
    assert early["candle_acc_trade_volume"] < late["candle_acc_trade_volume"]
    assert hour
    truth = bench.exchange.candles("KRW-BTC", "1m", bench.now - 2 * MINUTE, bench.now)
    assert late["timestamp"] in [candle.timestamp_ms for candle in truth]
    assert bench.get("candles/minutes/1", market="KRW-ETH")
    bench.clear()
    bench.inject("revise-candle")
    assert bench.get("candles/minutes/1", market="KRW-AWE", count=3)


def test_an_outage_leaves_hours_without_a_trade(closable_bench):
    bench = closable_bench
    before = bench.get("candles/minutes/1", market="KRW-BTC", count=5)
    bench.inject("outage", hours=2)
    began = bench.now
    bench.now += HOUR
    assert bench.exchange.trades("KRW-BTC", began, bench.now) == []
    assert bench.get("candles/minutes/1", market="KRW-BTC", count=5, to="2026-11-22T12:00:30Z")[1:] == before[1:]
    stamp = bench.get("orderbook", markets="KRW-BTC")[0]["timestamp"]
    assert stamp < began
    wire = bench.session()
    wire.send({"type": "trade", "codes": ["KRW-BTC"]}, {"type": "orderbook", "codes": ["KRW-BTC"]})
    assert [frame["stream_type"] for frame in wire.run(20, step_ms=200)] == ["SNAPSHOT", "SNAPSHOT"]
    bench.clear()
    reopened = bench.now
    bench.now += MINUTE
    assert bench.exchange.trades("KRW-BTC", began, reopened) == []
    assert bench.exchange.trades("KRW-BTC", reopened, bench.now)


def test_an_outage_of_one_code_leaves_the_others(closable_bench):
    bench = closable_bench
    bench.inject("outage", symbol="KRW-ETH", duration_s=600)
    bench.now += 5 * MINUTE
    assert bench.exchange.trades("KRW-ETH", bench.now - 4 * MINUTE, bench.now) == []
    assert bench.exchange.trades("KRW-BTC", bench.now - 4 * MINUTE, bench.now)


def test_maintenance_stops_rest_sockets_and_trading(closable_bench):
    bench = closable_bench
    wire = subscribed(bench, TRADE)
    bench.inject("maintenance", hours=1)
    wire.run(1)
    assert wire.closed.code == 1001
    assert bench.reply("market/all").status == 500
    bench.now += HOUR
    assert bench.reply("market/all").status == 200
    assert bench.exchange.trades("KRW-BTC", bench.now - HOUR + SECOND, bench.now) == []
    bench.inject("maintenance", status=503)
    reply = bench.reply("market/all")
    assert (reply.status, reply.headers["Content-Type"]) == (503, "text/html")


def test_a_delisted_code_is_gone_from_everywhere(bench):
    wire = subscribed(bench, BOTH)
    bench.inject("delist", symbol="KRW-BTC")
    assert "KRW-BTC" not in {row["market"] for row in bench.get("market/all")}
    assert bench.refused("candles/days", market="KRW-BTC")[1]["message"] == "Code not found"
    assert {frame["code"] for frame in wire.run(2)} == {"KRW-ETH"}
    bench.clear()
    assert bench.get("candles/days", market="KRW-BTC")
    with pytest.raises(KeyError):
        bench.exchange.view("KRW-NOPE")


def test_a_renamed_code_takes_its_history_along(bench):
    before = bench.get("candles/days", market="KRW-POL", count=3)
    bench.inject("rename", symbol="KRW-POL", to="KRW-NEW")
    after = bench.get("candles/days", market="KRW-NEW", count=3)
    assert [{**row, "market": "KRW-POL"} for row in after[1:]] == before[1:]
    assert bench.reply("candles/days", market="KRW-POL").status == 404
    assert "KRW-NEW" in {row["market"] for row in bench.get("market/all")}


def test_a_redenomination_rescales_the_whole_history_exactly(bench):
    query = {"market": "KRW-XRP", "count": 100, "to": "2025-01-01T00:00:00Z"}
    before, book = bench.get("candles/days", **query), bench.get("orderbook", markets="KRW-XRP")[0]
    frames = subscribed(bench, {**TRADE, "codes": ["KRW-XRP"]})
    bench.inject("redenominate", symbol="KRW-XRP")
    after = bench.get("candles/days", **query)
    for old, new in zip(before, after, strict=True):
        assert new["trade_price"] == old["trade_price"] * 10
        assert new["candle_acc_trade_volume"] == pytest.approx(old["candle_acc_trade_volume"] / 10)
        assert new["candle_acc_trade_price"] == old["candle_acc_trade_price"]
    view = bench.exchange.view("KRW-XRP")
    trades = bench.exchange.trades("KRW-XRP", bench.now - HOUR, bench.now)
    bar = bench.exchange.bar(view, bench.now - HOUR, bench.now, bench.now + DAY)
    assert bar.volume == sum(trade.volume_e8 for trade in trades)
    assert bar.turnover == sum(trade.volume_e8 * trade.price_e8 for trade in trades)
    assert (
        bench.get("orderbook", markets="KRW-XRP")[0]["orderbook_units"][0]["ask_price"]
        >= book["orderbook_units"][0]["ask_price"] * 9
    )
    assert all(frame["trade_price"] > 20_000 for frame in frames.run(20))
    assert bench.get("ticker", markets="KRW-XRP")[0]["trade_price"] > 20_000


def test_a_page_is_wrongly_empty(bench):
    bench.inject("empty-page", symbol="KRW-BTC")
    assert bench.get("candles/days", market="KRW-BTC") == []
    assert bench.get("trades/ticks", market="KRW-BTC") == []
    assert bench.get("candles/days", market="KRW-ETH")


def test_a_body_is_broken(bench):
    bench.inject("malformed-body", group="market")
    with pytest.raises(ValueError, match=r"decode|Expecting|Invalid|Unterminated"):
        json.loads(bench.reply("market/all").body)


def test_remaining_req_is_missing(bench):
    bench.inject("drop-remaining-req")
    assert "Remaining-Req" not in bench.reply("market/all").headers


def test_a_loss_of_a_given_length(bench):
    wire = subscribed(bench, BOOK)
    bench.inject("replacement-loss", maximum_ms=2_000)
    replaced = bench.now
    wire.send(BOOK)
    wire.run(3)
    fresh = [at - replaced for at, _ in wire.arrived if at - replaced > 200]
    assert min(fresh) >= 2_000


def test_the_board_tells_the_newest_fault_that_matches():
    schedule = FaultSchedule(1)
    schedule.add(Fault("rest-status", status=500), 0)
    schedule.add(Fault("rest-status", status=429, group="ticker"), 0)
    assert schedule.active("rest-status", 1, group="ticker").status == 429
    assert schedule.active("rest-status", 1, group="candles").status == 500
    assert schedule.hits("rest-status", -1) is None
    assert len(schedule.clear()) == 2
    assert schedule.scheduled() == ()
