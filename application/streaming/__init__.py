"""One subscription, many events."""
