"""How things look on a screen; pure."""

from collections.abc import Sequence

from rich.table import Table

from ...domain.candle import Candle, plain
from ...domain.events import (
    Backfilled,
    CandleRevised,
    CandleUpdated,
    ChannelSwitched,
    Degraded,
    Gap,
    HistoryLoaded,
    HistoryRewritten,
    ItemRejected,
    MarketEvent,
    OrderBookUpdated,
    Recovered,
    SeamSettled,
    SubscriptionRefused,
    SubscriptionUnanswered,
    TickerUpdated,
    TradeReceived,
)
from ...domain.market import Market
from ...domain.orderbook import BookLevel
from ...domain.series import CandleSeries
from ...domain.timestamps import to_text

SHOWN = 12


def short(number: str) -> str:
    """Return a plain number without the zeros that say nothing."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def candle_cells(candle: Candle) -> tuple[str, ...]:
    """Return a candle as cells of a table."""
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    seal = f"{candle.finality}" + (f" ({candle.sealed_by})" if candle.sealed_by else "")
    return (to_text(candle.opened_at), *(short(plain(number)) for number in numbers), seal, candle.source)


def candles_table(series: CandleSeries) -> Table:
    """Return the newest candles of a series as a table."""
    title = f"{series.symbol} {series.timeframe} at {series.venue}: {len(series)} candles"
    table = Table(title=f"{title}, the last {SHOWN}" if len(series) > SHOWN else title, title_justify="left")
    for name in ("opened at", "open", "high", "low", "close", "volume"):
        table.add_column(name, justify="left" if name == "opened at" else "right")
    table.add_column("finality")
    table.add_column("source")
    for candle in series[-SHOWN:] if len(series) > SHOWN else series:
        table.add_row(*candle_cells(candle))
    return table


def markets_table(markets: Sequence[Market]) -> Table:
    """Return listed markets as a table."""
    headings = ("symbol", "name", "이름", "warning", "cautions")
    table = Table(*headings, title=f"{len(markets)} markets", title_justify="left")
    for market in markets:
        names = (str(market.symbol), market.english_name, market.korean_name or "")
        table.add_row(*names, "warned" if market.is_warned else "", ", ".join(sorted(market.cautions)))
    return table


def coverage_text(series: CandleSeries) -> str:
    """Say in a few lines what is known about the slots without candles."""
    quiet, gaps = series.quiet(), series.gaps()
    counts = f"{len(series)} candles in {series.coverage.asked}, {len(quiet)} quiet ranges, {len(gaps)} gaps"
    lines = [f"{series.symbol} {series.timeframe}: {counts}"]
    lines += [f"  {part.reason}: {part.span}" for part in (*quiet, *gaps)[:SHOWN]]
    if len(quiet) + len(gaps) > SHOWN:
        lines.append(f"  ... and {len(quiet) + len(gaps) - SHOWN} more")
    return "\n".join(lines)


def _candle_line(word: str, candle: Candle) -> str:
    opened, *numbers, seal, source = candle_cells(candle)
    numbers_text = " ".join(f"{name} {number}" for name, number in zip("OHLCV", numbers, strict=True))
    return f"{word:<9} {candle.symbol} {candle.timeframe} {opened} {numbers_text} {seal} {source}"


def _level(level: BookLevel | None) -> str:
    return f"{short(plain(level.price))} x {plain(level.size)}" if level else "none"


def _quote_line(event: TickerUpdated | OrderBookUpdated | TradeReceived) -> str:
    match event:
        case TickerUpdated(ticker=ticker):
            change = short(plain(ticker.signed_change))
            return f"ticker    {ticker.symbol} {short(plain(ticker.price))} ({change}) {ticker.source}"
        case OrderBookUpdated(orderbook=book):
            return f"book      {book.symbol} bid {_level(book.best_bid)} ask {_level(book.best_ask)} {book.source}"
        case TradeReceived(trade=trade):
            what = f"{trade.symbol} {trade.taker_side} {plain(trade.volume)} at {short(plain(trade.price))}"
            return f"trade     {what} {to_text(trade.traded_at)}{' late' if trade.is_late else ''} {trade.source}"


def _state_line(event: MarketEvent) -> str:  # noqa: PLR0911 - one line a kind
    match event:
        case ChannelSwitched():
            return f"switched  {event.old} -> {event.new}: {event.reason}"
        case Degraded():
            return f"degraded  {event.channel}: {event.staleness_s:.1f} s old: {event.reason}"
        case Recovered():
            return f"recovered {event.channel}"
        case Gap():
            return f"gap       {event.range} {event.reason}"
        case SeamSettled():
            return f"seam      {event.seam.older} | {event.seam.newer} {event.seam.verdict}"
        case HistoryRewritten():
            return f"rewritten {event.symbol} {event.timeframe} seen at {to_text(event.noticed_at)}: {event.detail}"
        case _:
            return _complaint_line(event)


def _complaint_line(event: MarketEvent) -> str:
    match event:
        case SubscriptionUnanswered():
            return f"unheard   {event.topic}: nothing in {event.waited_s:.0f} s: {event.reason}"
        case SubscriptionRefused():
            return f"refused   {event.topic}: {event.error}"
        case ItemRejected():
            return f"rejected  {event.channel}: {event.reason}: {event.excerpt}"
        case _:
            return repr(event)


def event_line(event: MarketEvent) -> str:
    """Return an event as one line."""
    match event:
        case HistoryLoaded():
            return f"history   {event.series!r}"
        case CandleUpdated():
            return _candle_line(str(event.candle.finality).lower(), event.candle)
        case Backfilled():
            return _candle_line("backfill", event.candle)
        case CandleRevised():
            return _candle_line("revised", event.candle)
        case TickerUpdated() | OrderBookUpdated() | TradeReceived():
            return _quote_line(event)
        case _:
            return _state_line(event)
