"""How Upbit spells numbers and times: the same value differs by endpoint and by format.

Source: facts/upbit-api.md sections 1.6, 6.1 and 6.2, byte for byte. Values count 1e-8 unless a scale
is given.
"""

from decimal import Decimal

from .units import HOUR, SECOND, utc

_E8 = 10**8
_RATE_DIGITS = 10
_KST = 9 * HOUR
_JAVA_LEAST = Decimal("1e-3")
_JAVA_MOST = Decimal("1e7")


def fixed(value: int, scale: int = 8, digits: int = 8) -> str:
    """Spell with exactly ``digits`` decimals, rounded half up: ``103600000.00000000``."""
    if scale > digits:
        value = _half_up(value, 10 ** (scale - digits))
    else:
        value *= 10 ** (digits - scale)
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), 10**digits)
    return f"{sign}{whole}.{rest:0{digits}d}"


def plain(value: int, scale: int = 8) -> str:
    """Spell as short as possible without an exponent: ``116233000``, ``0.00483381``."""
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), 10**scale)
    if not rest:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{rest:0{scale}d}".rstrip("0")


def java_double(value: int, scale: int = 8) -> str:
    """Spell like ``Double.toString``: ``1.16539E8``, ``7.9276E-4``, ``127.0``, ``0.0``."""
    number = Decimal(value).scaleb(-scale)
    if not value or _JAVA_LEAST <= abs(number) < _JAVA_MOST:
        text = plain(value, scale)
        return text if "." in text else f"{text}.0"
    sign, digits, _ = number.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    mantissa = f"{significant[0]}.{significant[1:] or '0'}"
    return f"{'-' if sign else ''}{mantissa}E{number.adjusted()}"


def rate(change: int, base: int) -> str:
    """Spell a ratio with ten decimals."""
    return fixed(_half_up(change * 10**_RATE_DIGITS, base) if base else 0, _RATE_DIGITS, _RATE_DIGITS)


def label(instant: int) -> str:
    """Spell ``2026-03-11T14:40:00``, without a zone, in UTC."""
    return utc(instant).strftime("%Y-%m-%dT%H:%M:%S")


def kst_label(instant: int) -> str:
    """Spell the same instant as Korean wall time."""
    return label(instant + _KST)


def date(instant: int) -> str:
    """Spell ``2026-03-11``."""
    return utc(instant).strftime("%Y-%m-%d")


def clock_time(instant: int) -> str:
    """Spell ``14:40:59``."""
    return utc(instant).strftime("%H:%M:%S")


def compact_date(instant: int, *, korean: bool = False) -> str:
    """Spell ``20260311``."""
    return utc(instant + _KST * korean).strftime("%Y%m%d")


def compact_time(instant: int, *, korean: bool = False) -> str:
    """Spell ``144059``."""
    return utc(instant + _KST * korean).strftime("%H%M%S")


def http_date(instant: int) -> str:
    """Spell a ``Date`` header: whole seconds, as the server has them."""
    moment = utc(instant // SECOND * SECOND)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{days[moment.weekday()]}, {moment:%d} {months[moment.month - 1]} {moment:%Y %H:%M:%S} GMT"


def direction(change: int) -> str:
    """Spell which way a price went."""
    if change > 0:
        return "RISE"
    return "FALL" if change < 0 else "EVEN"


def _half_up(value: int, divisor: int) -> int:
    quotient = (abs(value) * 2 + divisor) // (2 * divisor)
    return -quotient if value < 0 else quotient
