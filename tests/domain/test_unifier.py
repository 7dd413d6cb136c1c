"""One series out of many views, whatever the order of their arrival."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import CandleSeries, Coverage, DataUnifier, IntegrityError, SeamVerdict, Timeframe, TimeRange
from market_backbone.domain.finality import Finality
from market_backbone.domain.unifier import CandleView


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


def part_of(kit, minutes, *, volume="1", symbol="KRW-BTC"):
    first, beyond = minutes[0], minutes[-1] + 1
    span = TimeRange(kit.START + timedelta(minutes=first), kit.START + timedelta(minutes=beyond))
    rows = [kit.candle(m, finality=Finality.FINAL, source="rest", volume=volume, symbol=symbol) for m in minutes]
    return CandleSeries.of(
        "test", kit.candle(0, symbol=symbol).symbol, Timeframe.M1, rows, Coverage(asked=span, proven=(span,))
    )


@pytest.mark.parametrize(
    ("newer", "volume", "verdict"),
    [
        (range(3, 8), "1", SeamVerdict.PROVEN),
        (range(3, 8), "2", SeamVerdict.REPAIRED),
        (range(5, 8), "1", SeamVerdict.PENDING),
        (range(6, 8), "1", SeamVerdict.UNPROVEN),
    ],
)
def test_two_parts_join_with_a_seam_that_says_how_well_they_meet(kit, newer, volume, verdict):
    older, newer = part_of(kit, range(5)), part_of(kit, newer, volume=volume)
    joined = DataUnifier().join(older, newer)
    (seam,) = joined.seams
    assert (seam.verdict, seam.at) == (verdict, newer[0].opened_at)
    assert [c.opened_at for c in joined] == sorted({c.opened_at for c in (*older, *newer)})
    assert len(joined.gaps()) == (verdict is SeamVerdict.UNPROVEN)
    assert joined == DataUnifier().join(newer, older)


def test_parts_of_different_series_do_not_join(kit):
    with pytest.raises(IntegrityError, match="never mixes"):
        DataUnifier().join(part_of(kit, range(3)), part_of(kit, range(3), symbol="KRW-ETH"))
