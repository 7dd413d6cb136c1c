"""Folders of candle files, written as people have them lying about."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from market_backbone_files import CandleFiles, CandleFolder, FileOptions

START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Folder:
    """A folder, and the channel that serves it."""

    def __init__(self, path):
        self.path = path
        self.ignored = []

    def write(self, name, text):
        """Write a file of text."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def write_csv(self, name="KRW-BTC-1m.csv", minutes=range(60), header="time,open,high,low,close,volume"):
        """Write one line for each minute after START."""
        lines = [
            f"{START + n * MINUTE:%Y-%m-%dT%H:%M:%SZ},{100 + n}.10,{200 + n},{50 + n},{101 + n},1.0{n}" for n in minutes
        ]
        return self.write(name, "\n".join([header, *lines, ""]))

    def channel(self, **options):
        """Open a channel."""
        given = {"folder": str(self.path), **options}
        read = FileOptions.of(given, "plugins.options.files")
        return CandleFiles("files", read, CandleFolder.of(read, self.ignored.append))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def minutes_of(series):
    """Return the minutes after START at which candles open."""
    return [round((candle.opened_at - START) / MINUTE) for candle in series]


def price(text):
    return Decimal(text)
