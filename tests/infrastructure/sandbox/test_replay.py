"""Recordings are served as they were recorded, and bad ones are refused with what is wrong."""

import ast
import asyncio
import json
from decimal import Decimal

import pytest

from market_backbone.domain.errors import ConfigurationError
from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig
from market_backbone.infrastructure.sandbox.market.engine import Closure
from market_backbone.infrastructure.sandbox.replay.recorded import recorded_sources
from market_backbone.infrastructure.sandbox.replay.recording import read_recording
from market_backbone.infrastructure.sandbox.units import HOUR, MINUTE, SECOND, UNITS

HEADER = (
    "wss://api.upbit.com/websocket/v1 <-> 1700000000.1\n"
    'wss://api.upbit.com/websocket/v1 <- 1700000000.2: [{"ticket":"x"},'
    '{"type":"trade","codes":["KRW-AAA","BTC-BBB"]}]\n\n'
)
FIRST = 1_700_000_001_000


def trade_line(at_ms, number, price, volume, *, code="KRW-AAA", traded=None, side="BID"):
    traded = at_ms - 100 if traded is None else traded
    frame = {"ty": "trade", "cd": code, "tms": at_ms - 50, "ttms": traded, "ab": side, "sid": traded * 1000 + number}
    text = json.dumps(frame)[:-1] + f',"tp":{price},"tv":{volume},"pcp":123.00000000,"st":"REALTIME"}}'
    return f"{at_ms / 1000:.6f}: b'{text}'\n"


def book_line(at_ms, ask, bid, size):
    unit = f'{{"ask_price":{ask},"bid_price":{bid},"ask_size":{size},"bid_size":{size}}}'
    return (
        f'{at_ms / 1000:.6f}: b\'{{"type":"orderbook","code":"KRW-AAA","timestamp":{at_ms - 30},'
        f'"total_ask_size":777.5,"total_bid_size":1E-4,"orderbook_units":[{unit}],"stream_type":"REALTIME"}}\'\n'
    )


@pytest.fixture
def capture(tmp_path):
    path = tmp_path / "own capture.raw"
    path.write_text(
        HEADER
        + trade_line(FIRST, 0, "127.0", "1E-4")
        + book_line(FIRST + 100, "128.0", "127.0", "7.9276E-4")
        + trade_line(FIRST + 400, 1, "126.5", "2.5", traded=FIRST + 250, side="ASK")
        + trade_line(FIRST + 400, 0, "129.0", "3.12345678", traded=FIRST + 200)
        + trade_line(FIRST + 61_000, 0, "130.0", "1")
        + trade_line(FIRST + 61_500, 0, "0.00001", "1", code="BTC-BBB")
        + f'{(FIRST + 62_000) / 1000}: b\'{{"ty":"ticker","cd":"KRW-AAA"}}\'\n'
    )
    return path


@pytest.fixture
def replay(capture, make_bench):
    recording = read_recording(capture)
    bench = make_bench(sources=recorded_sources(recording))
    bench.now = recording.starts_ms - 500
    return bench


