"""The place where two sources meet in one series, and what is known of the joint."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen


class SeamVerdict(StrEnum):
    """How far a joint has been checked."""

    PENDING = "PENDING"
    """The coverages touch, nothing has been compared yet."""
    PROVEN = "PROVEN"
    """The first slot that both sources saw is equal."""
    REPAIRED = "REPAIRED"
    """It differed; the REST view won."""
    UNPROVEN = "UNPROVEN"
    """The sources do not touch."""


@frozen(kw_only=True)
class Seam:
    """One joint between an older and a newer source."""

    at: datetime
    older: str
    newer: str
    verdict: SeamVerdict
    detail: str = ""
