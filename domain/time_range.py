"""Half-open ranges of time, and the small algebra of sets of them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter, lt
from typing import Self

from attrs import field, frozen

from .errors import InvalidRangeError
from .timestamps import to_text, to_utc


def _utc(at: datetime) -> datetime:
    return to_utc(at, "a bound of a range")


@frozen
class TimeRange:
    """``start <= t < end``, both aware UTC; an empty range has equal bounds.

    Raises:
        InvalidRangeError: a bound is naive, or ``start`` lies after ``end``.

    """

    start: datetime = field(converter=_utc)
    end: datetime = field(converter=_utc)

    def __attrs_post_init__(self) -> None:
        """Refuse a range that runs backwards."""
        if self.start > self.end:
            msg = f"start must not be after end, got start={to_text(self.start)} end={to_text(self.end)}; swap them"
            raise InvalidRangeError(msg)

    def __contains__(self, at: datetime) -> bool:
        """Return whether the instant lies inside."""
        return self.start <= at < self.end

    def __bool__(self) -> bool:
        """Return whether the range holds any instant."""
        return self.start < self.end

    def __str__(self) -> str:
        """Write the range with its half-open bracket."""
        return f"[{to_text(self.start)}, {to_text(self.end)})"

    def intersect(self, other: Self) -> Self | None:
        """Return what both ranges share, or None."""
        if self.end <= other.start or other.end <= self.start:
            return None
        if other.start <= self.start and self.end <= other.end:
            return self or None
        return type(self)(max(self.start, other.start), min(self.end, other.end)) or None


_start, _end = attrgetter("start"), attrgetter("end")


def unite(ranges: Iterable[TimeRange]) -> tuple[TimeRange, ...]:
    """Return the same instants as sorted, disjoint ranges that do not even touch.

    Mostly they are so already: asked 18 times an answer, to see that takes a fifth of the time of making them so.
    """
    given = tuple(ranges)
    if len(given) < 2:  # noqa: PLR2004 - none, or one alone
        return given if all(given) else ()
    starts, ends = list(map(_start, given)), list(map(_end, given))
    if all(map(lt, starts, ends)) and all(map(lt, ends, starts[1:])):
        return given
    united: list[TimeRange] = []
    for span in sorted((span for span in given if span), key=_start):
        if united and span.start <= united[-1].end:
            united[-1] = TimeRange(united[-1].start, max(united[-1].end, span.end))
        else:
            united.append(span)
    return tuple(united)


def clip(ranges: Iterable[TimeRange], window: TimeRange) -> tuple[TimeRange, ...]:
    """Return the parts of ``ranges`` inside ``window``, united."""
    return unite(part for span in ranges if (part := span.intersect(window)))


def subtract(window: TimeRange, known: Iterable[TimeRange]) -> Iterator[TimeRange]:
    """Yield the parts of ``window`` that no range of ``known`` holds, oldest first."""
    cursor = window.start
    for span in clip(known, window):
        if span.start > cursor:
            yield TimeRange(cursor, span.start)
        cursor = span.end
    if cursor < window.end:
        yield TimeRange(cursor, window.end)
