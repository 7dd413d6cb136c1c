"""The endpoint over real sockets: what a scrape says is what happened, and bad settings say what to do."""

import asyncio
import socket
import sys
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from waiting import until

from market_backbone import (
    ClosedError,
    ConfigurationError,
    create_realtime_request,
    create_ticker_request,
    create_unified_api,
)
from market_backbone.infrastructure.metrics.endpoint import serving
from market_backbone.infrastructure.sandbox import Fault

SERVED = {"metrics.port": 0}


class Scrape:
    """The samples of one reading."""

    def __init__(self, text):
        families = text_string_to_metric_families(text)
        self.samples = {
            (sample.name.removeprefix("market_backbone_"), frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def __call__(self, name, **labels):
        return self.samples.get((name, frozenset(labels.items())))


async def read(address):
    async with aiohttp.ClientSession() as session, session.get(address) as reply:
        return reply.status, reply.headers["Content-Type"], await reply.text()


async def scrape(api):
    status, kind, text = await read(api.metrics_address)
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return Scrape(text)


async def ask(api, symbol):
    with suppress(ClosedError):
        await api.get_trades(symbol, 5)


async def drain(events):
    async for _ in events:
        pass


@pytest.fixture
async def background():
    async with asyncio.TaskGroup() as group:
        started = []

        def start(work):
            started.append(group.create_task(work))
            return started[-1]

        yield start
        for task in started:
            task.cancel()


def left(api):
    group = api.status().headroom["rest"].get("candles")
    return 10 if group is None else group.left


def truth(sandbox, symbol, began_at, slots):
    first = round(began_at.timestamp() * 1000)
    return len(list(sandbox.market.candles(symbol, "1s", first, first + 1000 * slots)))


async def test_a_scrape_tells_a_cut_a_download_and_complete_seconds(open_market, background):
    async with open_market(speed=10.0, settings=SERVED) as (sandbox, api), AsyncExitStack() as following:
        request = create_realtime_request("KRW-ETH", "1s")
        background(drain(await following.enter_async_context(api.follow(request))))
        await asyncio.sleep(2)
        before = await scrape(api)
        assert before("open_sockets", channel="websocket") == 1
        assert before("followers") == 1
        assert before("stream_reconnects_total", channel="websocket") == 0

        sandbox.inject(Fault("drop-sockets"))
        end = datetime(2026, 11, 1, tzinfo=UTC)
        loading = background(api.download(["KRW-BTC"], "1m", start=end - timedelta(hours=60), end=end))
        await until(lambda: left(api) < 5)
        during = await scrape(api)
        assert during("budget_headroom_requests", channel="rest", group="candles") < 10
        assert during("budget_limit_requests_per_second", channel="rest", group="candles") == 10
        await loading
        await until(lambda: all(stream.is_live for stream in api.status().streams))
        await asyncio.sleep(3)

        after = await scrape(api)
        assert after("stream_reconnects_total", channel="websocket") == 1
        assert after("streams_ended_total", channel="websocket", how="lost") == 1
        assert after("streams_begun_total", channel="websocket") == 2
        assert after("channel_tries_total", channel="websocket", outcome="stream-lost") == 1
        assert after("channel_switches_total", old="websocket", new="rest") == 1
        assert after("channel_switches_total", old="rest", new="websocket") == 1
        assert after("budget_wait_seconds_count", channel="rest", group="candles") >= 18
        assert after("budget_wait_seconds_count", channel="websocket", group="websocket") >= 2
        series = {"symbol": "KRW-ETH", "timeframe": "1s"}
        assert after("stream_staleness_seconds", **series, kind="candle", channel="websocket") < 5
        slots = {state: after("followed_slots", **series, state=state) for state in ("expected", "received", "quiet")}
        (serving_now,) = api._parts.hub.live_view.feeds[0].subscriptions.values()
        traded = truth(sandbox, "KRW-ETH", serving_now.state.tracker.began_at, int(slots["expected"]))
        assert slots["expected"] > 30
        assert slots == {"expected": slots["expected"], "received": traded, "quiet": slots["expected"] - traded}
        assert 0 < traded < slots["expected"]
        assert after("followed_slots", **series, state="unknown") == 0


async def test_staleness_grows_while_nobody_delivers_and_ends_with_the_trouble(open_market, background):
    async with open_market(speed=10.0, settings=SERVED) as (sandbox, api), AsyncExitStack() as following:
        request = create_realtime_request("KRW-BTC", kind="ticker")
        background(drain(await following.enter_async_context(api.follow(request))))
        await until(lambda: [stream.is_live for stream in api.status().streams] == [True])
        labels = {"symbol": "KRW-BTC", "timeframe": "", "kind": "ticker"}
        sandbox.inject(Fault("maintenance", hours=40 / 3600, status=503))
        await asyncio.sleep(2.5)
        down = await scrape(api)
        stale = [down("stream_staleness_seconds", **labels, channel=name) for name in ("websocket", "rest")]
        assert max(filter(None, stale)) > 10
        assert down("open_sockets", channel="websocket") == 0
        assert down("channel_tries_total", channel="rest", outcome="ChannelUnavailableError") >= 1
        await until(lambda: api.status().streams[0].staleness_s < 5)


async def test_the_depth_of_the_queue_is_told_by_urgency(open_market, background):
    async with open_market(settings={**SERVED, "queue.concurrency": 1}) as (sandbox, api):
        await api.get_markets()
        sandbox.inject(Fault("slow-rest", seconds=20))
        for symbol in ("KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL"):
            background(ask(api, symbol))
        await until(lambda: api.status().in_service)
        told = await scrape(api)
        assert told("queue_depth", priority="interactive") == 3
        assert told("queue_depth", priority="bulk") == 0
        assert told("requests_in_service") == 1


async def test_requests_are_counted_by_rule_and_outcome_and_their_slots_by_state(open_market):
    async with open_market(settings=SERVED) as (sandbox, api):
        end = datetime(2026, 11, 1, tzinfo=UTC)
        series = await api.get_candles("KRW-BTC", "1m", start=end - timedelta(hours=2), end=end)
        await api.get_candles("KRW-BTC", "1m", start=end - timedelta(hours=2), end=end)
        sandbox.inject(Fault("rest-status", status=500))
        with pytest.raises(Exception, match="no channel could serve"):
            await api.get_trades("KRW-BTC", 5)
        told = await scrape(api)
        assert told("requests_total", kind="candle", rule=series.trace.rule, outcome="ok") == 1
        assert told("requests_total", kind="candle", rule="candles-held", outcome="ok") == 1
        (failed,) = [
            dict(labels)
            for (name, labels), number in told.samples.items()
            if name == "requests_total" and dict(labels)["outcome"] == "AllChannelsFailedError" and number == 1
        ]
        assert failed["rule"]
        slots = {"symbol": "KRW-BTC", "timeframe": "1m"}
        assert told("answered_slots_total", **slots, state="expected") == 240
        assert told("answered_slots_total", **slots, state="received") == 2 * len(series)
        assert told("answered_slots_total", **slots, state="unknown") == 0


async def test_the_endpoint_ends_with_the_api_and_is_off_by_default(open_market):
    async with open_market() as (_, silent):
        assert silent.metrics_address == ""
    async with open_market(settings=SERVED) as (_, api):
        address = api.metrics_address
        assert address.startswith("http://127.0.0.1:")
    with pytest.raises(aiohttp.ClientConnectorError):
        await read(address)


async def test_a_scrape_while_the_api_is_closing_is_refused_politely(open_market):
    async with open_market(settings=SERVED) as (_, api):
        api._is_closed = True
        status, _, text = await read(api.metrics_address)
        assert (status, "closed" in text) == (503, True)
        api._is_closed = False


async def test_a_port_that_is_taken_is_named_and_nothing_is_left_open():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=rf"metrics.port: cannot listen on 127.0.0.1:{port} .*choose another"
        ):
            await create_unified_api("test", {"metrics.port": port, "log.level": "ERROR"})


async def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("prometheus", "gauges"):
        monkeypatch.delitem(sys.modules, f"market_backbone.infrastructure.metrics.{name}", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'market-backbone\[metrics\]'"):
        await create_unified_api("test", {"metrics.port": 0, "log.level": "ERROR"})
    async with create_unified_api("test", {"log.level": "ERROR"}) as api:
        assert await api.request_data_sync(create_ticker_request(["KRW-BTC"]))


@pytest.mark.parametrize("port", [-2, 65536])
async def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(ConfigurationError, match=r"metrics\.port: expected a whole number from -1 to 65535"):
        await create_unified_api("test", {"metrics.port": port})


async def test_it_listens_on_one_address_of_this_machine_and_on_no_other():
    async with serving(lambda: b"", 0) as address:
        port = int(address.rsplit(":", 1)[1].split("/")[0])
        with pytest.raises(OSError, match=r"refused|timed out|assign"):  # what a server on every address would answer
            socket.create_connection(("127.0.0.2", port), timeout=1).close()
        assert (await read(address))[0] == 200
