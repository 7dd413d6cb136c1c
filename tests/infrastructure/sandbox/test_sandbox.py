"""The sandbox as a stranger meets it: real sockets on loopback."""

import asyncio
import json
import time
from datetime import UTC, datetime

import aiohttp
import pytest

from market_backbone.domain.errors import ConfigurationError
from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig, serve
from market_backbone.infrastructure.sandbox.clock import SandboxClock, wall_ms

START = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


def request(*data, shape="DEFAULT"):
    return json.dumps([{"ticket": "t"}, *data, {"format": shape}])


async def until_no_socket_is_left(sandbox):
    async with asyncio.timeout(8):
        while sandbox._server._sockets:  # noqa: ASYNC110 - the server owes tests no event for this
            await asyncio.sleep(0.02)


async def test_it_announces_dataset_and_speed_on_every_reply_and_its_clock_in_date(client):
    async with Sandbox(SandboxConfig(starts_at=START, speed=60)) as sandbox:
        assert sandbox.dataset == "seed-7@2026-11-22T12:00:30Z"
        async with client.get(f"{sandbox.rest_url}/v1/market/all") as reply:
            assert reply.headers["X-Market-Sandbox"] == "dataset=seed-7@2026-11-22T12:00:30Z; speed=60"
            assert reply.headers["Date"].startswith("Sun, 22 Nov 2026 12:")
        async with client.ws_connect(sandbox.websocket_url) as socket:
            headers = socket._response.headers
            assert headers["X-Market-Sandbox"] == "dataset=seed-7@2026-11-22T12:00:30Z; speed=60"
            assert headers["Remaining-Req"] == "group=websocket; min=300; sec=4"
            assert headers["Limit-By-Ip"] == "Yes"


async def test_the_clock_runs_at_its_speed():
    clock = SandboxClock(1_000_000, 1_000)
    await asyncio.sleep(0.05)
    assert 30_000 < clock.now_ms() - 1_000_000 < 2_000_000
    assert clock.real_s(10) == 0.01
    waiting = SandboxClock(5, 1, waits=True)
    waiting.restart()
    assert waiting.now_ms() == 5
    waiting.release()
    waiting.release()
    assert waiting.now_ms() < 1_000
    assert abs(wall_ms() - time.time() * 1000) < 1_000


async def test_it_starts_and_stops_twice_and_frees_its_port():
    sandbox = Sandbox()
    assert sandbox.dataset.startswith("seed-7@")
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.rest_url
    await sandbox.stop()
    await sandbox.start()
    await sandbox.start()
    port = int(sandbox.rest_url.rsplit(":", 1)[1])
    with pytest.raises(ConfigurationError, match="cannot listen"):
        await Sandbox(SandboxConfig(port=port)).start()
    await sandbox.stop()
    await sandbox.stop()
    async with Sandbox(SandboxConfig(port=port)) as again:
        assert again.rest_url.endswith(str(port))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"speed": 0}, "speed must be above 0"),
        ({"region": "jp"}, "region must be one of kr, sg, id, th"),
        ({"port": 70000}, "port must lie between"),
        ({"starts_at": datetime(2026, 1, 1)}, "starts_at must have a time zone"),
        ({"block_after": 0}, "block_after must be at least 1"),
    ],
)
def test_a_configuration_that_means_nothing_is_refused(values, said):
    with pytest.raises(ConfigurationError, match=said):
        SandboxConfig(**values)


async def test_frames_are_binary_and_pings_are_answered(sandbox, client):
    async with client.ws_connect(sandbox.websocket_url, compress=15) as socket:
        assert socket.compress
        await socket.send_str(request({"type": "orderbook", "codes": ["KRW-BTC"]}))
        message = await socket.receive(timeout=3)
        assert message.type is aiohttp.WSMsgType.BINARY
        assert json.loads(message.data)["stream_type"] == "SNAPSHOT"
        await socket.ping(b"x")
        while (message := await socket.receive(timeout=3)).type is not aiohttp.WSMsgType.BINARY:
            pass
        assert json.loads(message.data)["stream_type"] == "REALTIME"
        assert (sandbox.counters.websocket_connects, sandbox.counters.messages) == (1, 1)
        assert sandbox.counters.frames >= 2


async def test_pongs_come_back(sandbox, client):
    async with client.ws_connect(sandbox.websocket_url, autoping=False) as socket:
        await socket.ping(b"hello")
        message = await socket.receive(timeout=2)
        assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, b"hello")
        sandbox.inject(Fault("stall", pongs=False))
        await socket.ping(b"again")
        await socket.pong(b"noise")
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.2)
        assert not socket.compress


