"""The rules of a connection: requests, errors, limits, silence."""

import json
from itertools import pairwise

import pytest

from market_backbone.infrastructure.sandbox.units import MINUTE, SECOND

TICKER = {"type": "ticker", "codes": ["KRW-BTC"]}
BOOK = {"type": "orderbook", "codes": ["KRW-BTC"]}


def only_snapshot(data):
    return {**data, "is_only_snapshot": True}


def test_list_subscriptions_tells_what_runs_and_sets_its_format(bench):
    wire = bench.session()
    wire.send(TICKER, BOOK, shape="SIMPLE")
    wire.run(2)
    wire.send({"method": "LIST_SUBSCRIPTIONS"}, ticket="mine")
    frames = wire.run(10)
    (reply,) = [frame for frame in frames if "method" in frame]
    assert reply == {
        "method": "LIST_SUBSCRIPTIONS",
        "result": [{"type": "ticker", "codes": ["KRW-BTC"]}, {"type": "orderbook", "codes": ["KRW-BTC"], "level": 0}],
        "ticket": "mine",
    }
    assert "type" in frames[-1]
    wire.send({"method": "LIST_SUBSCRIPTIONS"}, shape="SIMPLE_LIST")
    (reply,) = [frame[0] for frame in wire.run(1) if isinstance(frame, list) and "mthd" in frame[0]]
    assert reply["rslt"][0] == {"ty": "ticker", "cds": ["KRW-BTC"]}
    idle = bench.session()
    idle.send({"method": "LIST_SUBSCRIPTIONS"})
    assert idle.run(1)[0]["result"] == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("not json", "WRONG_FORMAT"),
        ('{"ticket":"x"}', "WRONG_FORMAT"),
        ("[]", "WRONG_FORMAT"),
        ("[1]", "WRONG_FORMAT"),
        ('[{"type":"ticker","codes":["KRW-BTC"]}]', "NO_TICKET"),
        ('[{"ticket":""},{"type":"ticker","codes":["KRW-BTC"]}]', "NO_TICKET"),
        ('[{"ticket":"x"}]', "NO_TYPE"),
        ('[{"ticket":"x"},{"codes":["KRW-BTC"]}]', "NO_TYPE"),
        ('[{"ticket":"x"},{"type":"ticker"}]', "NO_CODES"),
        ('[{"ticket":"x"},{"type":"ticker","codes":[]}]', "INVALID_PARAM"),
        ('[{"ticket":"x"},{"type":"nope","codes":["KRW-BTC"]}]', "INVALID_PARAM"),
        ('[{"ticket":"x"},{"type":"candle.1d","codes":["KRW-BTC"]}]', "INVALID_PARAM"),
    ],
)
def test_a_bad_request_gets_an_error_frame_and_a_close_150_ms_later(bench, text, name):
    wire = bench.session()
    wire.send_text(text)
    (frame,) = wire.run(5)
    assert frame["error"]["name"] == name
    assert wire.closed.code == 1000
    assert 150 <= bench.now - wire.arrived[0][0] <= 180


def test_error_texts_are_korean_in_korea_and_english_elsewhere(bench, make_bench):
    for where, text in (
        (bench, "nope 은 지원하지 않는 타입입니다."),
        (make_bench("id"), "type nope is not supported."),
    ):
        wire = where.session()
        wire.send({"type": "nope", "codes": ["KRW-BTC"]})
        wire.send(TICKER)
        assert wire.run(2) == [{"error": {"name": "INVALID_PARAM", "message": text}}]


def test_other_regions_refuse_a_level_and_send_none(make_bench):
    bench = make_bench("sg")
    wire = bench.session()
    wire.send(
        only_snapshot({"type": "orderbook", "codes": ["SGD-BTC"]}),
        only_snapshot({"type": "candle.1m", "codes": ["SGD-BTC"]}),
    )
    for frame in wire.run(2):
        assert not {"level", "candle_date_time_kst"} & set(frame)
    wire.send({"type": "orderbook", "codes": ["SGD-BTC"], "level": 0})
    assert wire.run(2)[0]["error"]["name"] == "WRONG_FORMAT"


def test_a_text_ping_starts_an_up_every_ten_seconds_for_as_long_as_the_socket_lives(bench):
    wire = bench.session()
    wire.send_text("PING")
    began = bench.now
    wire.send_text("PING")
    frames = wire.run(125, step_ms=100)
    assert len(frames) in (12, 13)
    assert all(frame == {"status": "UP"} for frame in frames)
    moments = [at for at, _ in wire.arrived]
    assert moments[0] - began <= 10_100
    assert {later - earlier for earlier, later in pairwise(moments)} == {10 * SECOND}


def test_a_silent_socket_is_dropped_without_a_close_frame_after_a_minute(bench):
    wire = bench.session()
    wire.run(60)
    assert wire.closed is None
    wire.run(1)
    assert wire.closed.code is None


def test_a_ping_keeps_a_silent_socket_alive(bench):
    wire = bench.session()
    for _ in range(5):
        wire.run(30, step_ms=500)
        wire.session.touch(bench.now)
    assert wire.closed is None


def test_the_sixth_message_in_a_second_is_refused(bench):
    for closes in (True, False):
        bench.now = bench.now // MINUTE * MINUTE + MINUTE
        wire = bench.session(closes_on_excess=closes)
        for _ in range(6):
            wire.send({"method": "LIST_SUBSCRIPTIONS"})
        frames = wire.run(2)
        assert [frame["error"]["name"] for frame in frames if "error" in frame] == ["TOO_MANY_REQUEST"]
        assert (wire.closed is not None) is closes


def test_a_hundred_messages_a_minute_are_the_most(bench):
    bench.now = bench.now // MINUTE * MINUTE
    wire = bench.session()
    for _ in range(34):
        for _ in range(3):
            wire.send({"method": "LIST_SUBSCRIPTIONS"})
        wire.run(1, step_ms=100)
    assert sum("error" in json.loads(body) for body in wire.bodies()) == 1


def test_without_limits_any_number_of_messages_passes(bench):
    wire = bench.session(limits=False)
    for _ in range(20):
        wire.send({"method": "LIST_SUBSCRIPTIONS"})
    assert len(wire.run(1)) == 20
