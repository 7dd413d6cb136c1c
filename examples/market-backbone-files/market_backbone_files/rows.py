"""From the rows of a file to candles: every row becomes one, or the file is refused and the row named."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import chain, islice
from pathlib import Path

from attrs import define, field

from market_backbone import Candle, Finality, IntegrityError, SealedBy
from market_backbone.domain.columns import CandleColumns, join

from .instants import InstantReader
from .names import Pair, Series
from .options import FileOptions
from .tables import Cells, Table, UnreadableFileError, read_table

OPENINGS = (
    "opened_at", "open_time", "candle_date_time_utc", "date", "datetime", "time", "timestamp", "ts", "index",
    "__index_level_0__", "",
)  # fmt: skip
"""Names of the column that tells when a slot opens; the first of them that a file has."""
NUMBERS = {
    "open": ("open", "o", "opening_price"),
    "high": ("high", "h", "high_price"),
    "low": ("low", "l", "low_price"),
    "close": ("close", "c", "trade_price"),
    "volume": ("volume", "v", "vol", "base_volume", "candle_acc_trade_volume"),
    "quote_volume": ("quote_volume", "turnover", "value", "candle_acc_trade_price"),
}
UTC_BY_NAME = "candle_date_time_utc"
NOTHING = (None, "")
ROWS_AT_ONCE = 20_000


@define
class RowReader:
    """Reads one series out of one table.

    Attributes:
        written_at: when the file was last changed: a slot that was not over then was still forming.

    """

    series: Series
    options: FileOptions
    source: str
    table: Table
    written_at: datetime
    _places: dict[str, int] = field(init=False, factory=dict[str, int])
    _instants: InstantReader = field(init=False)
    _venue: object = None

    def __attrs_post_init__(self) -> None:
        """Find the columns."""
        columns = self.table.columns
        named = {"opened_at": OPENINGS, **NUMBERS, **{label: (label,) for label in ("symbol", "timeframe", "finality")}}
        for what, names in named.items():
            found = next((name for name in names if name in columns), None)
            if found is not None:
                self._places[what] = columns.index(found)
        lacking = [what for what in ("opened_at", *NUMBERS) if what not in self._places and what != "quote_volume"]
        if lacking:
            told = "; ".join(f"{what} (as {' '.join(named[what])})" for what in lacking)
            raise UnreadableFileError(f"{self.table.path} lacks the columns {told}; it has {' '.join(columns)}")
        is_utc = columns[self._places["opened_at"]] == UTC_BY_NAME
        self._instants = InstantReader(UTC if is_utc else self.options.zone)

    def candles(self) -> Iterator[tuple[int, Candle]]:
        """Yield the candles of the series with their row numbers, in the order of the file."""
        for number, cells in self.table.rows:
            try:
                if self._is_of_series(cells):
                    yield number, self._candle(cells)
            except OverflowError as error:
                raise self.table.fault(number, "its instant lies outside of all calendars") from error
            except (ValueError, IntegrityError) as error:
                raise self.table.fault(number, str(error)) from error

    def _is_of_series(self, cells: Cells) -> bool:
        """Return whether a row is of the series; a file without labels holds one series only."""
        if "symbol" not in self._places or "timeframe" not in self._places:
            return True
        pair, frame = str(cells[self._places["symbol"]]), str(cells[self._places["timeframe"]])
        found = Series.of(pair, frame, self.options.prefix)
        if found is None:
            raise ValueError(f"{pair!r} and {frame!r} name no market and timeframe")
        if found == self.series and "venue" in self.table.columns:
            self._check_venue(cells[self.table.columns.index("venue")])
        return found == self.series

    def _check_venue(self, venue: object) -> None:
        self._venue = venue if self._venue is None else self._venue
        if venue != self._venue:
            raise ValueError(f"this row is of {venue}, and those before are of {self._venue}; one series, one venue")

    def _candle(self, cells: Cells) -> Candle:
        opened_at = self._instants.read(cells[self._places["opened_at"]])
        finality = self._finality(cells, opened_at)
        return Candle(
            venue=self.options.venue,
            symbol=self.series.symbol,
            timeframe=self.series.timeframe,
            opened_at=opened_at,
            **{what: self._number(what, cells) for what in NUMBERS},
            source=self.source,
            finality=finality,
            sealed_by=SealedBy.SOURCE if finality is Finality.FINAL else None,
        )

    def _finality(self, cells: Cells, opened_at: datetime) -> Finality:
        is_over = self.series.timeframe.next(opened_at) <= self.written_at
        if "finality" in self._places:
            told = str(cells[self._places["finality"]]).strip()
            if told not in Finality.__members__:
                raise ValueError(f"finality is one of {' '.join(Finality.__members__)}, not {told!r}")
            return Finality[told]
        return Finality.FINAL if is_over else Finality.FORMING

    def _number(self, what: str, cells: Cells) -> Decimal | None:
        place = self._places.get(what)
        cell = None if place is None else cells[place]
        if what == "quote_volume" and cell in NOTHING:
            return None
        try:
            number = Decimal(repr(cell) if isinstance(cell, float) else str(cell).strip())
        except InvalidOperation as error:
            raise ValueError(f"{what} is no number, but {cell!r}") from error
        if not number.is_finite():
            raise ValueError(f"{what} is {number}")
        return number


def load(path: Path, series: Series, options: FileOptions, source: str) -> CandleColumns:
    """Return the candles of one series of one file, oldest first.

    Raises:
        UnreadableFileError: something is wrong with the file; the message says where.

    """
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    with read_table(path) as table:
        rows = _oldest_first(RowReader(series, options, source, table, written_at).candles())
        parts: list[CandleColumns] = []
        while part := list(islice(rows, ROWS_AT_ONCE)):
            _check_order(table, part, parts)
            candles = (candle for _, candle in part)
            parts.append(CandleColumns.of(options.venue, series.symbol, series.timeframe, candles))
            if sum(map(len, parts)) > options.most_rows:
                msg = f"{path} holds more than {options.most_rows} rows; split it, or raise the option most_rows"
                raise UnreadableFileError(msg)
    if not parts:
        raise UnreadableFileError(f"{path} holds no row of {series.symbol} {series.timeframe}")
    return join(parts)


def _oldest_first(rows: Iterator[tuple[int, Candle]]) -> Iterator[tuple[int, Candle]]:
    """Turn rows round that come newest first, as exchanges answer."""
    first = list(islice(rows, 2))
    whole = chain(first, rows)
    is_newest_first = len(first) > 1 and first[0][1].opened_at > first[1][1].opened_at
    return iter(list(whole)[::-1]) if is_newest_first else whole


def _check_order(table: Table, part: list[tuple[int, Candle]], before: list[CandleColumns]) -> None:
    last = before[-1].candle(len(before[-1]) - 1).opened_at if before else None
    for number, candle in part:
        if last is not None and candle.opened_at == last:
            raise table.fault(number, f"the slot that opens at {last.isoformat()} comes twice")
        if last is not None and candle.opened_at < last:
            raise table.fault(number, f"{candle.opened_at.isoformat()} comes after {last.isoformat()}; sort the file")
        last = candle.opened_at


def series_inside(path: Path, prefix: str) -> set[Series]:
    """Return the series that a file names in its columns ``symbol`` and ``timeframe``; none where it has no such."""
    with read_table(path) as table:
        if not {"symbol", "timeframe"} <= set(table.columns):
            return set()
        places = [table.columns.index(label) for label in ("symbol", "timeframe")]
        labels = {tuple(str(cells[place]) for place in places) for _, cells in table.rows}
    found = {Series.of(pair, frame, prefix) for pair, frame in labels if Pair.of(pair)}
    return {series for series in found if series is not None}
