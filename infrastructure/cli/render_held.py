"""How what is held looks on a screen; pure."""

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...application.archive.audit import AuditReport
from ...application.archive.series_download import DownloadResult
from ...domain.coverage_report import LEGEND, CoverageReport
from ...domain.ledger import HeldSeries
from ...domain.timestamps import to_text

SHOWN = 12


def inventory_table(lines: Sequence[HeldSeries]) -> Table:
    """Return every series that is held."""
    table = Table(title=f"series on disk: {len(lines)}", title_justify="left", box=SIMPLE)
    for name in ("symbol", "timeframe", "candles", "from", "to", "venue", "set aside"):
        table.add_column(name, justify="right" if name == "candles" else "left")
    for line in lines:
        key, span = line.key, line.span
        cells = (key.symbol, key.timeframe, str(line.rows), to_text(span.start), to_text(span.end), key.venue)
        table.add_row(*map(str, cells), line.quarantine_reason)
    return table


def coverage_page(report: CoverageReport) -> RenderableType:
    """Return a report as a strip, a table of the reasons, and the ranges that matter most."""
    title = f"{report.key.symbol} {report.key.timeframe}: {report.rows} candles in {report.slots} slots, {report.span}"
    if not report.slots:
        return Text(
            f"{report.key.symbol} {report.key.timeframe}: nothing is held; without a symbol, this command lists what is"
        )
    verified = "never" if report.verified_at is None else to_text(report.verified_at)
    parts: list[RenderableType] = [Text(title), Text(report.strip()), Text(LEGEND)]
    if counts := report.slots_by_reason():
        empty = ", ".join(f"{reason} {number}" for reason, number in counts.items())
        parts.append(Text(f"empty slots: {empty}"))
    parts.append(Text(f"last compared with the exchange: {verified}"))
    return Group(*parts, *_ranges(report))


def _ranges(report: CoverageReport) -> list[RenderableType]:
    longest = sorted(
        (*report.gaps, *report.quiet), key=lambda part: (part.reason.is_known_empty, part.start - part.end)
    )
    if not longest:
        return []
    table = Table(box=SIMPLE)
    for name in ("from", "to", "slots", "why"):
        table.add_column(name, justify="right" if name == "slots" else "left")
    for part in longest[:SHOWN]:
        slots = report.key.timeframe.count_slots(part.span)
        table.add_row(to_text(part.start), to_text(part.end), str(slots), str(part.reason))
    more = [Text(f"... and {len(longest) - SHOWN} shorter ranges; --json has them all")] if len(longest) > SHOWN else []
    return [table, *more]


def download_line(outcome: DownloadResult) -> str:
    """Say what a download has cost."""
    key = outcome.report.key
    return f"{key.symbol} {key.timeframe}: {outcome.calls} requests, {outcome.rows} rows fetched"


def audit_text(report: AuditReport) -> str:
    """Say what an audit has found."""
    counted = f"{report.compared} longer candles compared with {report.minutes} minutes"
    verdict = "all agree" if report.is_clean else f"{len(report.differences)} differ"
    lines = [f"{report.symbol} {report.day}: {counted}: {verdict}"]
    lines += [f"  {difference}" for difference in report.differences[:SHOWN]]
    lines += [f"  not known: {part.span} {part.reason}" for part in report.unknown[:SHOWN]]
    lines += [f"  candles that were changed by reading them anew: {report.repaired}"] if report.repaired else []
    return "\n".join(lines)
