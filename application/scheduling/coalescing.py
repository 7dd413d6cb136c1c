"""Which answer on its way holds the answer to another question. Pure.

A question is contained in a larger one that asks the same source for the same thing. Only one that takes no
more pages is waited for: a chart must not wait for a download of a year.
"""

from attrs import evolve

from ...domain.columns import cut
from ...domain.orderbook import OrderBook
from ...domain.request import AnyRequest, CandleRequest, OrderBookRequest, TickerRequest, TradesRequest
from ...domain.series import CandleSeries
from ...domain.ticker import Ticker
from ...domain.time_range import TimeRange
from ...domain.trade import Trade

AnyAnswer = CandleSeries | list[Ticker] | OrderBook | list[Trade]


def covers(larger: object, smaller: AnyRequest, rows_per_page: int) -> bool:
    """Return whether the answer to ``larger`` holds the one to ``smaller``, and costs no page more."""
    match larger, smaller:
        case CandleRequest(), CandleRequest():
            return _is_same_series(larger, smaller) and _pages_of_both(larger, smaller, rows_per_page)
        case TickerRequest(), TickerRequest():
            return set(smaller.symbols) <= set(larger.symbols)
        case OrderBookRequest(), OrderBookRequest():
            return larger.symbol == smaller.symbol and larger.depth >= smaller.depth
        case TradesRequest(), TradesRequest():
            is_enough = larger.count >= smaller.count
            return larger.symbol == smaller.symbol and is_enough and larger.count <= rows_per_page
        case _:
            return False


def _is_same_series(larger: CandleRequest, smaller: CandleRequest) -> bool:
    return (larger.symbol, larger.timeframe, larger.closed_only, larger.final_only) == (
        smaller.symbol,
        smaller.timeframe,
        smaller.closed_only,
        smaller.final_only,
    )


def _pages_of_both(larger: CandleRequest, smaller: CandleRequest, rows_per_page: int) -> bool:
    """Return whether the larger range holds the smaller one, and takes as many pages."""
    if larger.start is None and smaller.start is None:
        if larger.end != smaller.end or larger.count is None or smaller.count is None:
            return False
        rows = larger.count, smaller.count
        return rows[0] >= rows[1] and _pages(rows[0], rows_per_page) == _pages(rows[1], rows_per_page)
    spans = _span(larger), _span(smaller)
    if spans[0] is None or spans[1] is None:
        return False
    is_inside = spans[0].start <= spans[1].start and spans[1].end <= spans[0].end
    slots = [larger.timeframe.count_slots(span) for span in spans if span is not None]
    return is_inside and _pages(slots[0], rows_per_page) == _pages(slots[1], rows_per_page)


def _span(request: CandleRequest) -> TimeRange | None:
    if request.start is None or request.end is None:
        return None
    return TimeRange(request.start, request.end)


def _pages(rows: int, rows_per_page: int) -> int:
    return -(-rows // max(1, rows_per_page))


def extract(answer: AnyAnswer, request: AnyRequest) -> AnyAnswer:
    """Return the part of a larger answer that ``request`` asks for."""
    match request, answer:
        case CandleRequest(), CandleSeries():
            return _part_of_series(answer, request)
        case TickerRequest(), list():
            found = {one.symbol: one for one in answer if isinstance(one, Ticker)}
            return [found[symbol] for symbol in request.symbols]
        case OrderBookRequest(), OrderBook():
            return answer.to_depth(request.depth)
        case TradesRequest(), list():
            return [one for one in answer if isinstance(one, Trade)][-request.count :]
        case _:
            msg = f"a {type(answer).__name__} holds no answer to {str(request)!r}"
            raise AssertionError(msg)


def _part_of_series(series: CandleSeries, request: CandleRequest) -> CandleSeries:
    if request.start is None or request.end is None:
        return series[-(request.count or 0) :] if len(series) > (request.count or 0) else series
    asked = series.coverage.asked
    span = TimeRange(request.start, max(request.start, min(request.timeframe.ceil(request.end), asked.end)))
    return evolve(series, columns=cut(series.columns, span), coverage=series.coverage.within(span))
