"""A recording, or files of candles, as a market."""
