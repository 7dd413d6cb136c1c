"""Progress, where somebody looks at a terminal and where nobody does."""

import io
from contextlib import redirect_stderr
from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import Symbol, Timeframe, TimeRange
from market_backbone.application.archive.series_download import Progress
from market_backbone.domain.ledger import SeriesKey
from market_backbone.infrastructure.cli.progress import DownloadProgress

START = datetime(2026, 11, 1, tzinfo=UTC)
SPAN = TimeRange(START, START + timedelta(days=10))


class Terminal(io.StringIO):
    """A screen that keeps what was drawn."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name, value in {"TERM": "xterm", "COLUMNS": "150", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    return Terminal()


def step(symbol, days, calls):
    reached = TimeRange(SPAN.end - timedelta(days=days), SPAN.end)
    key = SeriesKey("test", Symbol(symbol), Timeframe.M1)
    return Progress(key=key, span=SPAN, reached=reached, rows=days * 1440, calls=calls)


def test_on_a_terminal_each_series_has_a_bar_with_rows_and_calls(terminal):
    with redirect_stderr(terminal), DownloadProgress() as progress:
        progress.tell(step("KRW-BTC", 1, 8))
        progress.tell(step("KRW-ETH", 2, 15))
        progress.tell(step("KRW-BTC", 5, 37))
        progress.tell(step("KRW-ETH", 10, 74))
    drawn = terminal.getvalue()
    bitcoin, ether = [line for line in drawn.replace("\r", "\n").splitlines() if "KRW-" in line][-2:]
    assert "\x1b[2K" in drawn  # it moves
    assert all(part in bitcoin for part in ("KRW-BTC 1m", " 50.0 %", "7200 rows", "37 calls", "of 10 calls/s"))
    assert all(part in ether for part in ("KRW-ETH 1m", "100.0 %", "14400 rows", "74 calls", "of 10 calls/s"))


def test_where_nobody_looks_a_line_is_written_every_tenth_and_at_the_end(capsys):
    with DownloadProgress() as progress:
        for days in (1, 1, 2, 10):
            progress.tell(step("KRW-BTC", days, days))
    assert capsys.readouterr().err.splitlines() == [
        "KRW-BTC 1m: 10%, 1440 rows, 1 calls",
        "KRW-BTC 1m: 20%, 2880 rows, 2 calls",
        "KRW-BTC 1m: 100%, 14400 rows, 10 calls",
    ]
