"""Who serves the forming tip when both channels can: a split by health, taken in smooth turns. Pure.

Source of the table: design, section "Channels and routing": 50:50 when both are healthy, 70:30 when one is
degraded, 80:20 when it is poor, 100:0 when its circuit is open.
"""

from ..domain.routing import Grade

SHARE_OF_THE_WORSE = {Grade.GOOD: 50, Grade.DEGRADED: 30, Grade.POOR: 20, Grade.OUT: 0}


def split(one: Grade, other: Grade) -> tuple[int, int]:
    """Return the shares of two channels in percent; equals share alike."""
    if one == other:
        return 50, 50
    share = SHARE_OF_THE_WORSE[max(one, other)]
    return (share, 100 - share) if one > other else (100 - share, share)


def is_turn_of_first(shares: tuple[int, int], turn: int) -> bool:
    """Return whether the first of two takes turn number ``turn`` (0, 1, …) of smooth weighted round-robin.

    The turns of each are spread as evenly as its share allows: after any number of turns the first has had
    its share of them, rounded to the nearest whole, halves up.
    """

    def had(turns: int) -> int:
        return (turns * shares[0] + 50) // 100

    return had(turn + 1) > had(turn)
