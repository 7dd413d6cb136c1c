"""Values as plain data for JSON: numbers as text without exponents, instants as ISO 8601 with ``Z``."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import msgspec
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from ..domain.candle import plain
from ..domain.coverage_report import CoverageReport
from ..domain.errors import MarketDataError
from ..domain.events import HistoryLoaded, MarketEvent
from ..domain.orderbook import OrderBook
from ..domain.series import CandleSeries
from ..domain.symbol import Symbol
from ..domain.ticker import Ticker
from ..domain.timestamps import to_text


def _enum(member: Enum) -> Any:  # noqa: ANN401 - whatever the member's value is
    return member.name if isinstance(member, IntEnum) else member.value


def _is_named_tuple(kind: object) -> bool:
    return isinstance(kind, type) and tuple in kind.__bases__ and hasattr(kind, "_fields")


def make_converter() -> Converter:
    """Return the converter for JSON out."""
    converter = Converter(unstruct_collection_overrides={frozenset: sorted, tuple: list})
    converter.register_unstructure_hook(Decimal, plain)
    converter.register_unstructure_hook(datetime, to_text)
    converter.register_unstructure_hook(Path, str)
    converter.register_unstructure_hook(Symbol, str)
    converter.register_unstructure_hook(MarketDataError, str)
    converter.register_unstructure_hook(Mapping, lambda table: {str(key): to_plain(table[key]) for key in table})
    converter.register_unstructure_hook_func(lambda kind: isinstance(kind, type) and issubclass(kind, Enum), _enum)
    converter.register_unstructure_hook_func(_is_named_tuple, lambda value: to_plain(value._asdict()))
    for kind in (Ticker, OrderBook):  # only the answer to a request has a trace
        converter.register_unstructure_hook(
            kind, make_dict_unstructure_fn(kind, converter, trace=override(omit_if_default=True))
        )
    return converter


_CONVERTER = make_converter()


def to_plain(value: object) -> Any:  # noqa: ANN401 - plain data of any shape
    """Return a value of the domain as lists, dicts, text and numbers."""
    return _CONVERTER.unstructure(value)


def series_summary(series: CandleSeries) -> dict[str, Any]:
    """Return everything about a series but its candles."""
    return {
        "venue": series.venue,
        "symbol": str(series.symbol),
        "timeframe": str(series.timeframe),
        "candles": len(series),
        "quiet": to_plain(series.quiet()),
        "gaps": to_plain(series.gaps()),
        "seams": to_plain(series.seams),
        "trace": to_plain(series.trace),
    }


def report_summary(report: CoverageReport) -> dict[str, Any]:
    """Return what is held of a series, under the names that a series itself uses."""
    return {
        "venue": report.key.venue,
        "symbol": str(report.key.symbol),
        "timeframe": str(report.key.timeframe),
        "start": to_plain(report.span.start),
        "end": to_plain(report.span.end),
        "candles": report.rows,
        "slots": report.slots,
        "empty": {str(reason): count for reason, count in report.slots_by_reason().items()},
        "quiet": to_plain(report.quiet),
        "gaps": to_plain(report.gaps),
        "proven": to_plain(report.proven),
        "provisional": to_plain(report.provisional),
        "verified_at": to_plain(report.verified_at),
    }


def event_fields(event: MarketEvent) -> dict[str, Any]:
    """Return an event's values by name; the series of a history as its summary and candles."""
    if isinstance(event, HistoryLoaded):
        return {"series": {**series_summary(event.series), "rows": [to_plain(candle) for candle in event.series]}}
    return to_plain(event)


def to_json(value: object) -> str:
    """Return one line of JSON."""
    return msgspec.json.encode(to_plain(value)).decode()
