"""The API as a port that application services inject."""

from market_backbone import (
    MarketDataRepository,
    UnifiedMarketDataRepository,
)


async def test_the_repository_is_the_port_and_nothing_more(api):
    repository = UnifiedMarketDataRepository(api)
    assert isinstance(repository, MarketDataRepository)
    series = await repository.get_candles(symbol="KRW-BTC", count=200)
    assert (len(series), series.timeframe) == (200, "1m")
    assert (await repository.get_ticker("KRW-BTC")).symbol == "KRW-BTC"
    assert len(await repository.get_tickers(["KRW-BTC", "KRW-ETH"])) == 2
    assert (await repository.get_orderbook("KRW-BTC", depth=1)).bids
    assert len(await repository.get_trades("KRW-BTC", count=3)) == 3
