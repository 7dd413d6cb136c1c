"""One series out of many views, whatever the order of their arrival."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from market_backbone.application.unifier import CandleView, DataUnifier
from market_backbone.domain.finality import Finality


def view_of(kit, minute, volume, finality, *origin):
    source, read_after = origin
    row = kit.candle(minute, volume=str(volume), finality=finality, source=source)
    return CandleView(row, None if read_after is None else kit.START + timedelta(seconds=read_after))


VIEWS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 6),
        st.sampled_from(list(Finality)),
        st.sampled_from(["rest", "websocket"]),
        st.none() | st.integers(0, 3),
    ),
    max_size=12,
)


@given(VIEWS, st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_views_gives_the_same_series(kit, specs, random):
    views = [view_of(kit, *spec) for spec in specs]
    shuffled = [*views, *views[:3]]
    random.shuffle(shuffled)
    assert DataUnifier().unify(views) == DataUnifier().unify(shuffled)


@given(VIEWS)
def test_every_candle_of_the_series_is_one_of_the_views_whole(kit, specs):
    views = [view_of(kit, *spec) for spec in specs]
    series = DataUnifier().unify(views)
    assert all(any(row == view.candle for view in views) for row in series)
    assert [row.opened_at for row in series] == sorted({view.candle.opened_at for view in views})


def test_volume_never_shrinks_while_a_slot_is_not_final(kit):
    big, small = (view_of(kit, 0, volume, Finality.FORMING, "websocket", None) for volume in (5, 3))
    assert DataUnifier().winner(small, big) == big


def test_a_final_view_may_shrink_the_volume(kit):
    forming = view_of(kit, 0, 5, Finality.CLOSED, "websocket", None)
    final = view_of(kit, 0, 3, Finality.FINAL, "rest", 1)
    assert DataUnifier().winner(forming, final) == final


def test_of_two_final_views_of_rest_the_later_read_stands(kit):
    early, late = (view_of(kit, 0, volume, Finality.FINAL, "rest", read) for volume, read in ((9, 1), (3, 2)))
    assert DataUnifier().winner(late, early) == late