def test_the_clock_starts_at_the_first_frame_and_frames_come_in_their_order_at_their_times(replay):
    wire = replay.session()
    wire.send({"type": "trade", "codes": ["KRW-AAA"]}, {"type": "orderbook", "codes": ["KRW-AAA"]})
    frames = wire.run(40, step_ms=10)
    wire.session.touch(replay.now)
    frames += wire.run(40, step_ms=10)
    assert [(at - FIRST) // 10 * 10 for at, _ in wire.arrived] == [0, 100, 400, 410, 61_000]
    assert [frame.get("trade_price") for frame in frames] == [127.0, None, 126.5, 129.0, 130.0]
    assert frames[0]["timestamp"] == FIRST - 50
    assert (frames[0]["prev_closing_price"], frames[0]["change"]) == (123.0, "RISE")
    assert frames[1]["timestamp"] == FIRST + 70
    assert wire.run(20) == []


def test_numbers_are_exact(replay):
    replay.now = FIRST + 200
    body = replay.reply("orderbook", markets="KRW-AAA").body
    row = json.loads(body, parse_float=Decimal)[0]
    assert (row["total_ask_size"], row["total_bid_size"]) == (Decimal("777.5"), Decimal("0.0001"))
    assert row["orderbook_units"] == [
        {"bid_price": 127, "bid_size": Decimal("0.00079276"), "ask_price": 128, "ask_size": Decimal("0.00079276")}
    ]
    trade = replay.get("trades/ticks", market="KRW-AAA")[0]
    assert (trade["trade_price"], trade["trade_volume"], trade["ask_bid"]) == (127.0, 1e-4, "BID")
    assert trade["sequential_id"] == (FIRST - 100) * 1000


def test_what_was_not_received_yet_has_not_happened(replay):
    assert replay.get("trades/ticks", market="KRW-AAA") == []
    assert replay.get("orderbook", markets="KRW-AAA")[0]["orderbook_units"] == []
    assert replay.get("ticker", markets="KRW-AAA") == []
    replay.now = FIRST + SECOND
    prices = [row["trade_price"] for row in replay.get("trades/ticks", market="KRW-AAA", count=9)]
    assert prices == [126.5, 129.0, 127.0]
    assert replay.get("trades/ticks", market="KRW-AAA", count=9, cursor=(FIRST + 250) * 1000)[0]["trade_price"] == 129.0


def test_candles_are_aggregated_from_the_trades(replay):
    replay.now = FIRST + 2 * MINUTE
    newest, older = replay.get("candles/minutes/1", market="KRW-AAA", count=5)
    assert (older["opening_price"], older["high_price"], older["low_price"]) == (127.0, 129.0, 126.5)
    assert older["trade_price"] == 126.5
    assert older["candle_acc_trade_volume"] == 5.62355678
    assert newest["trade_price"] == 130.0
    assert replay.get("candles/seconds", market="BTC-BBB")[0]["trade_price"] == 0.00001
    day = replay.get("candles/days", market="KRW-AAA")[0]
    assert day["trade_price"] == 130.0
    replay.now = FIRST - 500
    wire = replay.session()
    wire.send({"type": "candle.1m", "codes": ["KRW-AAA"], "is_only_realtime": True})
    frames = wire.run(40)
    wire.session.touch(replay.now)
    assert [frame["trade_price"] for frame in frames + wire.run(40)] == [127.0, 126.5, 130.0]


def test_every_endpoint_works_on_a_recording(replay):
    replay.now = FIRST + 2 * MINUTE
    assert [row["market"] for row in replay.get("market/all")] == ["KRW-AAA", "BTC-BBB"]
    ticker = replay.get("ticker", markets="KRW-AAA")[0]
    assert (ticker["trade_price"], ticker["prev_closing_price"], ticker["change_price"]) == (130.0, 123.0, 7.0)
    assert replay.get("orderbook/instruments", markets="KRW-AAA")[0]["tick_size"] == "1"
    assert replay.get("candles/weeks", market="BTC-BBB")
    assert replay.get("orderbook", markets="KRW-AAA")[0]["timestamp"] == FIRST + 70


def test_the_past_of_a_recording_cannot_be_closed(replay):
    source = replay.exchange.view("KRW-AAA").source
    source.close(Closure(0, 1 << 60))
    source.shorten_closures({0}, 1)
    assert source.trades(0, 1 << 60, 1 << 60)


async def test_a_replay_waits_for_its_first_subscriber(capture, client):
    async with Sandbox(SandboxConfig(replay=capture, speed=5, replay_lead_s=1.0)) as sandbox:
        assert sandbox.dataset.startswith("replay-own_capture.raw-")
        assert sandbox.now_ms() == FIRST - 1000
        async with client.get(f"{sandbox.rest_url}/v1/market/all") as reply:
            assert reply.headers["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
        assert sandbox.now_ms() == FIRST - 1000
        async with client.ws_connect(sandbox.websocket_url) as socket:
            await socket.send_str('[{"ticket":"x"},{"type":"trade","codes":["KRW-AAA"]}]')
            prices = [json.loads((await socket.receive(timeout=3)).data)["trade_price"] for _ in range(3)]
        assert prices == [127.0, 126.5, 129.0]


async def test_a_replay_that_does_not_wait_runs_at_once(capture):
    async with Sandbox(SandboxConfig(replay=capture, replay_waits=False, speed=1000)) as sandbox:
        await asyncio.sleep(0.02)
        assert sandbox.now_ms() > FIRST


async def test_a_history_starts_where_it_ends_and_its_clock_runs_at_once(tmp_path):
    path = tmp_path / "page.json"
    path.write_text(json.dumps([candle("2020-01-01T00:00:00", 10.0)]))
    async with Sandbox(SandboxConfig(replay=path, speed=1000)) as sandbox:
        assert sandbox.now_ms() >= 1_577_836_800_000 + MINUTE
        await asyncio.sleep(0.02)
        assert sandbox.now_ms() > 1_577_836_800_000 + MINUTE + SECOND


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it holds no frame"),
        (HEADER.encode(), "it holds no frame"),
        (b"hello\n", "line 1: expected <receive time>: b'{…}', came hello"),
        (HEADER.encode() + b"1700000001.1: b'{\n", "line 4: expected a frame of JSON"),
        (b"1700000001.1: b'[1]'\n", "line 1: expected a JSON object"),
        (b'1700000001.1: b\'{"ty":"trade","cd":"KRW-A"}\'\n', "line 1: expected a trade or an order book"),
        (b'1700000001.1: b\'{"ty":"trade"}\'\n', "line 1: expected a trade or an order book"),
        (trade_line(FIRST, 0, "1.123456789", "1").encode(), "more than 8 decimals"),
        (b"\xff\xfe\x00\n", "line 1: expected text in UTF-8"),
        (b"x" * ((4 << 20) + 2), "line 1: expected at most 4194304 bytes"),
        (b"[]", "expected a JSON array of candle rows"),
        (b"[{]", "expected a JSON array of candle rows, but"),
        (b'[{"market":"KRW-A"}]', "row 1: expected a candle row of Upbit"),
        (b"[1]", "row 1: expected a candle row of Upbit"),
        (b"candle_date_time_kst,opening_price\n", "expected the code in the file name"),
    ],
)
def test_a_bad_recording_is_refused_with_what_was_expected_and_what_came(tmp_path, content, said):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_recording(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_recording_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        Sandbox(SandboxConfig(replay=tmp_path / "none.raw"))


def candle(start, close, unit=1, **more):
    prices = {"opening_price": 10.0, "high_price": 12.5, "low_price": 9.0, "trade_price": close}
    sums = {"candle_acc_trade_price": 100.123456789, "candle_acc_trade_volume": 2.5}
    return {
        "market": "KRW-AAA",
        "candle_date_time_utc": start,
        "timestamp": 1,
        **prices,
        **sums,
        **({"unit": unit} if unit else {}),
        **more,
    }


def history_bench(make_bench, path, rows):
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    recording = read_recording(path)
    bench = make_bench(sources=recorded_sources(recording))
    bench.now = recording.starts_ms
    return bench


def test_a_page_of_candles_becomes_history(tmp_path, make_bench):
    rows = [
        candle("2020-01-01T00:04:00", 11.0),
        candle("2020-01-01T00:01:00", 10.5),
        candle("2020-01-01T00:00:00", 10.25),
    ]
    bench = history_bench(make_bench, tmp_path / "page.json", rows)
    assert bench.now == 1_577_836_800_000 + 5 * MINUTE
    served = bench.get("candles/minutes/1", market="KRW-AAA", count=9)
    assert [row["trade_price"] for row in served] == [11.0, 10.5, 10.25]
    assert served[0]["candle_acc_trade_price"] == 100.12345679
    assert bench.get("candles/minutes/1", market="KRW-AAA", to="2020-01-01T00:04:00Z")[0]["trade_price"] == 10.5
    threes = bench.get("candles/minutes/3", market="KRW-AAA", count=9)
    assert [(row["candle_date_time_utc"], row["trade_price"], row["candle_acc_trade_volume"]) for row in threes] == [
        ("2020-01-01T00:03:00", 11.0, 2.5),
        ("2020-01-01T00:00:00", 10.5, 5.0),
    ]
    assert bench.get("candles/days", market="KRW-AAA")[0]["candle_acc_trade_volume"] == 7.5
    assert bench.get("candles/seconds", market="KRW-AAA") == []
    assert bench.get("trades/ticks", market="KRW-AAA") == []
    assert bench.get("ticker", markets="KRW-AAA")[0]["trade_price"] == 11.0
    assert bench.get("orderbook", markets="KRW-AAA")[0]["orderbook_units"] == []
    source = bench.exchange.view("KRW-AAA").source
    assert source.last_trade(0) is None
    wire = bench.session()
    wire.send(
        {"type": "candle.1m", "codes": ["KRW-AAA"]},
        {"type": "trade", "codes": ["KRW-AAA"]},
        {"type": "orderbook", "codes": ["KRW-AAA"]},
    )
    assert sorted(frame["type"] for frame in wire.run(5)) == ["candle.1m", "trade"]


def test_days_and_seconds_are_known_by_their_fields(tmp_path, make_bench):
    days = [candle("2020-01-02T00:00:00", 11.0, unit=None, prev_closing_price=1.0)]
    assert history_bench(make_bench, tmp_path / "d.json", days).get("candles/days", market="KRW-AAA")
    seconds = [candle("2020-01-02T00:00:07", 11.0, unit=None)]
    bench = history_bench(make_bench, tmp_path / "s.json", seconds)
    assert bench.get("candles/seconds", market="KRW-AAA")
    assert bench.get("candles/minutes/1", market="KRW-AAA")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [candle("2020-01-01T00:00:00", 1.0), candle("2020-01-01T00:03:00", 1.0, unit=3)],
            "row 2: expected candles of one unit",
        ),
        ([candle("2020-01-01T00:00:00", 1.0, unit=None, first_day_of_period="x")], "cannot be replayed"),
        ([candle("2020-01-01T00:00:00", 1.123456789)], "more than 8 decimals"),
    ],
)
def test_a_page_that_cannot_be_a_history_is_refused(tmp_path, rows, said):
    path = tmp_path / "page.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(ConfigurationError, match=said):
        read_recording(path)


