"""When bulk may go next."""

import pytest

from market_backbone.domain.call_context import CallContext
from market_backbone.domain.request import Priority
from market_backbone.infrastructure.budget.wait_queue import Waiter, WaitQueue


def test_bulk_that_was_kept_waiting_has_a_spacing_of_it_made_up_for_and_idle_bulk_has_none():
    queue, spacing = WaitQueue(), 0.1

    def given_at(now, *, since):
        waiter = Waiter(CallContext(Priority.BULK), 0, since, "loop", lambda: None, lambda: False)
        queue.join(waiter)
        queue.give(waiter, now, spacing)
        return queue.bulk_at

    assert given_at(0.0, since=0.0) == pytest.approx(0.1)
    assert given_at(0.16, since=0.05) == pytest.approx(0.2), "60 ms late, and the next is in time again"
    assert given_at(0.75, since=0.15) == pytest.approx(0.75), "as late as that, one goes at once"
    assert given_at(0.75, since=0.15) == pytest.approx(0.85), "and no more than one"
    assert given_at(0.93, since=0.92) == pytest.approx(1.03), "nobody had waited"
    assert given_at(1.04, since=1.035) == pytest.approx(1.13), "a timer's lateness"


def test_what_the_urgent_took_from_bulk_is_not_made_up_for():
    queue = WaitQueue()
    bulk, urgent = (
        Waiter(CallContext(priority), number, 0.0, "loop", lambda: None, lambda: False)
        for number, priority in enumerate((Priority.BULK, Priority.INTERACTIVE))
    )
    queue.bulk_at = 0.1
    queue.join(bulk)
    queue.join(urgent)
    queue.give(urgent, 0.1, 0.1)
    queue.give(bulk, 0.16, 0.1)

    assert queue.bulk_at == pytest.approx(0.26)
