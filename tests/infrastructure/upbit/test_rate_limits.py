"""What the budget stops, where the two channels meet, and what an abandoned request leaves."""

import asyncio
import json

import pytest
from rest_scripts import TICKER
from socket_scripts import answers

from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.call_context import CallContext, use_call_context
from market_backbone.domain.errors import ChannelTimeoutError, RateLimitedError
from market_backbone.domain.finality import Grace
from market_backbone.infrastructure.budget import RateBudget
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime
from market_backbone.infrastructure.upbit import UpbitOptions, UpbitWebSocket
from market_backbone.infrastructure.upbit.rate_limits import ConnectBudget, shared_budget


def budget_at(url, told=None, folder=None, **options):
    clock = MarketClock()
    context = AdapterContext(
        name="rest",
        options={"cache": {"folder": folder}} if folder else {},
        clock=clock,
        server_time=MeasuredServerTime(clock),
        grace=Grace(),
        warn=lambda *said: told.append(said),
    )
    return shared_budget(UpbitOptions(rest_url=url, **options), context, url), context


async def test_a_418_from_rest_stops_connects_to_the_same_address_as_well(scripted, make_rest, make_websocket):
    scripted.on("/v1/ticker", ("Blocked for 90 seconds.", 418))
    sockets = make_websocket(scripted.url.replace("http", "ws"), speed=1.0)
    with pytest.raises(RateLimitedError):
        await make_rest(scripted.url).get_ticker("KRW-BTC")

    with pytest.raises(RateLimitedError, match="nothing is sent until then") as caught:
        await sockets.get_ticker("KRW-BTC")

    assert 80 < caught.value.retry_after <= 90
    assert len(scripted.requests) == 1


async def test_a_418_on_an_upgrade_stops_everything_and_a_429_connects_only(make_socket, make_websocket):
    server = await make_socket(answers, refusals=[(429, "slow down"), (418, "blocked for 70 seconds")])
    url = server.url.replace("ws", "http")
    (budget, _), channel = budget_at(url), make_websocket(server.url, speed=1.0)

    with pytest.raises(RateLimitedError):
        await channel.get_ticker("KRW-BTC")
    assert 0 < budget.blocked_for("websocket") <= 1.02
    assert budget.blocked_for("candles") == 0
    with pytest.raises(RateLimitedError):
        await channel.get_ticker("KRW-BTC")

    assert 60 < budget.blocked_for("candles") <= 70
    assert len(server.upgrades) == 2


async def test_connects_of_several_channels_to_one_address_share_their_limit(make_socket, make_websocket):
    server = await make_socket(answers)
    channels = [make_websocket(server.url, speed=1.0, connects_per_s=2) for _ in range(3)]
    began = asyncio.get_running_loop().time()

    async with asyncio.TaskGroup() as group:
        for channel in channels:
            group.create_task(channel.get_ticker("KRW-BTC"))

    assert asyncio.get_running_loop().time() - began >= 1.0
    assert len(server.upgrades) == 3


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
async def test_an_abandoned_request_is_cut_off_and_its_place_stays_used(raw_server, make_rest, how):
    reached, cut_off = asyncio.Event(), asyncio.Event()

    async def silent(reader, writer):
        reached.set()
        assert await reader.read() == b""
        cut_off.set()

    channel = make_rest(await raw_server(silent), requests_per_s=1, reply_timeout_s=0.4)
    address = channel.client.budget._address
    began = address.now()
    asking = asyncio.ensure_future(channel.get_ticker("KRW-BTC"))
    await reached.wait()
    if how == "cancelled":
        await asyncio.sleep(0.2)
        asking.cancel()
    with pytest.raises(asyncio.CancelledError if how == "cancelled" else ChannelTimeoutError):
        await asking
    used_from, used_for = address.group("ticker").budget.sends[-1], channel.client.budget.delay("ticker")

    async with asyncio.timeout(5):
        await cut_off.wait()
    assert used_from - began >= (0.19 if how == "cancelled" else 0.39), "from now on, not from the sending"
    assert 0 < used_for <= 1.26, "for a second and J"


async def test_every_call_is_counted_in_the_context_that_it_is_made_in(scripted, make_rest):
    scripted.on("/v1/ticker", (json.dumps([TICKER]),), ("", 500))
    channel, context = make_rest(scripted.url, requests_per_s=1), CallContext()

    with use_call_context(context):
        await channel.get_ticker("KRW-BTC")
        with pytest.raises(Exception, match="500"):
            await channel.get_ticker("KRW-BTC")

    assert context.calls == 2
    assert context.waited_s >= 1.0


async def test_a_budget_for_the_machine_lies_in_the_cache_folder_and_one_without_a_folder_says_so(tmp_path):
    told = []
    budget, _ = budget_at("http://127.0.0.1:65001", told, str(tmp_path), shared="machine")
    alone, _ = budget_at("http://127.0.0.1:65002", told, shared="machine")
    for one in (budget, alone):
        async with one.acquire("candles") as permit:
            permit.written()
            permit.answered()

    assert (tmp_path / "budget.sqlite3").is_file()
    assert [event for event, _ in told] == ["budget_not_shared"]


async def test_other_refusals_of_an_upgrade_stop_nothing():
    budget, context = budget_at("http://127.0.0.1:65003")
    connects = ConnectBudget.of(UpbitOptions(rest_url="http://127.0.0.1:65003"), context)
    connects.refused(503, {}, b"")

    assert isinstance(budget, RateBudget)
    assert budget.blocked_for("websocket") == 0
    assert isinstance(UpbitWebSocket(UpbitOptions(), context)._connects, ConnectBudget)


async def test_a_channel_that_is_closed_no_longer_shares_the_limits_of_its_address(make_websocket):
    url = "ws://127.0.0.1:65004"
    (budget, _), channel = budget_at(url.replace("ws", "http")), make_websocket(url, requests_per_s=3)
    budget.delay("candles")
    shared = budget.headroom()["candles"].limit
    await channel.close()
    await channel.close()
    budget.delay("candles")

    assert (shared, budget.headroom()["candles"].limit) == (3, 10)
