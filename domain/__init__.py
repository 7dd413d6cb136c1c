"""Nouns and rules of market data: no I/O, no clock, no logging."""
