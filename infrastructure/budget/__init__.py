"""The venue's limits per wire group and address; a request waits here rather than earn a refusal.

Invariant: each send counts for 1 s and for as long as its call may have been late, by its own answer or, while it is
on its way, by J. At most ``limit`` that count at any send cannot become ``limit + 1`` in any second at the server,
whatever the phase of its windows. See docs/decisions/0007.
"""

from ...domain.status import Headroom
from .jitter import BudgetLimits, Jitter
from .process_ledger import MachineLedger
from .rate_budget import CONNECTS, Permit, RateBudget
from .shared_budget import AddressBudget, budget_of
from .window import WINDOW_S, GroupBudget

__all__ = [
    "CONNECTS",
    "WINDOW_S",
    "AddressBudget",
    "BudgetLimits",
    "GroupBudget",
    "Headroom",
    "Jitter",
    "MachineLedger",
    "Permit",
    "RateBudget",
    "budget_of",
]
