"""ccxt's ``upbit``, pointed at the sandbox: the only server that these tests ever talk to."""

import socket

import pytest
from market_backbone_ccxt import ccxt_channel, ccxt_pro_channel

from market_backbone import AdapterContext
from market_backbone.domain.finality import Grace
from market_backbone.infrastructure.clock import MarketClock, VenueTimes
from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig

BTC = "upbit:BTC/KRW"


@pytest.fixture(autouse=True)
def nobody_but_this_machine(monkeypatch):
    """Fail when anything looks up a host that is not this machine."""
    look_up = socket.getaddrinfo

    def here_only(host, *rest, **more):
        assert host in {"127.0.0.1", "localhost", "::1", None}, f"looked up {host}"
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here_only)


@pytest.fixture
async def sandbox():
    async with Sandbox(SandboxConfig(speed=1.0)) as opened:
        yield opened


def context_of(name, sandbox, **options):
    """Return what the backbone would hand to the factory."""
    clock = MarketClock()
    server_times = VenueTimes(clock)
    given = {"exchange": "upbit", "url": sandbox.rest_url, **options}
    return AdapterContext(
        name=name,
        options={"plugins": {"options": {"ccxt": given}}},
        clock=clock,
        server_time=server_times(""),
        grace=Grace(),
        server_times=server_times,
    )


@pytest.fixture
async def make_rest(sandbox):
    made = []

    def make(**options):
        made.append(ccxt_channel(context_of("ccxt", sandbox, **options)))
        return made[-1]

    yield make
    for channel in made:
        await channel.close()


@pytest.fixture
async def make_live(sandbox):
    made = []

    def make(**options):
        made.append(ccxt_pro_channel(context_of("ccxt-pro", sandbox, **options)))
        return made[-1]

    yield make
    for channel in made:
        await channel.close()
