"""What happened, in an order that one seed always repeats."""

import asyncio
import hashlib
from collections import Counter

from attrs import define, field


@define
class History:
    """A running digest of everything that was seen, and how often each kind of thing was.

    Attributes:
        told: the newest lines in words, for whoever looks into one seed.
        keeps: how many of them are kept.

    """

    keeps: int = 0
    counts: Counter = field(factory=Counter)
    told: list = field(factory=list)
    _hash: object = field(factory=lambda: hashlib.blake2b(digest_size=8))

    def note(self, what, *details):
        """Take in one thing that happened now."""
        self.counts[what] += 1
        line = f"{asyncio.get_running_loop().time():.6f} {what} {details}"
        self._hash.update(line.encode())
        if self.keeps:
            self.told.append(line)
            del self.told[: -self.keeps]

    def frame(self, body):
        """Take in one frame."""
        self.counts["frame"] += 1
        self._hash.update(body)

    @property
    def digest(self):
        """Return what two equal histories have in common, and no others."""
        return self._hash.hexdigest()
