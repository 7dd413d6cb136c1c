"""Somebody who watches and keeps what was told, as a logger and as an observer."""

from market_backbone.domain.log_events import LOG_EVENTS

FIELDS = {event.name: set(event.fields) for event in LOG_EVENTS}


class Watcher:
    """Keeps telemetry events and log events; an event with other fields than the table's is refused."""

    def __init__(self):
        self.seen = []
        self.events = []

    def observe(self, observation):
        self.seen.append(observation)

    def info(self, event, **details):
        assert set(details) == FIELDS[event], event
        self.events.append((event, details))

    warning = info

    def of(self, kind):
        return [one for one in self.seen if isinstance(one, kind)]

    def told(self, name):
        return [details for event, details in self.events if event == name]

    @property
    def names(self):
        return [event for event, _ in self.events]