TABLE = (
    "candle_date_time_kst,opening_price,high_price,low_price,trade_price,candle_acc_trade_price,candle_acc_trade_volume\n"
    "2020-01-01T12:00:00,1,3,1,2.5,10.25,4\n"
    "2020-01-01T11:00:00,1,2,1,2,10,4\n\n"
    "2020-01-01T09:00:00,1,2,0.5,1,10,4\n"
)


def test_a_table_in_korean_time_becomes_history(tmp_path, make_bench):
    bench = history_bench(make_bench, tmp_path / "krw-aaa.1h.csv", TABLE)
    rows = bench.get("candles/minutes/60", market="KRW-AAA", count=9)
    assert [row["candle_date_time_utc"] for row in rows] == [f"2020-01-01T{hour}:00:00" for hour in ("03", "02", "00")]
    assert bench.now == 1_577_836_800_000 + 4 * HOUR
    assert bench.get("candles/minutes/240", market="KRW-AAA")[0]["low_price"] == 0.5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TABLE.replace("trade_price,candle", "x,candle"), "line 1: expected the columns"),
        (TABLE.replace("2.5,10.25", "2.5"), "line 2: expected 7 values"),
        (TABLE.replace("2.5", "high"), "line 2: expected 7 values"),
        ("\n".join(TABLE.splitlines()[:2]), "expected at least two candles one unit apart"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, content, said):
    path = tmp_path / "krw-aaa.csv"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        read_recording(path)


