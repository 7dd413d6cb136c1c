"""Pauses that grow while something goes on failing: one rule for whoever tries again. Pure."""

from attrs import frozen


@frozen(kw_only=True)
class Backoff:
    """How long to wait before the next try.

    Attributes:
        first_s: the pause after the first failure, in market seconds.
        longest_s: no pause is longer.
        factor: each pause is so many times the one before.
        jitter: what part of a pause is drawn at random, so that many clients do not come back at one instant.

    """

    first_s: float
    longest_s: float
    factor: float = 2.0
    jitter: float = 0.0

    def delay_s(self, attempt: int, draw: float = 1.0) -> float:
        """Return the pause after failure number ``attempt`` (0, 1, …); ``draw`` is from [0, 1).

        Without a draw the pause is whole; with one it is shorter, by at most ``jitter`` of itself.
        """
        exponent = min(attempt, 64)  # 2 ** 1024 is no float any more, and whoever counts failures never stops
        return min(self.longest_s, self.first_s * self.factor**exponent) * (1.0 - self.jitter + self.jitter * draw)
