"""What happens in one simulated stretch of days, drawn from a seed; every line can be left out by its number."""

import random
from datetime import UTC, datetime, timedelta

from attrs import evolve, field, frozen

from market_backbone.infrastructure.sandbox import Fault

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
THIN, USUAL = ("KRW-AWE", "BTC-XRP", "USDT-DOGE"), ("KRW-SOL", "KRW-ADA", "KRW-DOGE", "KRW-POL")
UNFOLLOWED = ("KRW-KAIA", "KRW-USDT")
VICTIM = "KRW-STRAX"
"""Whatever is done to a listing is done to this one."""
SETTLE_S = 135.0
"""Quiet at the end: a block of 60 s, a back-off of up to 60 s, and repair have to be over."""
TEMPTING = {"empty-page", "revise-candle", "unit-lag"}
MIN_DURATION_S, MAX_DURATION_S = 60.0, 330.0


@frozen
class Line:
    """One thing that happens: ``at_s`` seconds after the beginning, ``what`` with these parameters."""

    at_s: float
    what: str
    with_: dict = field(factory=dict)

    @property
    def trouble(self):
        """What goes wrong, and for how many seconds; None for what a user does."""
        if self.what in {"ask", "burst", "follow"}:
            return None
        return self.with_.get("kind", self.what), self.with_.get("duration_s", self.with_.get("seconds", 0.0))

    def __str__(self):
        given = ", ".join(f"{name}={value}" for name, value in self.with_.items())
        return f"{self.at_s:7.1f} s  {self.what}" + (f" ({given})" if given else "")


@frozen(kw_only=True)
class Plan:
    """A seed's world and script.

    Attributes:
        market: the seed of the market.
        lasts_s: length of the script; ``SETTLE_S`` of calm follow.
        round_trip_s: the constant part of a round trip.
        pump_s: how often the server sends what is due.
        drift: by which share the server's clock is faster than ours.
        disorder: how often tasks that could run at once run in another order.

    """

    seed: int
    market: int
    starts_at: datetime
    lasts_s: float
    round_trip_s: float
    pump_s: float
    drift: float
    disorder: float
    symbols: tuple
    lines: tuple

    def without(self, numbers):
        """Return the plan without some of its lines."""
        kept = tuple(line for number, line in enumerate(self.lines) if number not in numbers)
        return evolve(self, lines=kept)


def draw_plan(seed, hours=0.0):
    """Draw a plan; ``hours`` makes it longer than usual."""
    dice = random.Random(f"{seed}/plan")
    lasts_s = hours * 3600 or dice.uniform(MIN_DURATION_S, MAX_DURATION_S)
    symbols = (dice.choice(THIN), dice.choice(USUAL))
    moments = max(1, round(lasts_s / 120))
    misfortunes = dice.randint(1, dice.choice([2, 4, 12]) * moments)
    lines = [draw(dice, lasts_s, symbols) for draw in dice.choices(_DRAWS, k=misfortunes)]
    lines += [_question(dice, lasts_s, symbols) for _ in range(dice.randint(1, 4 * moments))]
    lines += [question for line in lines if line.with_.get("kind") in TEMPTING for question in _tempted(dice, line)]
    return Plan(
        seed=seed,
        market=dice.randrange(5),
        starts_at=FIRST_DAY + timedelta(days=dice.randrange(200), seconds=dice.randrange(86_400)),
        lasts_s=lasts_s,
        round_trip_s=dice.choice([0.0, 0.014, 0.05, 0.17, 0.4]),
        pump_s=dice.choice([0.1, 0.2, 0.35]),
        drift=dice.choice([0.0, 0.0, 2e-4, -2e-4]),
        disorder=dice.choice([0.0, 0.2, 0.8]),
        symbols=symbols,
        lines=tuple(sorted(lines, key=lambda line: line.at_s)),
    )


def _fault(kind, **ranges):
    """Return what draws a fault of one kind; a range of two floats is drawn from, a list chosen from."""

    def draw(dice, lasts_s, _):
        given = {name: _drawn(dice, choice) for name, choice in ranges.items()}
        return Line(round(dice.uniform(5, lasts_s), 3), "fault", {"kind": kind, **given})

    return draw


def _drawn(dice, choice):
    if isinstance(choice, tuple):
        return round(dice.uniform(*choice), 3)
    return dice.choice(choice) if isinstance(choice, list) else choice


def _event(what, **ranges):
    def draw(dice, lasts_s, _):
        given = {name: _drawn(dice, choice) for name, choice in ranges.items()}
        return Line(round(dice.uniform(5, lasts_s), 3), what, given)

    return draw