def test_the_real_capture_is_replayed_frame_by_frame(recorded, make_bench):
    path = recorded / "websocket" / "simple-trades-and-books.2021-04-17.raw"
    recording = read_recording(path)
    bench = make_bench(sources=recorded_sources(recording))
    bench.now = recording.starts_ms - 500
    codes = list(bench.exchange.symbols())
    wire = bench.session()
    wire.send({"type": "trade", "codes": codes}, {"type": "orderbook", "codes": codes}, shape="SIMPLE")
    replayed = [json.loads(body, parse_float=Decimal) for body in (wire.run(35, step_ms=5), wire.bodies())[1]]
    original = [
        json.loads(ast.literal_eval(line.split(": ", 1)[1]), parse_float=Decimal)
        for line in path.read_text().splitlines()
        if ": b'" in line
    ]
    assert len(replayed) == len(original) == 449
    for old, new in zip(original, replayed, strict=True):
        assert {name: value for name, value in new.items() if name in old} == old
    assert len(codes) == 10


def test_real_three_minute_candles_are_the_aggregate_of_real_one_minute_candles(recorded, make_bench):
    folder = recorded / "candles"
    benches = {}
    for unit, name in (
        (1, "upbit_1m_20200220_170000-20200220_202000.json"),
        (3, "upbit_3m_20200220_170000-20200220_200000.json"),
    ):
        recording = read_recording(folder / name)
        benches[unit] = make_bench(sources=recorded_sources(recording))
        benches[unit].now = recording.starts_ms
    threes = benches[3].get("candles/minutes/3", market="KRW-BTC", count=200)
    made = {
        row["candle_date_time_utc"]: row for row in benches[1].get("candles/minutes/3", market="KRW-BTC", count=200)
    }
    assert len(threes) == 60
    keys = ("opening_price", "high_price", "low_price", "trade_price", "candle_acc_trade_volume")
    for row in threes:
        assert {key: row[key] for key in keys} == {key: made[row["candle_date_time_utc"]][key] for key in keys}


def test_the_real_table_of_hours_is_served_from_the_listing_on(recorded, make_bench):
    recording = read_recording(recorded / "candles" / "krw-btc.1h.2017-2023.csv")
    bench = make_bench(sources=recorded_sources(recording))
    bench.now = recording.starts_ms
    first = bench.get("candles/minutes/60", market="KRW-BTC", to="2017-09-25T05:00:00Z", count=200)
    assert [row["candle_date_time_utc"] for row in first] == ["2017-09-25T04:00:00", "2017-09-25T03:00:00"] or first
    assert len(bench.exchange.candles("KRW-BTC", "60m", 0, bench.now)) == 48_971
    assert bench.get("candles/years", market="KRW-BTC", count=9)[-1]["candle_date_time_utc"] == "2017-01-01T00:00:00"
    assert UNITS["60m"]
