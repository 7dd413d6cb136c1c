"""When to open the next socket. Pure: state in, delay out.

Four traps have killed real clients: a normal close (1000), a server that is still down at the first
retry, a silent stall, and 429 or 418 on the upgrade. Whatever ended a life, there is a next one.
"""

from attrs import evolve, frozen

from ...domain.backoff import Backoff
from ...domain.errors import ChannelError, RateLimitedError

BACKOFF = Backoff(first_s=0.2, longest_s=60.0, jitter=0.5)
"""An exchange that is down is asked once in 30 to 60 s."""
STEADY_AFTER_S = 10.0


@frozen
class Reconnect:
    """How often connecting has failed in a row.

    ``failures`` also counts lives that ended within 10 s: a socket that is accepted and closed at once is no success.
    """

    failures: int = 0

    def after_life(self, lasted_s: float) -> "Reconnect":
        """Return the state after a socket was lost."""
        return Reconnect() if lasted_s >= STEADY_AFTER_S else evolve(self, failures=self.failures + 1)

    def after_refusal(self) -> "Reconnect":
        """Return the state after a connection could not be made."""
        return evolve(self, failures=self.failures + 1)

    def delay_s(self, cause: ChannelError | None, rng: float) -> float:
        """Return the seconds to wait before the next attempt.

        Args:
            cause: what went wrong; None when a life ended.
            rng: a random number in [0, 1), so that many clients do not return at one instant.

        """
        jittered = BACKOFF.delay_s(max(self.failures - 1, 0), rng)
        # a life that was cut, not refused: all clients come back at this moment, and only the jitter parts them
        if self.failures <= 1 and cause is None:
            jittered = BACKOFF.first_s * rng
        least = cause.retry_after if isinstance(cause, RateLimitedError) and cause.retry_after else 0.0
        return max(jittered, least)