def _question(dice, lasts_s, symbols):
    """Draw a question for candles, which may be cancelled."""
    asked = {
        "symbol": dice.choice((*symbols, *UNFOLLOWED)),
        "timeframe": dice.choice(["1m", "1m", "5m", "1h"]),
        "count": dice.choice([1, 5, 60, 200, 450]),
        "minutes_ago": dice.choice([0, 0, 0, 3, 700]),
    }
    if dice.random() < 0.2:
        asked["cancelled_after_s"] = round(dice.uniform(0, 1), 3)
    return Line(_at(dice, lasts_s), "ask", asked)


def _tempted(dice, line):
    """Draw questions at the very moments at which a fault can mislead whoever asks."""
    for _ in range(4):
        at_s = line.at_s + dice.uniform(0, line.with_["duration_s"])
        asked = {"symbol": dice.choice(UNFOLLOWED), "timeframe": "1m", "count": dice.choice([5, 200, 450])}
        yield Line(round(at_s, 3), "ask", {**asked, "minutes_ago": dice.choice([0, 0, 90])})


def _burst(dice, lasts_s, symbols):
    """Draw a row of questions that are asked at once, page beside page."""
    asked = {"symbol": dice.choice((*symbols, *UNFOLLOWED)), "pages": dice.randint(8, 35), "from_minutes_ago": 2000}
    return Line(_at(dice, lasts_s), "burst", asked)


def _at(dice, lasts_s):
    return round(dice.uniform(0, lasts_s), 3)


def _late_follower(dice, lasts_s, symbols):
    kind = dice.choice(["candle", "candle", "trade", "trade", "ticker", "orderbook"])
    return Line(
        round(dice.uniform(0, lasts_s * 0.8), 3),
        "follow",
        {"symbol": dice.choice(symbols), "kind": kind, "for_s": round(dice.uniform(1, 60), 3)},
    )


SHARE = (0.1, 0.6)
SOME_TIME = (1.0, 40.0)

_DRAWS = (
    _fault("drop-sockets"),
    _fault("close-sockets", code=[1000, 1001]),
    _fault("stall", duration_s=SOME_TIME, pongs=[True, False]),
    _fault("refuse-upgrades", duration_s=SOME_TIME, status=[429, 418, 503]),
    _fault("rest-status", duration_s=SOME_TIME, status=[429, 418, 500, 502], share=[0.3, 1.0]),
    _fault("slow-rest", duration_s=SOME_TIME, seconds=(0.3, 7.0)),
    _fault("unit-lag", duration_s=SOME_TIME),
    _fault("replacement-loss", duration_s=SOME_TIME, maximum_ms=[0, 500, 2000]),
    _fault("late-frames", duration_s=SOME_TIME, share=SHARE, seconds=(0.2, 3.0)),
    _fault("duplicate-frames", duration_s=SOME_TIME, share=SHARE),
    _fault("disordered-frames", duration_s=SOME_TIME, share=SHARE, maximum_ms=[100, 400, 2500]),
    _fault("revise-candle", duration_s=SOME_TIME, seconds=(0.5, 4.5)),
    _fault("outage", duration_s=(30.0, 240.0)),
    _fault("maintenance", duration_s=(5.0, 90.0)),
    _fault("microsecond-timestamp", duration_s=SOME_TIME, share=SHARE),
    _fault("one-sided-book", duration_s=SOME_TIME, side=["ask", "bid"]),
    _fault("delist", symbol=VICTIM, duration_s=SOME_TIME),
    _fault("rename", symbol=VICTIM, to="KRW-NEW", duration_s=SOME_TIME),
    _fault("redenominate", symbol=VICTIM, factor=[2, 5, 10], duration_s=SOME_TIME),
    _fault("empty-page", group="candles", duration_s=(0.1, 0.8), share=1.0),
    _fault("malformed-frame", duration_s=SOME_TIME, share=(0.05, 0.5)),
    _fault("malformed-frame", duration_s=SOME_TIME, share=(0.05, 0.5)),
    _fault("malformed-body", duration_s=SOME_TIME, share=(0.05, 0.5)),
    _fault("drop-remaining-req", duration_s=SOME_TIME, share=SHARE),
    _event("cut", seconds=(0.5, 30.0)),
    _event("freeze", seconds=(0.2, 90.0)),
    _event("stragglers", share=(0.02, 0.2), seconds=SOME_TIME),
    _event("restart", is_abrupt=[True, False]),
    _event("slow-consumer", seconds=(1.0, 60.0)),
    _late_follower,
    _late_follower,
    _burst,
    _burst,
)


def to_fault(line):
    """Return the sandbox's fault of a line."""
    return Fault(**line.with_)


def page_of(line, number):
    """Return one question of a burst: 200 minutes, beside those of the others."""
    minutes_ago = line.with_["from_minutes_ago"] + 200 * number
    asked = {"symbol": line.with_["symbol"], "timeframe": "1m", "count": 200, "minutes_ago": minutes_ago}
    return Line(line.at_s, "ask", asked)
