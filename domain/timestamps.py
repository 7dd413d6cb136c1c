"""Instants are aware UTC datetimes; inside columns they are microseconds since the epoch."""

from datetime import UTC, datetime, timedelta

from .errors import InvalidRangeError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_utc(at: datetime, name: str = "instant") -> datetime:
    """Return ``at`` in UTC.

    Raises:
        InvalidRangeError: ``at`` carries no time zone, so nobody can know which instant it means; or it
            is no datetime, or lies outside the years that UTC can write.

    """
    if getattr(at, "tzinfo", None) is UTC:  # nearly always, and asked for each value of a stream
        return at
    if not isinstance(at, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        msg = f"{name} must be a datetime with a time zone, got {at!r}; write datetime(..., tzinfo=UTC)"
        raise InvalidRangeError(msg)
    if at.tzinfo is None or at.utcoffset() is None:
        msg = (
            f"{name} must carry a time zone, got the naive {at.isoformat()}; "
            f"write datetime(..., tzinfo=UTC), or add an offset such as +09:00 for Korean time"
        )
        raise InvalidRangeError(msg)
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        msg = f"{name} lies outside the years 1 to 9999 in UTC: {at.isoformat()}"
        raise InvalidRangeError(msg) from error


def to_micros(at: datetime) -> int:
    """Return whole microseconds since the epoch."""
    return (at - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC instant of ``micros`` microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=micros)


def from_seconds(seconds: float) -> datetime:
    """Return the aware UTC instant of ``seconds`` since the epoch, to the microsecond."""
    return from_micros(round(seconds * 1_000_000))


def to_text(at: datetime) -> str:
    """Write an instant as people exchange it: ``2026-11-01T00:00:00Z``."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
