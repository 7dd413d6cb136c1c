"""From Upbit's fields to the domain's values; shared by replies and frames. No I/O."""

from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Clamped, Context, Decimal, DecimalException, Overflow, Rounded, Subnormal, getcontext, setcontext
from functools import lru_cache

from ...domain.errors import IntegrityError
from ...domain.ticker import PriceChange
from ...domain.timestamps import from_micros, to_micros
from ...domain.trade import TakerSide
from ..sanitize import excerpt
from .protocol import MICROSECONDS_FROM

STAMPS_KEPT = 256
FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Later slots have no end that a datetime can hold; before the first there is no exchange."""

LAST_MICROS = to_micros(datetime(LAST_YEAR, 12, 31, tzinfo=UTC))
"""The latest stamp that is one, in microseconds."""

_FIGURES = Context(prec=100, Emax=100, Emin=-100, traps=[Clamped, Overflow, Rounded, Subnormal])
"""Writes any number that a market can show. ``1e999999999`` is a number too, of a billion characters."""

_NOTHING = Decimal(0)
_EXACT_MS = 1000 << 31
"""Until 2038 a float of seconds is exact to far less than a microsecond, and three times as fast as a sum."""


def to_figure(number: Decimal) -> Decimal:
    """Return a number that is finite, and that can be written out without harm.

    Raises:
        IntegrityError: it is not.

    """
    try:
        _FIGURES.plus(number)
    except DecimalException as error:
        msg = f"{excerpt(str(number))} is no figure of a market: too large, too small, or too many digits"
        raise IntegrityError(msg) from error
    if not number.is_finite():
        raise IntegrityError(f"{excerpt(str(number))} is no figure of a market")
    return number


def check_figures(numbers: Collection[Decimal]) -> None:
    """Refuse numbers of which one is no figure, as ``to_figure`` does.

    Adding them up tells of all at once, in a quarter of the time: what cannot be written in 100 digits
    cannot be added in 100 digits either.

    Raises:
        IntegrityError: one is none.

    """
    # By hand: localcontext() copies the context each time.
    here = getcontext()
    setcontext(_FIGURES)
    try:
        are_sound = sum(numbers, _NOTHING).is_finite()
    except DecimalException:
        are_sound = False
    finally:
        setcontext(here)
    if not are_sound:
        for number in numbers:
            to_figure(number)


def check_two_figures(one: Decimal, other: Decimal) -> None:
    """Refuse two numbers of which one is no figure; as ``check_figures``, which takes three times as long for two.

    Raises:
        IntegrityError: one is none.

    """
    try:
        if _FIGURES.add(one, other).is_finite():
            return
    except DecimalException:
        pass
    check_figures((one, other))


@lru_cache(maxsize=STAMPS_KEPT)
def to_instant(stamp: int) -> datetime:
    """Return the instant of a time stamp, in milliseconds or (seen once) microseconds.

    A taker's order that sweeps a book makes many trades of one instant: 262 of 304 recorded ones were executed in
    the same millisecond as the trade before.
    """
    if 0 <= stamp < _EXACT_MS:
        return datetime.fromtimestamp(stamp / 1000, UTC)
    micros = stamp if stamp >= MICROSECONDS_FROM else stamp * 1000
    if not 0 <= micros <= LAST_MICROS:
        raise IntegrityError(f"{stamp if abs(stamp) < LAST_MICROS else 'a huge number'} is no time stamp")
    return from_micros(micros)


def to_slot(text: str) -> datetime:
    """Return the opening of ``2026-03-11T14:40:00``: UTC, though the text does not say so."""
    try:
        opened_at = datetime.fromisoformat(text)
    except ValueError:
        opened_at = None
    if opened_at is None or opened_at.tzinfo is not None or not FIRST_YEAR <= opened_at.year <= LAST_YEAR:
        msg = f"{excerpt(text)!r} is no opening of a candle, expected a text such as 2026-03-11T14:40:00"
        raise IntegrityError(msg)
    return opened_at.replace(tzinfo=UTC)


TAKERS = {"BID": TakerSide.BUY, "ASK": TakerSide.SELL}
"""``BID``: the taker bought; ``ASK``: the taker sold."""


def to_taker_side(ask_bid: str) -> TakerSide:
    """Return who crossed the spread."""
    if ask_bid not in TAKERS:
        raise IntegrityError(f"{excerpt(ask_bid)!r} is no side, expected ASK or BID")
    return TAKERS[ask_bid]


_CHANGES = dict(PriceChange.__members__)  # asking the enumeration takes ten times as long


def to_change(change: str) -> PriceChange:
    """Return the direction against the previous close."""
    direction = _CHANGES.get(change)
    if direction is None:
        raise IntegrityError(f"{excerpt(change)!r} is no direction, expected RISE, EVEN or FALL")
    return direction
