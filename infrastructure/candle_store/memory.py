"""A store that lasts as long as the process; for tests, and for those who want nothing on disk."""

from collections.abc import Sequence
from datetime import datetime

from attrs import define, evolve, field

from ...domain.columns import CandleColumns
from ...domain.errors import ClosedError
from ...domain.ledger import HeldSeries, Ledger, SeriesKey, WriteResult
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from .ledger_rules import invalidate
from .merging import assemble, assemble_newest, held_span, in_order, key_of, merge_in
from .rows import sealed_rows


@define
class _Series:
    """One series: its blocks by their start, and what is known of it."""

    blocks: dict[int, CandleColumns] = field(factory=dict[int, CandleColumns])
    ledger: Ledger = field(factory=Ledger)

    @property
    def rows(self) -> int:
        return sum(map(len, self.blocks.values()))

    def oldest_first(self) -> list[CandleColumns]:
        return [self.blocks[start] for start in sorted(self.blocks)]

    def inventory_row(self, key: SeriesKey, reason: str = "") -> HeldSeries | None:
        """Return the series' row of the inventory, or None for an empty one."""
        blocks = self.oldest_first()
        opened = (blocks[0].opened[0], blocks[-1].opened[-1]) if blocks else None
        span = held_span(opened, self.ledger, key.timeframe)
        return None if span is None else HeldSeries(key=key, rows=self.rows, span=span, quarantine_reason=reason)


class MemoryCandleStore:
    """A ``CandleStore`` in dictionaries, with the merging of ``SqliteCandleStore``."""

    def __init__(self) -> None:
        self._series: dict[SeriesKey, _Series] = {}
        self._aside: list[tuple[SeriesKey, _Series, str]] = []
        self._state = object()
        self._is_closed = False

    def state(self) -> object:
        """Return an object that is another one after every write."""
        self._check_open()
        return self._state

    def ledger(self, key: SeriesKey) -> Ledger:
        """Return what is known of a series."""
        return self._find(key).ledger

    async def read(self, key: SeriesKey, span: TimeRange) -> CandleSeries:
        """Return every candle of ``span``, and the coverage inside it."""
        held = self._find(key)
        return assemble(key, held.oldest_first(), held.ledger, span)

    async def read_newest(self, key: SeriesKey, count: int, span: TimeRange) -> CandleSeries:
        """Return the newest ``count`` candles of ``span``."""
        held = self._find(key)
        return assemble_newest(key, reversed(held.oldest_first()), held.ledger, span, count)

    async def write(self, series: CandleSeries) -> WriteResult:
        """Keep what is FINAL and known of a series."""
        held = self._find(key_of(series))
        self._state = object()
        change = merge_in(series, sealed_rows(series.columns), held.blocks, held.ledger)
        if change.blocks or not change.ledger.is_empty:
            held.blocks.update(change.blocks)
            held.ledger = change.ledger
            self._series[key_of(series)] = held
        return change.remembered

    async def quarantine(self, key: SeriesKey, reason: str) -> int:
        """Begin a series anew; its rows are kept apart."""
        held = self._find(key)
        self._state = object()
        if self._series.pop(key, None) is not None:
            self._aside.append((key, held, reason or "no reason was given"))
        return held.rows

    async def mark_verified(self, key: SeriesKey, at: datetime) -> None:
        """Note that stored pages were compared with the venue; of a series that is not held, nothing was."""
        held = self._find(key)
        self._state = object()
        held.ledger = evolve(held.ledger, verified_at=at)

    async def invalidate(self, key: SeriesKey, span: TimeRange) -> None:
        """Strike provisional coverage inside ``span``."""
        held = self._find(key)
        self._state = object()
        held.ledger = invalidate(held.ledger, span, key.timeframe)

    async def inventory(self) -> Sequence[HeldSeries]:
        """Return what is held, and after that what was set aside."""
        self._check_open()
        rows = [held.inventory_row(key) for key, held in self._series.items()]
        rows += [held.inventory_row(key, reason) for key, held, reason in self._aside]
        return in_order(row for row in rows if row)

    async def close(self) -> None:
        """Forget everything; idempotent."""
        self._is_closed = True
        self._series.clear()
        self._aside.clear()

    def _find(self, key: SeriesKey) -> _Series:
        self._check_open()
        return self._series.get(key) or _Series()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the store of candles is closed; create another")
