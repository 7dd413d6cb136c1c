"""The REST checklist of facts/upbit-api.md, section 8, against the handlers without sockets."""

import gzip
import hashlib
import json
from decimal import Decimal

import pytest

from market_backbone.infrastructure.sandbox.market.values import to_decimal
from market_backbone.infrastructure.sandbox.units import DAY, MINUTE, SECOND

CANDLES = {
    "candles/seconds": "1s",
    **{f"candles/minutes/{minutes}": f"{minutes}m" for minutes in (1, 3, 5, 10, 15, 30, 60, 240)},
    "candles/days": "1d",
    "candles/weeks": "1w",
    "candles/months": "1M",
    "candles/years": "1y",
}
INVALID = "Invalid parameter. Check the given value!"
MISTYPED = "Type mismatch error. Check the parameters type!"


@pytest.mark.parametrize(("path", "unit"), CANDLES.items())
def test_candles_of_every_unit_are_the_truth_newest_first(bench, path, unit):
    rows = bench.get(path, market="KRW-ETH", count=5)
    reach = {"1s": MINUTE, "1w": 60 * DAY, "1M": 400 * DAY, "1y": 4_000 * DAY}.get(unit, 20 * DAY)
    truth = bench.exchange.candles("KRW-ETH", unit, bench.now - reach, bench.now + 1)
    assert [row["timestamp"] for row in rows] == [candle.timestamp_ms for candle in truth[:-6:-1]]
    assert [Decimal(str(row["trade_price"])) for row in rows] == [candle.close for candle in truth[:-6:-1]]


def test_a_minute_row_is_spelled_as_on_the_wire(bench):
    body = bench.reply("candles/minutes/1", market="KRW-BTC").body.decode()
    bar = bench.exchange.candles("KRW-BTC", "1m", bench.now - MINUTE, bench.now)[-1]
    assert body == (
        '[{"market":"KRW-BTC","candle_date_time_utc":"2026-11-22T12:00:00","candle_date_time_kst":"2026-11-22T21:00:00",'
        f'"opening_price":{bar.open:.8f},"high_price":{bar.high:.8f},"low_price":{bar.low:.8f},'
        f'"trade_price":{bar.close:.8f},"timestamp":{bar.timestamp_ms},"candle_acc_trade_price":{bar.turnover:.8f},'
        f'"candle_acc_trade_volume":{bar.volume:.8f},"unit":1}}]'
    )


def test_each_unit_has_its_own_extra_fields(bench):
    common = set(bench.get("candles/seconds", market="KRW-BTC")[0])
    day = {"prev_closing_price", "change_price", "change_rate"}
    assert set(bench.get("candles/minutes/240", market="KRW-BTC")[0]) - common == {"unit"}
    assert set(bench.get("candles/days", market="KRW-BTC")[0]) - common == day
    assert set(bench.get("candles/weeks", market="KRW-BTC")[0]) - common == {"first_day_of_period"}
    converted = bench.get("candles/days", market="KRW-BTC", converting_price_unit="KRW")[0]
    assert converted["converted_trade_price"] is None
    assert bench.get("candles/days", market="BTC-ETH", convertingPriceUnit="KRW")[0]["converted_trade_price"] > 0
    assert bench.refused("candles/days", market="BTC-ETH", converting_price_unit="USD")[1]["message"] == INVALID


def test_a_day_knows_the_close_before_it_and_signs_its_change(bench):
    newest, older = bench.get("candles/days", market="KRW-BTC", count=2)
    assert newest["prev_closing_price"] == older["trade_price"]
    assert newest["change_price"] == newest["trade_price"] - older["trade_price"]
    assert abs(newest["change_rate"] - newest["change_price"] / older["trade_price"]) < 1e-10
    assert any(row["change_price"] < 0 for row in bench.get("candles/days", market="KRW-BTC", count=50))
    listed = bench.get("candles/days", market="KRW-KAIA", count=200)[-1]
    assert listed["prev_closing_price"] == listed["opening_price"]


@pytest.mark.parametrize(
    "to",
    [
        "2026-11-22T11:00:00Z",
        "2026-11-22T11:00:00",
        "2026-11-22 11:00:00",
        "2026-11-22T20:00:00+09:00",
        "2026-11-22T11:00:00.000Z",
        "2026-11-22T10:59:00.001Z",
    ],
)
def test_to_is_exclusive_in_every_spelling_and_utc_without_a_zone(bench, to):
    row = bench.get("candles/minutes/1", market="KRW-BTC", to=to)[0]
    assert row["candle_date_time_utc"] == "2026-11-22T10:59:00"


