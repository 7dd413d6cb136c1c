"""The judge of the soak: sees a leak through the noise, and no leak in the noise."""

import random
from types import SimpleNamespace

import pytest
import soak
import verdict

RNG = random.Random(7)
NOISE = [100e6 + RNG.gauss(0, 2e6) for _ in range(120)]


def test_noise_is_no_leak_and_a_slope_beneath_it_is():
    assert not verdict.trend_of("rss", NOISE).is_leak
    assert verdict.trend_of("rss", [figure + 0.3e6 * second for second, figure in enumerate(NOISE)]).is_leak


def test_a_beginning_that_grows_is_a_warm_up_and_a_peak_is_no_trend():
    warming = [min(100e6, 20e6 + 4e6 * second) for second in range(120)]
    peaking = [figure + (300e6 if 80 < second < 90 else 0) for second, figure in enumerate(NOISE)]

    assert not verdict.trend_of("rss", warming).is_leak
    assert not verdict.trend_of("rss", peaking).is_leak


def test_what_stays_behind_is_named():
    usual = {"tasks": 26, "handles": 24, "threads": 2}
    busy, closed = [usual] * 10, usual | {"tasks": 1}

    assert verdict.left_behind(busy, usual, closed) == []
    (told,) = verdict.left_behind(busy, usual | {"tasks": 40}, closed)
    assert told == "14 more tasks than at first (26)"
    assert verdict.left_behind(busy, usual, closed | {"tasks": 3}) == ["3 tasks after the API was closed"]


class Market:
    """A market of one trade a second and one candle a minute."""

    def trades(self, _symbol, begin, beyond):
        return [SimpleNamespace(sequential_id=at * 10_000) for at in range(-(-begin // 1000) * 1000, beyond, 1000)]

    def candles(self, _symbol, _unit, begin, beyond):
        return [SimpleNamespace(opened_ms=at, close=1, volume=2) for at in range(begin, beyond, 60_000)]


def line(seconds, minutes):
    return {
        "state": "busy",
        "trades": {"KRW-BTC": [second * 1000 * 10_000 for second in seconds]},
        "began": {"KRW-BTC": 0},
        "candles": [("KRW-BTC", "final", minute * 60_000, "1", "2") for minute in minutes],
        "counts": {},
        "errors": {},
    }


@pytest.fixture(autouse=True)
def one_symbol(monkeypatch):
    monkeypatch.setattr(soak, "SYMBOLS", ("KRW-BTC",))


def judge_of(*lines, edge=180_000):
    judge = soak.Judge(SimpleNamespace(market=Market()))
    for one in lines:
        judge.take(one)
    return judge.faults(edge) + judge.broken


def test_the_judge_sees_what_is_lost_and_what_is_doubled():
    everything = range(1, 180)

    assert judge_of(line(everything, range(3))) == []
    assert judge_of(line([s for s in everything if s != 77], range(3)))[0].startswith("KRW-BTC lost 1 of")
    assert judge_of(line([*everything, 77], range(3))) == ["KRW-BTC doubled 1 trades: [770000000]"]
    assert judge_of(line(everything, [0, 2])) == ["KRW-BTC lacks the candle of 60000"]
    assert "not once and in order" in judge_of(line(everything, [0, 1, 1, 2]))[0]
    assert f"{soak.SYMBOLS[0]}: nothing was told" in judge_of()


def test_what_was_judged_is_forgotten_and_still_known_when_it_comes_again():
    judge = soak.Judge(SimpleNamespace(market=Market()))
    judge.take(line(range(1, 180), range(3)))
    judge.of("KRW-BTC").forget(120_000)

    assert judge.faults(180_000) == []
    judge.take({**line([77], []), "began": {}})
    judge.take({**line([0], []), "began": {}})
    assert judge.broken == ["KRW-BTC: trade 770000000 came again"], "one that is older than the first is only late"
