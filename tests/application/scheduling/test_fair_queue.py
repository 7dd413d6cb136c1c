"""In which order those who wait are served."""

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from market_backbone import Priority
from market_backbone.application.scheduling.fair_queue import FairQueue

BULK, CHART, REPAIR = Priority.BULK, Priority.INTERACTIVE, Priority.REPAIR


def line_of(*waiting):
    line = FairQueue()
    for number, (priority, caller) in enumerate(waiting):
        line.add((priority, caller, number), priority, caller)
    return line


def served(line):
    return list(iter(line.next, None))


def test_the_urgent_go_first_whenever_they_came():
    line = line_of((BULK, "a"), (CHART, "a"), (REPAIR, "a"))
    assert [one[0] for one in served(line)] == [REPAIR, CHART, BULK]


def test_callers_take_turns_however_much_one_of_them_asks_for():
    line = line_of(*[(CHART, "greedy")] * 50, (CHART, "modest"), (CHART, "modest"))
    assert [one[1] for one in served(line)][:5] == ["greedy", "modest", "greedy", "modest", "greedy"]


def test_bulk_that_may_not_be_served_waits_and_is_not_lost():
    line = line_of((BULK, "a"))
    assert line.next(is_bulk_allowed=False) is None
    assert line.count(BULK) == 1
    assert line.next() == (BULK, "a", 0)


def test_who_leaves_the_line_is_served_never():
    line = line_of((CHART, "a"), (CHART, "b"))
    assert line.discard((CHART, "a", 0), CHART, "a")
    assert not line.discard((CHART, "a", 0), CHART, "a")
    assert served(line) == [(CHART, "b", 1)]


@given(st.lists(st.tuples(st.sampled_from(list(Priority)), st.sampled_from("abc")), max_size=120))
def test_everybody_is_served_once_in_order_and_nobody_starves(waiting):
    line = line_of(*waiting)
    order = served(line)
    assert Counter(order) == Counter((*one, number) for number, one in enumerate(waiting))
    for priority, caller in set(waiting):
        own = [number for level, who, number in order if (level, who) == (priority, caller)]
        assert own == sorted(own)
    bulk_waits = sum(level is BULK for level, _ in waiting)
    places = [place for place, one in enumerate(order) if one[0] is BULK]
    assert all(place <= 20 * (number + 1) - 1 for number, place in enumerate(places)), (bulk_waits, places)
    for first, second in itertools.pairwise(order):
        if first[:2] == second[:2] and first[0] is not BULK:
            later = {who for level, who, number in order[order.index(second) :] if level is first[0]}
            assert later <= {first[1]}, "another caller of the class waited while one was served twice"
