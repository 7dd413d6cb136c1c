"""The synthetic market: prices, trades, books and candles as a pure function of seed, symbol and time."""
