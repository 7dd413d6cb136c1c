"""Whose data arrives: decided by address, or by the sandbox's own word; never by the data."""

from collections.abc import Mapping

from ...domain.ports import Clock
from .options import UpbitOptions, read_announcement, venue_of_address


class VenueIdentity:
    """The venue behind one address, as known so far."""

    def __init__(self, address: str, options: UpbitOptions, clock: Clock) -> None:
        """Judge by the address until a reply announces a sandbox."""
        self._venue = venue_of_address(address, options.site)
        self._is_official = self._venue == options.site.venue
        self._clock = clock

    @property
    def venue(self) -> str:
        """The venue's name."""
        return self._venue

    @property
    def is_official(self) -> bool:
        """Whether the address is the exchange itself."""
        return self._is_official

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take a reply's headers into account; an official address cannot announce anything."""
        announced = None if self._is_official else read_announcement(headers)
        if announced is not None:
            self._venue = announced.venue
            self._clock.follow_speed(announced.speed)
