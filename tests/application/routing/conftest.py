"""A router over two fake channels."""

import pytest

from market_backbone import SmartRoutingPolicy
from market_backbone.application.routing.router import SmartChannelRouter


@pytest.fixture
def clock(kit):
    return kit.Clock()


@pytest.fixture
def channels(kit, clock):
    return {"rest": kit.Channel(clock=clock), "websocket": kit.LiveChannel(clock=clock)}


@pytest.fixture
def router(channels, clock):
    return SmartChannelRouter(channels, SmartRoutingPolicy(), clock, cool_down_s=30.0)