def test_to_inside_a_slot_returns_its_whole_candle(bench):
    row = bench.get("candles/minutes/60", market="KRW-BTC", to="2026-11-22T10:00:01Z")[0]
    assert row == bench.get("candles/minutes/60", market="KRW-BTC", to="2026-11-22T11:00:00Z")[0]


def test_a_future_to_is_now_and_one_before_the_listing_is_empty(bench):
    assert bench.get("candles/days", market="KRW-BTC", to="2030-01-01T00:00:00Z") == bench.get(
        "candles/days", market="KRW-BTC"
    )
    assert bench.get("candles/days", market="KRW-BTC", to="2016-01-01T00:00:00Z") == []
    first = bench.get("candles/minutes/60", market="KRW-BTC", to="2017-09-25T04:00:00Z", count=200)
    assert [row["candle_date_time_utc"] for row in first] == ["2017-09-25T03:00:00"]


@pytest.mark.parametrize("to", ["yesterday", "2026-11-22T20:00:00 09:00", "2026-13-01T00:00:00Z", "2026-11-22"])
def test_a_to_that_is_no_time_is_refused(bench, to):
    assert bench.refused("candles/minutes/1", market="KRW-BTC", to=to) == (400, {"name": 400, "message": INVALID})


def test_count_is_one_by_default_and_silently_at_most_two_hundred(bench):
    assert len(bench.get("candles/minutes/60", market="KRW-BTC")) == 1
    assert len(bench.get("candles/minutes/60", market="KRW-BTC", count=1000)) == 200
    assert bench.refused("candles/minutes/60", market="KRW-BTC", count=0)[1]["message"] == INVALID


