"""How complete a series is, in slots."""

from collections.abc import Iterator

from attrs import frozen


@frozen(kw_only=True)
class Completeness:
    """What became of the slots of a series: each was received, or is known to be empty, or is not known.

    Invariant: ``expected == received + quiet + unknown``.
    """

    expected: int = 0
    received: int = 0
    quiet: int = 0
    unknown: int = 0

    def __add__(self, other: "Completeness") -> "Completeness":
        """Return both together."""
        return Completeness(
            expected=self.expected + other.expected,
            received=self.received + other.received,
            quiet=self.quiet + other.quiet,
            unknown=self.unknown + other.unknown,
        )

    def by_state(self) -> Iterator[tuple[str, int]]:
        """Yield each figure with its name."""
        yield from (
            ("expected", self.expected),
            ("received", self.received),
            ("quiet", self.quiet),
            ("unknown", self.unknown),
        )
