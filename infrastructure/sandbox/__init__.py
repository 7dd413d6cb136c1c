"""An Upbit in a box: real REST and WebSocket on loopback, a seeded market or a recording, faults on order.

Written from the facts about the exchange, not from our client, so that the two check each other.
"""

from .config import SandboxConfig
from .counters import Counters
from .emulator import Sandbox, serve
from .faults import Fault
from .market.values import Trade, TrueCandle

__all__ = ["Counters", "Fault", "Sandbox", "SandboxConfig", "Trade", "TrueCandle", "serve"]
