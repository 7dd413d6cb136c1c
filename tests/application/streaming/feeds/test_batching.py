"""Runs: whatever comes, in its order, grouped as far as it belongs together."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from market_backbone.application.streaming.feeds.batching import batch_by_topic
from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import LifeBegan, Received

TOPICS = [Topic(DataKind.TRADE, code) for code in ("KRW-BTC", "KRW-ETH")]
values = st.builds(
    lambda topic, read_at: Received(topic, object(), 1, False, read_at),
    st.sampled_from(TOPICS),
    st.sampled_from([1.0, 2.0]),
)
items = st.lists(st.one_of(values, st.builds(LifeBegan, st.integers(1, 3))), max_size=30)


def belong_together(item):
    return (item.topic, item.received_at) if isinstance(item, Received) else id(item)


@given(items, st.integers(1, 5))
def test_runs_hold_every_item_once_in_order_and_are_as_long_as_they_may_be(came, longest):
    found = list(batch_by_topic(came, longest))
    flat = [item for run in found for item in (run if isinstance(run, list) else [run])]
    assert list(map(id, flat)) == list(map(id, came))
    expected = [len(list(group)) for _, group in groupby(came, belong_together)]
    cut = [min(longest, many - start) for many in expected for start in range(0, many, longest)]
    assert [len(run) if isinstance(run, list) else 1 for run in found] == cut


def test_equal_topics_that_are_two_objects_are_told_apart_which_costs_time_and_nothing_else():
    twins = [Topic(DataKind.TRADE, "KRW-BTC") for _ in range(2)]
    came = [Received(topic, object(), 1, False, 1.0) for topic in twins]
    assert [len(run) for run in batch_by_topic(came, 9)] == [1, 1]


def test_an_item_is_asked_for_only_when_the_run_before_it_may_go_on():
    asked = []

    def come():
        for number in range(5):
            asked.append(number)
            yield Received(TOPICS[0], object(), 1, False, 1.0)

    runs = batch_by_topic(come(), 2)
    next(runs)
    assert asked == [0, 1, 2], "the third shows that the run is over; the others wait as bytes"