async def test_binary_requests_and_bad_ones_are_understood(sandbox, client):
    async with client.ws_connect(sandbox.websocket_url) as socket:
        await socket.send_bytes(request({"type": "nope", "codes": ["KRW-BTC"]}).encode())
        assert json.loads((await socket.receive(timeout=2)).data)["error"]["name"] == "INVALID_PARAM"
        closed = await socket.receive(timeout=2)
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1000)


async def test_the_sixth_upgrade_in_a_second_is_refused(client):
    async with Sandbox(SandboxConfig(starts_at=START, speed=0.01)) as sandbox:
        sockets = [await client.ws_connect(sandbox.websocket_url) for _ in range(5)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect(sandbox.websocket_url)
        assert caught.value.status == 429
        assert sandbox.counters.refused_upgrades == 1
        for socket in sockets:
            await socket.close()


async def test_an_origin_counts_against_its_own_group(client):
    async with Sandbox(SandboxConfig(starts_at=START, speed=0.01)) as sandbox:
        async with client.ws_connect(sandbox.websocket_url, origin="https://x") as socket:
            assert socket._response.headers["Remaining-Req"] == "group=origin; min=6; sec=0"
        async with client.get(f"{sandbox.rest_url}/v1/market/all", headers={"Origin": "https://x"}) as reply:
            assert reply.status == 429


async def test_a_plain_get_of_the_socket_path_is_refused(sandbox, client):
    async with client.get(sandbox.websocket_url.replace("ws:", "http:")) as reply:
        assert reply.status == 400


async def test_upgrades_are_refused_on_order_and_during_maintenance(sandbox, client):
    for fault, status in (
        (Fault("refuse-upgrades"), 503),
        (Fault("refuse-upgrades", status=418), 418),
        (Fault("maintenance"), 503),
    ):
        sandbox.inject(fault)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect(sandbox.websocket_url)
        assert caught.value.status == status
        sandbox.clear_faults()


async def test_a_dropped_socket_ends_without_a_close_frame_and_a_closed_one_with_its_code(sandbox, client):
    for fault, code in ((Fault("drop-sockets"), 1006), (Fault("close-sockets", code=1001), 1001)):
        async with client.ws_connect(sandbox.websocket_url) as socket:
            sandbox.inject(fault)
            message = await socket.receive(timeout=2)
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
            assert socket.close_code == code


async def test_slow_rest_is_held_back_by_sandbox_seconds(client):
    async with Sandbox(SandboxConfig(starts_at=START, speed=20)) as sandbox:
        sandbox.inject(Fault("slow-rest", seconds=4))
        began = time.perf_counter()
        async with client.get(f"{sandbox.rest_url}/v1/market/all") as reply:
            assert reply.status == 200
        assert 0.18 < time.perf_counter() - began < 1.0


async def test_stopping_does_not_wait_for_slow_replies_or_open_sockets(client):
    sandbox = Sandbox(SandboxConfig(starts_at=START))
    await sandbox.start()
    sandbox.inject(Fault("slow-rest", seconds=60))
    socket = await client.ws_connect(sandbox.websocket_url)

    async def ask():
        with pytest.raises(aiohttp.ClientError):
            await client.get(f"{sandbox.rest_url}/v1/market/all")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ask())
        await asyncio.sleep(0.05)
        began = time.perf_counter()
        await sandbox.stop()
        assert time.perf_counter() - began < 3
    assert (await socket.receive(timeout=1)).type is aiohttp.WSMsgType.CLOSED


async def test_idle_time_runs_on_the_sandbox_clock(client):
    async with (
        Sandbox(SandboxConfig(starts_at=START, speed=300)) as sandbox,
        client.ws_connect(sandbox.websocket_url) as socket,
    ):
        assert (await socket.receive(timeout=3)).type is aiohttp.WSMsgType.CLOSED
        assert socket.close_code == 1006


async def test_faults_can_be_given_by_hand_at_the_admin_endpoint(sandbox, client):
    admin = f"{sandbox.rest_url}/sandbox"
    async with client.post(f"{admin}/faults", json=[{"kind": "rest-status", "status": 500}]) as reply:
        assert (await reply.json())["faults"] == [{"kind": "rest-status", "at_s": 0.0, "status": 500, "active": True}]
    async with client.get(f"{sandbox.rest_url}/v1/market/all") as reply:
        assert reply.status == 500
    async with client.delete(f"{admin}/faults") as reply:
        assert (await reply.json())["faults"] == []
    async with client.get(admin) as reply:
        information = await reply.json()
        assert information["dataset"] == sandbox.dataset
        assert information["speed"] == 1.0
        assert "KRW-BTC" in information["symbols"]
        assert information["statistics"]["requests"] == {"market": 1}
        assert information["now"].startswith("2026-11-22T12:00:")


