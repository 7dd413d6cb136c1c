"""The venue's limits per wire group and address; a request waits here rather than earn a refusal.

Invariant: with J >= largest - smallest delay from send to arrival, at most ``limit`` sends in any
closed window of 1 s + J cannot become ``limit + 1`` in any second at the server, whatever the phase
of its windows. See docs/decisions/0007.
"""

from ...domain.vital_signs import Headroom
from .address import AddressBudget, budget_of
from .group import WINDOW_S, GroupBudget
from .jitter import BudgetLimits, Jitter
from .machine import MachineLedger
from .turns import CONNECTS, RateBudget, Turn

__all__ = [
    "CONNECTS",
    "WINDOW_S",
    "AddressBudget",
    "BudgetLimits",
    "GroupBudget",
    "Headroom",
    "Jitter",
    "MachineLedger",
    "RateBudget",
    "Turn",
    "budget_of",
]
