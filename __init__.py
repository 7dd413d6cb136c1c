"""One channel for Upbit market data."""