def test_pages_that_follow_the_oldest_row_join_without_gap_or_overlap(bench):
    rows, to = [], "2026-11-22T12:00:00Z"
    for _ in range(4):
        page = bench.get("candles/minutes/1", market="KRW-AWE", count=50, to=to)
        rows += page
        to = page[-1]["candle_date_time_utc"] + "Z"
    starts = [row["candle_date_time_utc"] for row in rows]
    assert starts == sorted(set(starts), reverse=True)
    truth = bench.exchange.candles("KRW-AWE", "1m", bench.now - DAY, bench.now // MINUTE * MINUTE)
    assert [candle.timestamp_ms for candle in truth[-200:]] == [row["timestamp"] for row in rows[::-1]]


def test_seconds_are_kept_for_three_months(bench):
    assert bench.get("candles/seconds", market="KRW-BTC", to="2026-08-22T00:00:00Z", count=10) == []
    assert len(bench.get("candles/seconds", market="KRW-BTC", to="2026-08-23T00:00:00Z", count=10)) == 10
    edge = bench.get("candles/seconds", market="KRW-BTC", to="2026-08-22T12:01:30Z", count=200)
    assert edge[-1]["candle_date_time_utc"] >= "2026-08-22T12:00:30"
    assert 0 < len(edge) <= 60


def test_lower_case_markets_are_accepted(bench):
    assert bench.get("candles/days", market="krw-btc") == bench.get("candles/days", market="KRW-BTC")
    assert bench.get("orderbook", markets="krw-btc")[0]["market"] == "KRW-BTC"


@pytest.mark.parametrize(
    ("path", "query", "status", "message"),
    [
        ("candles/minutes/1", {}, 400, "Missing request parameter error. Check the required parameters!"),
        ("ticker", {}, 400, "Missing request parameter error. Check the required parameters!"),
        ("candles/minutes/1", {"market": "KRW-BTC", "count": "abc"}, 400, MISTYPED),
        ("candles/minutes/x", {"market": "KRW-BTC"}, 400, MISTYPED),
        ("candles/minutes/120", {"market": "KRW-BTC"}, 400, INVALID),
        ("orderbook", {"markets": "KRW-BTC", "count": "abc"}, 400, MISTYPED),
        ("orderbook", {"markets": "KRW-BTC", "level": "abc"}, 400, MISTYPED),
        ("market/all", {"is_details": "maybe"}, 400, MISTYPED),
        ("trades/ticks", {"market": "KRW-BTC", "days_ago": "8"}, 400, INVALID),
        ("trades/ticks", {"market": "KRW-BTC", "to": "2026-11-22"}, 400, INVALID),
        ("trades/ticks", {"market": "KRW-BTC", "to": "246000"}, 400, INVALID),
        ("candles/days", {"market": "KRW-NOPE"}, 404, "Code not found"),
        ("ticker", {"markets": "KRW-BTC,KRW-NOPE"}, 404, "Code not found"),
    ],
)
def test_mistakes_get_upbits_own_words_and_an_integer_name(bench, path, query, status, message):
    assert bench.refused(path, **query) == (status, {"name": status, "message": message})


def test_an_unknown_path_is_refused_by_the_gateway_without_a_budget(bench):
    for path in ("nothing", "candles/minutes/", "candles/minutes"):
        reply = bench.reply(path)
        assert (reply.status, json.loads(reply.body)["error"]["name"]) == (404, "not_found")
        assert "Remaining-Req" not in reply.headers
    assert bench.reply("market/all", method="POST").status == 404


def test_replies_carry_the_wires_headers(bench):
    reply = bench.reply("candles/days", market="KRW-BTC")
    assert reply.headers["Remaining-Req"] == "group=candles; min=600; sec=9"
    assert reply.headers["Limit-By-Ip"] == "Yes"
    assert reply.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert reply.headers["Cache-Control"] == "no-cache, no-store, max-age=0, must-revalidate"
    assert reply.headers["ETag"] == f'W/"0{hashlib.md5(reply.body).hexdigest()}"'  # noqa: S324
    groups = {
        "market/all": ("market", {}),
        "trades/ticks": ("crix-trades", {"market": "KRW-BTC"}),
        "ticker": ("ticker", {"markets": "KRW-BTC"}),
        "orderbook/instruments": ("orderbook", {"markets": "KRW-BTC"}),
    }
    for path, (group, query) in groups.items():
        assert bench.reply(path, **query).headers["Remaining-Req"].startswith(f"group={group};")
    assert bench.reply("ticker", markets="KRW-NOPE").headers["Remaining-Req"] == "group=ticker; min=600; sec=8"


def test_gzip_is_given_when_asked(bench):
    reply = bench.reply("market/all", gzipped=True)
    assert reply.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(reply.body) == bench.reply("market/all").body


def test_the_market_list_shows_details_when_asked(bench):
    plain = bench.get("market/all")
    detailed = {row["market"]: row["market_event"] for row in bench.get("market/all", isDetails="true")}
    assert plain[0] == {"market": "KRW-BTC", "korean_name": "비트코인", "english_name": "Bitcoin"}
    assert len(plain) >= 12
    assert detailed["KRW-AWE"]["warning"] is True
    assert detailed["KRW-ADA"]["caution"]["GLOBAL_PRICE_DIFFERENCES"] is True
    assert bench.get("market/all", is_details="false") == plain


def test_trades_come_newest_first_and_page_by_cursor_within_the_day(bench):
    first = bench.get("trades/ticks", market="KRW-BTC", count=500)
    second = bench.get("trades/ticks", market="KRW-BTC", count=900, cursor=first[-1]["sequential_id"])
    assert (len(first), len(second)) == (500, 500)
    served = [row["sequential_id"] for row in first + second]
    truth = bench.exchange.trades("KRW-BTC", bench.now - DAY, bench.now + 1)
    assert served == [trade.sequential_id for trade in truth[:-1001:-1]]
    assert all(row["change_price"] == row["trade_price"] - row["prev_closing_price"] for row in first[:9])
    assert bench.get("trades/ticks", market="KRW-BTC", cursor=1) == []


def test_a_trades_query_never_crosses_its_utc_day(bench):
    rows = bench.get("trades/ticks", market="USDT-DOGE", count=500)
    assert {row["trade_date_utc"] for row in rows} == {"2026-11-22"}
    rows = bench.get("trades/ticks", market="USDT-DOGE", count=500, days_ago=1)
    assert {row["trade_date_utc"] for row in rows} == {"2026-11-21"}
    early = bench.get("trades/ticks", market="KRW-BTC", days_ago=1, to="130000")[0]
    assert early["trade_time_utc"] < "13:00:00"
    assert early == bench.get("trades/ticks", market="KRW-BTC", days_ago=1, to="13:00:00")[0]


def test_a_ticker_sums_the_day_the_last_day_and_the_year(bench):
    row = bench.get("ticker", markets="KRW-BTC")[0]
    day = bench.now // DAY * DAY
    trades = bench.exchange.trades("KRW-BTC", day, bench.now + 1)
    assert row["trade_timestamp"] == trades[-1].traded_ms
    assert row["acc_trade_volume"] == float(sum(trade.volume for trade in trades))
    assert row["opening_price"] == float(trades[0].price)
    assert row["high_price"] == float(max(trade.price for trade in trades))
    assert row["low_price"] == float(min(trade.price for trade in trades))
    last_day = bench.exchange.trades("KRW-BTC", bench.now // MINUTE * MINUTE + MINUTE - DAY, bench.now + 1)
    assert row["acc_trade_volume_24h"] == float(sum(trade.volume for trade in last_day))
    days = bench.exchange.candles("KRW-BTC", "1d", day - 363 * DAY, bench.now)
    assert row["highest_52_week_price"] == float(max(candle.high for candle in days))
    assert row["lowest_52_week_price"] == float(min(candle.low for candle in days))
    assert row["prev_closing_price"] == float(days[-2].close)
    assert row["signed_change_price"] == row["trade_price"] - row["prev_closing_price"]
    assert row["change_price"] == abs(row["signed_change_price"])
    assert row["change"] == ("RISE" if row["signed_change_price"] > 0 else "FALL")


def test_ticker_all_lists_the_quotes_that_were_named(bench):
    markets = [row["market"] for row in bench.get("ticker/all", quote_currencies="BTC,USDT")]
    assert markets == ["BTC-ETH", "BTC-XRP", "USDT-BTC", "USDT-DOGE"]
    assert bench.get("ticker/all", quote_currencies="XYZ") == []


def test_a_pair_that_did_not_trade_today_keeps_its_last_price(bench):
    bench.now = bench.now // DAY * DAY + 5 * SECOND
    row = bench.get("ticker", markets="USDT-DOGE")[0]
    assert row["acc_trade_volume"] == 0
    assert row["opening_price"] == row["high_price"] == row["low_price"] == row["trade_price"]


def test_a_code_without_any_trade_has_no_ticker_and_an_empty_book(bench):
    bench.now = 1_506_308_400_000 - DAY
    assert bench.get("ticker", markets="KRW-BTC") == []
    assert bench.get("orderbook", markets="BTC-ETH")[0]["orderbook_units"] == []


def test_a_book_brackets_the_last_price_and_changes_on_a_fixed_phase(bench):
    phases = set()
    for _ in range(40):
        bench.now += 137
        row = bench.get("orderbook", markets="KRW-BTC")[0]
        phases.add(row["timestamp"] % 100)
        units = row["orderbook_units"]
        assert len(units) == 30
        assert units[0]["bid_price"] < units[0]["ask_price"]
        assert [unit["ask_price"] for unit in units] == sorted(unit["ask_price"] for unit in units)
        assert 0 <= bench.now - row["timestamp"] < 2_400
    assert len(phases) == 1


def test_book_numbers_are_plain_and_thin_sides_are_padded_with_zeros(bench):
    body = bench.reply("orderbook", markets="KRW-BTC", count=1).body.decode()
    assert "E" not in body.replace("KRW-BTC", "")
    assert ".0," not in body
    assert list(json.loads(body)[0]["orderbook_units"][0]) == ["bid_price", "bid_size", "ask_price", "ask_size"]
    padded = bench.get("orderbook", markets="USDT-DOGE")[0]["orderbook_units"]
    assert padded[-1] == {"bid_price": 0, "bid_size": 0, "ask_price": 0, "ask_size": 0}


def test_a_books_depth_is_cut_to_thirty_and_to_what_was_asked(bench):
    assert len(bench.get("orderbook", markets="KRW-BTC", count=50)[0]["orderbook_units"]) == 30
    rows = bench.get("orderbook", markets="KRW-BTC,KRW-ETH", count=5)
    assert [len(row["orderbook_units"]) for row in rows] == [5, 5]


def test_a_book_is_grouped_by_level_and_unsupported_levels_are_empty(bench):
    plain = bench.get("orderbook", markets="KRW-BTC")[0]
    row = bench.get("orderbook", markets="KRW-BTC", level=10000)[0]
    assert row["level"] == 10000
    units = [unit for unit in row["orderbook_units"] if unit["ask_price"]]
    assert all(unit["ask_price"] % 10000 == 0 for unit in units)
    assert abs(row["total_ask_size"] - plain["total_ask_size"]) < 1e-9
    assert bench.get("orderbook", markets="KRW-BTC", level=7) == []
    assert bench.get("orderbook", markets="BTC-ETH", level=10000) == []
    assert bench.get("orderbook", markets="KRW-BTC", level="0.5") == []


def test_instruments_tell_tick_and_levels_as_strings(bench):
    rows = bench.get("orderbook/instruments", markets="KRW-BTC,BTC-ETH,USDT-BTC")
    assert rows[0] == {
        "market": "KRW-BTC",
        "quote_currency": "KRW",
        "tick_size": "1000",
        "supported_levels": ["0", "10000", "100000", "1000000", "10000000", "100000000"],
    }
    assert [row["tick_size"] for row in rows[1:]] == ["0.00000001", "0.01"]
    assert bench.get("orderbook/supported_levels", markets="BTC-ETH")[0]["supported_levels"] == [0]


def test_rest_and_truth_agree_to_the_last_digit(bench):
    row = json.loads(
        bench.reply("candles/days", market="KRW-BTC", to="2026-11-22T00:00:00Z").body, parse_float=Decimal
    )[0]
    trades = bench.exchange.trades("KRW-BTC", bench.now // DAY * DAY - DAY, bench.now // DAY * DAY)
    assert row["candle_acc_trade_volume"] == sum(trade.volume for trade in trades)
    assert row["candle_acc_trade_price"] == to_decimal(sum(each.price_e8 * each.volume_e8 for each in trades), 16)


@pytest.mark.parametrize(("region", "fiat"), [("sg", "SGD"), ("id", "IDR"), ("th", "THB")])
def test_other_regions_have_another_wire(make_bench, region, fiat):
    bench = make_bench(region)
    rows = bench.get("market/all", is_details="true")
    assert set(rows[0]) == {"market", "english_name", "market_warning"}
    assert {row["market_warning"] for row in rows} == {"NONE", "CAUTION"}
    code = f"{fiat}-BTC"
    assert "candle_date_time_kst" not in bench.get("candles/minutes/1", market=code)[0]
    assert "trade_date_kst" not in bench.get("ticker", markets=code)[0]
    assert "level" not in bench.get("orderbook", markets=code)[0]
    assert bench.refused("orderbook", markets=code, level=0) == (400, {"name": 400, "message": INVALID})


def test_ten_requests_a_second_pass_and_the_eleventh_is_refused_in_plain_text(make_bench):
    bench = make_bench(limits=True)
    bench.now = bench.now // SECOND * SECOND
    left = [bench.reply("market/all").headers["Remaining-Req"] for _ in range(10)]
    assert left == [f"group=market; min=600; sec={9 - place}" for place in range(10)]
    refused = bench.reply("market/all")
    assert (refused.status, refused.body) == (429, b"Too many API requests.")
    assert bench.reply("ticker", markets="KRW-BTC").status == 200
    assert bench.reply("market/all", address="5.6.7.8").status == 200
    bench.now += SECOND
    assert bench.reply("market/all").status == 200
    assert (bench.counters.refusals, bench.counters.requests["market"]) == (1, 13)


def test_a_refusal_can_be_json(make_bench):
    bench = make_bench(limits=True, json_refusals=True)
    replies = [bench.reply("market/all") for _ in range(11)]
    assert json.loads(replies[-1].body)["error"]["name"] == 429


def test_who_is_refused_too_often_is_blocked_longer_each_time(make_bench):
    bench = make_bench(limits=True, block_after=3)
    for seconds in (60, 120):
        replies = [bench.reply("market/all") for _ in range(13)]
        assert [reply.status for reply in replies[-3:]] == [429, 429, 418]
        assert f"blocked for {seconds} seconds".encode() in replies[-1].body
        assert bench.reply("ticker", markets="KRW-BTC").status == 418
        bench.now += (seconds - 1) * SECOND
        assert bench.reply("ticker", markets="KRW-BTC").status == 418
        bench.now += 2 * SECOND
        assert bench.reply("ticker", markets="KRW-BTC").status == 200
    assert bench.counters.blocks == 6


def test_refusals_far_apart_do_not_block(make_bench):
    bench = make_bench(limits=True, block_after=3)
    for _ in range(6):
        replies = [bench.reply("market/all") for _ in range(11)]
        assert replies[-1].status == 429
        bench.now += 11 * SECOND


def test_an_origin_header_leaves_one_request_in_ten_seconds(make_bench):
    bench = make_bench(limits=True)
    bench.now = bench.now // 10_000 * 10_000
    assert bench.reply("market/all", origin=True).headers["Remaining-Req"] == "group=origin; min=6; sec=0"
    bench.now += 9 * SECOND
    assert bench.reply("ticker", markets="KRW-BTC", origin=True).status == 429
    bench.now += SECOND
    assert bench.reply("ticker", markets="KRW-BTC", origin=True).status == 200
