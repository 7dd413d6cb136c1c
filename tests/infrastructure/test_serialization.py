"""Values as plain data: exact text, no exponents, instants with Z."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from market_backbone import (
    BookLevel,
    CandleUpdated,
    ChannelUnavailableError,
    HistoryLoaded,
    OrderBook,
    SubscriptionRefused,
    SubscriptionUnanswered,
    Symbol,
    Timeframe,
    create_candle_request,
)
from market_backbone.domain.capabilities import Capabilities, DataKind
from market_backbone.domain.request import Topic
from market_backbone.infrastructure.cli.render import event_line
from market_backbone.infrastructure.serialization import event_fields, series_summary, to_json, to_plain


@pytest.fixture
async def series(open_market):
    async with open_market() as (_, api):
        return await api.request_data_sync(create_candle_request("KRW-BTC", "1m", 3))


def test_numbers_never_show_exponents():
    assert to_plain([Decimal("1.16539E8"), Decimal("7.9276E-4"), Decimal("0E-8")]) == [
        "116539000",
        "0.00079276",
        "0.00000000",
    ]


def test_levels_of_a_book_keep_their_names():
    level = BookLevel(Decimal("1.50"), Decimal("2E+1"))
    book = OrderBook(
        venue="upbit-kr",
        symbol=Symbol("KRW-BTC"),
        bids=(level,),
        asks=(),
        updated_at=datetime(2026, 11, 1, tzinfo=UTC),
        source="rest",
    )

    assert to_plain(book) == {
        "venue": "upbit-kr",
        "symbol": "KRW-BTC",
        "bids": [{"price": "1.50", "size": "20"}],
        "asks": [],
        "level": "0",
        "updated_at": "2026-11-01T00:00:00Z",
        "source": "rest",
    }


def test_instants_paths_and_sets_become_text():
    assert to_plain(datetime(2026, 11, 1, tzinfo=UTC)) == "2026-11-01T00:00:00Z"
    assert to_plain(Path("a/b")) == "a/b"
    plain = to_plain(Capabilities(answers=frozenset({DataKind.TRADE, DataKind.CANDLE})))
    assert plain["answers"] == ["candle", "trade"]


def test_a_candle_is_one_line_of_json_that_reads_back_exactly(series):
    row = json.loads(to_json(series[0]))
    assert row["symbol"] == "KRW-BTC"
    assert row["finality"] == "FINAL"
    assert Decimal(row["close"]) == series[0].close
    assert row["opened_at"].endswith("Z")


def test_a_summary_tells_everything_but_the_candles(series):
    summary = series_summary(series)
    assert (summary["candles"], summary["timeframe"], summary["gaps"]) == (3, "1m", [])
    assert summary["trace"]["rule"] == "candles-bulk"
    json.dumps(summary)


def test_events_are_plain_too(series):
    assert event_fields(CandleUpdated(series[0]))["candle"]["symbol"] == "KRW-BTC"
    history = event_fields(HistoryLoaded(series))["series"]
    assert len(history["rows"]) == history["candles"] == 3


def test_what_the_stream_does_not_bring_is_told_as_plain_data():
    topic = Topic(DataKind.CANDLE, Symbol("KRW-BTC"), Timeframe.M1)
    told = {"kind": "candle", "symbol": "KRW-BTC", "timeframe": "1m"}
    unanswered = SubscriptionUnanswered(topic, 10.0, "nothing came")
    refused = SubscriptionRefused(topic, ChannelUnavailableError("INVALID_PARAM", channel="websocket"))
    assert to_plain(unanswered) == {"topic": told, "waited_s": 10.0, "reason": "nothing came"}
    assert to_plain(refused) == {"topic": told, "error": "websocket: INVALID_PARAM"}
    assert "INVALID_PARAM" in to_json(refused)
    assert event_line(unanswered) == "unheard   candle.1m:KRW-BTC: nothing in 10 s: nothing came"
    assert event_line(refused) == "refused   candle.1m:KRW-BTC: websocket: INVALID_PARAM"
