"""The parts are put together in one order: nothing is told afterwards whom it works with."""

import ast
import inspect

from market_backbone import SmartRoutingPolicy, create_candle_request
from market_backbone.application import composition
from market_backbone.application.composition import ApiOptions, build_api
from market_backbone.application.runtime.telemetry import Telemetry
from market_backbone.domain.finality import Grace

OPTIONS = ApiOptions(
    cool_down_s=30.0,
    queue_capacity=100,
    queue_concurrency=4,
    event_capacity=1000,
    polling_interval_s=1.0,
    snapshot_timeout_s=0.1,
    repair_bound_s=30.0,
    stall_after_s=2.0,
    grace=Grace(),
)


async def test_an_api_is_ready_as_soon_as_it_is_built_and_all_parts_share_what_is_one(kit):
    clock = kit.Clock()
    clock.now += 600
    server_time = kit.ServerTime(clock)
    channels = {"rest": kit.Channel(clock=clock, minutes=range(9)), "websocket": kit.LiveChannel(clock=clock)}
    api = build_api(channels, SmartRoutingPolicy(), OPTIONS, clock, lambda _: server_time, Telemetry(), lambda: 0.0)
    parts = api._parts
    assert parts.requests.router is parts.follow.router is parts.downloader.router is api._channel_router
    assert parts.requests.live_view is parts.hub.live_view
    assert parts.requests.cache is parts.downloader.catalog.cache
    assert parts.downloader.catalog.cache.write_behind is parts.hub.write_behind
    series = await api.request_data_sync(create_candle_request("KRW-BTC", "1m", 5))
    assert kit.minutes(series) == [4, 5, 6, 7, 8]
    await api.close()


def test_nothing_is_assigned_to_a_part_after_it_was_made():
    tree = ast.parse(inspect.getsource(composition))
    late = [
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Attribute)
    ]
    assert late == []
