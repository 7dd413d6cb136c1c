"""What the sockets of a feed are read with."""

from attrs import frozen

from ....domain.ports import Clock, ServerTime
from ...routing.router import SmartChannelRouter
from .feed_telemetry import FeedTelemetry

FRAMES_IN_A_ROW = 64


@frozen(kw_only=True)
class FeedOptions:
    """Timing of a feed, in market seconds.

    Attributes:
        frames_in_a_row: how many frames that came at once are taken before their readers have a turn.

    """

    polling_interval_s: float
    stall_after_s: float
    snapshot_timeout_s: float
    hold_bound_s: float = 30.0
    frames_in_a_row: int = FRAMES_IN_A_ROW


@frozen(kw_only=True, eq=False)
class FeedContext:
    """Clocks, options, and whoever keeps account of the channels and of the feed."""

    router: SmartChannelRouter
    clock: Clock
    server_time: ServerTime
    options: FeedOptions
    telemetry: FeedTelemetry
