"""Instants as files write them: ISO 8601, or seconds, milliseconds, microseconds or nanoseconds since 1970. Pure."""

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation

from attrs import define

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = (("seconds", 10**11, 10**6), ("milliseconds", 10**14, 10**3), ("microseconds", 10**17, 1))
"""Below which number each unit is meant (any instant from 1973 to 5138), and what makes microseconds of it."""


@define
class InstantReader:
    """Reads the instants of one file, which are all written in the same unit.

    Attributes:
        zone: what an instant without a zone means; None refuses it.

    """

    zone: tzinfo | None
    _unit: str = ""

    def read(self, cell: object) -> datetime:
        """Return an aware instant.

        Raises:
            ValueError: it is none, it has no zone, or its unit is not that of the rows before; in words for people.

        """
        at = self._moment(cell)
        if at.tzinfo is None:
            if self.zone is None:
                raise ValueError(f"{cell} has no time zone; say what it means by the option timezone, such as 'UTC'")
            at = at.replace(tzinfo=self.zone)
        return at.astimezone(UTC)

    def _moment(self, cell: object) -> datetime:
        if isinstance(cell, datetime):
            return self._in_unit("instants", cell)
        try:
            number = Decimal(str(cell).strip())
        except InvalidOperation:
            try:
                return self._in_unit("instants", datetime.fromisoformat(str(cell).strip()))
            except ValueError as error:
                raise ValueError(f"{cell!r} is no instant") from error
        if not number.is_finite():
            raise ValueError(f"{cell!r} is no instant")
        return self._since_epoch(number)

    def _since_epoch(self, number: Decimal) -> datetime:
        unit, micros = next(
            ((unit, number * factor) for unit, beyond, factor in UNITS if abs(number) < beyond),
            ("nanoseconds", number / 1000),
        )
        return self._in_unit(unit, EPOCH + timedelta(microseconds=int(micros)))

    def _in_unit(self, unit: str, at: datetime) -> datetime:
        self._unit = self._unit or unit
        if unit != self._unit:
            raise ValueError(f"this is in {unit}, and the rows before are in {self._unit}")
        return at
