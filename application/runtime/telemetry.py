"""Tells the logger and the observers what happens; whatever they do, the caller goes on."""

from attrs import define, field

from ...domain.ports import Clock, Logger, Observer
from ...domain.telemetry_events import TelemetryEvent

BLOCKED_S = 0.05
"""Real seconds in one observer after which it is said to block."""


class NullLogger:
    """Writes nothing."""

    def info(self, event: str, **details: object) -> None:
        """Drop it."""

    def warning(self, event: str, **details: object) -> None:
        """Drop it."""


@define(eq=False)
class Telemetry:
    """A logger, and the observers beside it.

    Invariants:
        What an observer raises never reaches the caller; it is reported once, and so is slowness.
        Events reach every observer in the order in which they were told.

    Attributes:
        clock: times the observers; None leaves them untimed.

    """

    logger: Logger = field(factory=NullLogger)
    observers: tuple[Observer, ...] = field(default=(), converter=tuple[Observer, ...])
    clock: Clock | None = None
    _failed: set[int] = field(init=False, factory=set[int])
    _slow: set[int] = field(init=False, factory=set[int])

    @property
    def has_observers(self) -> bool:
        """Whether anybody observes, so that what costs something is worth finding out."""
        return bool(self.observers)

    def info(self, event: str, **details: object) -> None:
        """Write what happened in the normal course of things."""
        self.logger.info(event, **details)

    def warning(self, event: str, **details: object) -> None:
        """Write what somebody should look at."""
        self.logger.warning(event, **details)

    def observe(self, event: TelemetryEvent) -> None:
        """Tell every observer."""
        for observer in self.observers:
            began = self._now()
            try:
                observer.observe(event)
            except Exception as error:  # noqa: BLE001 - a stranger's code: its failure must not reach the data
                self._report_failure(observer, error)
            self._check_pace(observer, began)

    def _now(self) -> float:
        return 0.0 if self.clock is None else self.clock.monotonic()

    def _report_failure(self, observer: Observer, error: Exception) -> None:
        if id(observer) not in self._failed:
            self._failed.add(id(observer))
            self.logger.warning(
                "observer_failed",
                observer=type(observer).__name__,
                error=f"{type(error).__name__}: {error}",
                advice="what it raises is ignored from here on; mend the observer",
            )

    def _check_pace(self, observer: Observer, began: float) -> None:
        taken_s = 0.0 if self.clock is None else self.clock.to_real_s(self.clock.monotonic() - began)
        if taken_s >= BLOCKED_S and id(observer) not in self._slow:
            self._slow.add(id(observer))
            self.logger.warning(
                "observer_blocked",
                observer=type(observer).__name__,
                seconds=round(taken_s, 3),
                advice="every stream waited meanwhile; let it take note only, and work elsewhere",
            )


@define(eq=False)
class StoreErrors:
    """Tells that a store failed, once for each cause: a disk that is full fails every request alike."""

    logger: Logger = field(factory=NullLogger)
    _reported: str = ""

    def report(self, error: str) -> None:
        """Write it, unless it was the last that was written."""
        if error != self._reported:
            self._reported = error
            self.logger.warning("store_failed", error=error)
