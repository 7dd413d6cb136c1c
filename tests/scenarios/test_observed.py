"""What the API tells those who watch, over real sockets: requests, refusals, circuits, slow readers, bad observers."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from waiting import until
from watching import FIELDS, Watcher

from market_backbone import (
    AllChannelsFailedError,
    BudgetWaited,
    ChannelTried,
    CircuitSwitched,
    DataKind,
    FollowerLost,
    ItemDropped,
    RequestEnded,
    SeriesAnswered,
    SlowConsumerError,
    UnknownSymbolError,
    create_realtime_request,
    create_unified_api,
)
from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig

END = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def watcher():
    return Watcher()


@asynccontextmanager
async def watched(watcher, **settings):
    """A sandbox, and an API with an observer: opened by the test itself, whose stderr the log then goes to."""
    async with Sandbox(SandboxConfig(speed=20.0)) as sandbox:
        addresses = {"upbit.rest_url": sandbox.rest_url, "upbit.websocket_url": sandbox.websocket_url}
        told = {"log.level": "INFO", "routing.cool_down_s": 5.0}
        async with create_unified_api("test", {**addresses, **told, **settings}, observers=[watcher]) as api:
            yield sandbox, api


def logged(capsys, *names):
    """The lines of the log about these events, as (name, the rest); every line's fields are the table's."""
    found = []
    for line in capsys.readouterr().err.splitlines():
        _, _, name, *rest = line.split(" ", 3)
        told = rest[0] if rest else ""
        assert all(f"{field}=" in told for field in FIELDS[name]), line
        found.append((name, told))
    return [one for one in found if one[0] in names]


async def test_a_request_is_told_with_its_rule_its_cost_and_its_completeness(watcher):
    async with watched(watcher) as (_, api):
        series = await api.get_candles("KRW-BTC", "1m", start=END - timedelta(hours=5), end=END)
        (ended,) = watcher.of(RequestEnded)
        assert (ended.kind, ended.rule, ended.outcome) == (DataKind.CANDLE, series.trace.rule, "ok")
        assert (ended.calls, ended.rows) == (series.trace.calls, len(series))
        assert ended.latency_s > 0
        (answered,) = watcher.of(SeriesAnswered)
        assert answered.completeness == series.completeness()
        waits = [one for one in watcher.of(BudgetWaited) if one.group == "candles"]
        assert len(waits) == series.trace.calls
        assert {(one.channel, one.outcome) for one in watcher.of(ChannelTried)} == {("rest", "ok")}


async def test_a_request_that_fails_is_told_with_its_error_and_its_rule(watcher, capsys):
    async with watched(watcher) as (sandbox, api):
        await api.get_markets()
        sandbox.inject(Fault("rest-status", status=500))
        with pytest.raises(AllChannelsFailedError):
            await api.get_trades("KRW-BTC", 5)
        (ended,) = watcher.of(RequestEnded)
        assert (ended.kind, ended.outcome, ended.calls) == (DataKind.TRADE, "AllChannelsFailedError", 0)
        assert ended.rule
        assert {one.outcome for one in watcher.of(ChannelTried)} == {"ChannelUnavailableError"}
        assert [name for name, _ in logged(capsys, "request_failed")] == ["request_failed"]


async def test_a_mistake_of_the_caller_counts_for_no_channel(watcher):
    async with watched(watcher) as (_, api):
        with pytest.raises(UnknownSymbolError):
            await api.get_ticker("KRW-NOPE")
        assert [one.outcome for one in watcher.of(RequestEnded)] == ["UnknownSymbolError"]
        assert watcher.of(CircuitSwitched) == []


async def test_a_circuit_that_opens_and_closes_is_told_once_each(watcher, capsys):
    async with watched(watcher) as (_, api):
        await api.get_markets()  # from here on time runs as fast as the sandbox's
        api.update_channel_performance("rest", 5000.0, False)
        api.update_channel_performance("rest", 5000.0, False)
        await until(lambda: api.channel_health()["rest"].circuit == "half-open")
        await api.get_trades("KRW-BTC", 5)
        assert [(one.channel, one.is_open) for one in watcher.of(CircuitSwitched)] == [("rest", True), ("rest", False)]
        (opened, closed) = logged(capsys, "circuit_opened", "circuit_closed")
        assert (opened[0], closed[0]) == ("circuit_opened", "circuit_closed")
        assert "channel=rest error=reported from outside" in opened[1]
        assert [one.outcome for one in watcher.of(ChannelTried)][:2] == ["reported", "reported"]


async def test_a_429_is_written_once_for_the_pause_that_it_causes(watcher, capsys):
    async with watched(watcher) as (sandbox, api):
        await api.get_markets()
        sandbox.inject(Fault("rest-status", status=429, group="crix-trades", duration_s=1))
        await api.get_trades("KRW-BTC", 5)
        (line,) = logged(capsys, "budget_refused")
        assert "429 for the group" in line[1]


async def test_a_418_is_written_with_how_long_nothing_is_sent(watcher, capsys):
    async with watched(watcher) as (sandbox, api):
        await api.get_markets()
        sandbox.inject(Fault("rest-status", status=418))
        with pytest.raises(AllChannelsFailedError):
            await api.get_trades("KRW-BTC", 5)
        with pytest.raises(AllChannelsFailedError):
            await api.get_trades("KRW-ETH", 5)
        (line,) = logged(capsys, "budget_blocked")
        assert "nothing is sent to this address for" in line[1]
        assert api.status().headroom["rest"]["market"].blocked_for_s > 0


async def test_a_follower_that_reads_nothing_is_told_once_it_is_ended(watcher, capsys):
    settings = {"follow.event_capacity": 5}
    request = create_realtime_request("KRW-BTC", kind="trade")
    async with watched(watcher, **settings) as (_, api), api.follow(request) as events:
        await until(lambda: watcher.of(FollowerLost))
        await asyncio.sleep(0.2)
        with pytest.raises(SlowConsumerError):
            async for _ in events:
                pass
    assert [str(one.topic) for one in watcher.of(FollowerLost)] == ["trade:KRW-BTC"]
    assert len(logged(capsys, "follower_too_slow")) == 1


async def test_a_malformed_frame_is_counted(watcher):
    async with watched(watcher) as (sandbox, api):
        async with api.follow(create_realtime_request("KRW-BTC", kind="ticker")) as events:
            await anext(events)
            sandbox.inject(Fault("malformed-frame"))
            await until(lambda: watcher.of(ItemDropped))
        assert {one.channel for one in watcher.of(ItemDropped)} == {"websocket"}


class Bad:
    """Raises, and holds up the loop."""

    def __init__(self):
        self.calls = 0

    def observe(self, _):
        self.calls += 1
        if self.calls == 1:
            until_at = asyncio.get_running_loop().time() + 0.08
            while asyncio.get_running_loop().time() < until_at:
                pass
        msg = "no"
        raise RuntimeError(msg)


async def test_an_observer_that_raises_and_is_slow_harms_nobody(capsys):
    bad, good = Bad(), Watcher()
    async with create_unified_api("test", {"log.level": "WARNING"}, observers=[bad, good]) as api:
        series = await api.get_candles("KRW-BTC", "1m", 10)
        async with api.follow(create_realtime_request("KRW-BTC", kind="ticker")) as events:
            await anext(events)
    assert len(series) == 10
    assert bad.calls == len(good.seen) > 3
    names = [name for name, _ in logged(capsys, "observer_failed", "observer_blocked")]
    assert sorted(names) == ["observer_blocked", "observer_failed"]


async def test_the_loop_is_watched_only_while_somebody_follows(watcher):
    async with watched(watcher) as (_, api):
        watch = api._parts.follow.monitor
        await api.get_ticker("KRW-BTC")
        assert not watch.is_running
        async with api.follow(create_realtime_request("KRW-BTC", kind="ticker")) as events:
            await anext(events)
            assert watch.is_running
        assert not watch.is_running
        assert api._parts.tasks.count == 0


async def test_the_status_of_an_idle_api_ask_nobody(watcher):
    async with watched(watcher) as (sandbox, api):
        status = api.status()
        assert (status.in_service, sum(status.queued.values()), status.streams, status.followers) == (0, 0, (), 0)
        assert status.sockets == {"websocket": 0}
        assert set(status.health) == {"rest", "websocket", "cache"}
        assert not sandbox.counters.requests