@pytest.mark.parametrize(
    ("body", "said"), [(b"{", "expected a JSON fault"), (b'{"kind":"nope"}', "no fault kind named 'nope'")]
)
async def test_bad_faults_get_a_clear_text_at_the_admin_endpoint(sandbox, client, body, said):
    async with client.post(f"{sandbox.rest_url}/sandbox/faults", data=body) as reply:
        assert reply.status == 400
        assert said in await reply.text()
    async with client.get(f"{sandbox.rest_url}/sandbox/nothing") as reply:
        assert reply.status == 404


async def test_a_script_of_faults_counts_from_the_start(tmp_path, client):
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\nkind = "delist"\nsymbol = "KRW-ADA"\nat_s = 100\n')
    async with Sandbox(SandboxConfig(starts_at=START, speed=400, faults=script)) as sandbox:
        assert "KRW-ADA" in sandbox.market.symbols()
        await asyncio.sleep(0.3)
        assert "KRW-ADA" not in sandbox.market.symbols()


async def test_an_outage_of_358_minutes_lies_ten_days_back():
    async with Sandbox(SandboxConfig(starts_at=START)) as sandbox:
        day = sandbox.now_ms() // 86_400_000 * 86_400_000
        begun = day - 10 * 86_400_000 + 18 * 3_600_000
        for symbol in ("KRW-BTC", "KRW-XRP"):
            assert sandbox.market.candles(symbol, "1m", begun, begun + 358 * 60_000) == []
            assert sandbox.market.candles(symbol, "1m", begun + 358 * 60_000, begun + 360 * 60_000)


async def test_the_market_is_the_same_in_every_sandbox_of_a_seed_and_start():
    first, second, other = (Sandbox(SandboxConfig(seed=seed, starts_at=START)) for seed in (7, 7, 8))
    span = (first.now_ms() - 3_600_000, first.now_ms() - 1_000)
    assert first.market.trades("KRW-BTC", *span) == second.market.trades("KRW-BTC", *span)
    assert first.market.trades("KRW-BTC", *span) != other.market.trades("KRW-BTC", *span)
    assert first.market.candles("KRW-BTC", "1h", *span) == second.market.candles("KRW-BTC", "60m", *span)


async def test_a_thousandfold_speed_streams_every_trade_without_melting(client):
    async with Sandbox(SandboxConfig(starts_at=START, speed=1_000, idle_timeout_s=600, limits=False)) as sandbox:
        async with client.ws_connect(sandbox.websocket_url) as socket:
            await socket.send_str(request({"type": "trade", "codes": ["KRW-BTC"], "is_only_realtime": True}))
            began, identities = time.perf_counter(), set()
            first = None
            while time.perf_counter() - began < 1.5:
                frame = json.loads((await socket.receive(timeout=2)).data)
                first = first or frame["trade_timestamp"]
                identities.add(frame["sequential_id"])
        last = max(identities) // 10_000
        truth = sandbox.market.trades("KRW-BTC", first + 10_000, last - 10_000)
        assert len(truth) > 100
        assert {trade.sequential_id for trade in truth} <= identities


async def test_serve_runs_until_it_is_cancelled():
    said: list[str] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await serve(SandboxConfig(starts_at=START), said.append)
    assert said[0] == "dataset    seed-7@2026-11-22T12:00:30Z (speed 1)"
    assert said[1].startswith("REST       http://127.0.0.1:")
    assert said[2].endswith("/websocket/v1")


async def test_a_client_that_vanishes_leaves_nothing_behind(sandbox):
    for _ in range(3):
        async with aiohttp.ClientSession() as session:
            socket = await session.ws_connect(sandbox.websocket_url)
            await socket.send_str(request({"type": "orderbook", "codes": ["KRW-BTC"]}))
            await socket.receive(timeout=2)
            socket._response.connection.transport.abort()
    await until_no_socket_is_left(sandbox)


async def test_a_client_that_does_not_read_is_dropped(client):
    async with Sandbox(SandboxConfig(starts_at=START, speed=200, slow_reader_s=0.1)) as sandbox:
        socket = await client.ws_connect(sandbox.websocket_url, max_msg_size=0)
        socket._response.connection.transport.pause_reading()
        codes = [f"{code}.{copy}" for code in sandbox.market.symbols() for copy in range(40)]
        await socket.send_str(request({"type": "orderbook", "codes": codes}))
        await until_no_socket_is_left(sandbox)
