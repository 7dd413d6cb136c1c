"""Every event of the log: its stable name, its level, what it carries and what it means.

The names are a promise to whoever reads logs by program; docs/observability.md shows the same table. An
adapter of somebody else may write events of its own names through ``AdapterContext.warn``.
"""

from enum import StrEnum

from attrs import frozen


class LogLevel(StrEnum):
    """How an event is written."""

    INFO = "INFO"
    WARNING = "WARNING"


@frozen
class LogEvent:
    """One kind of line in the log."""

    name: str
    level: LogLevel
    fields: tuple[str, ...]
    meaning: str


def _info(name: str, fields: str, meaning: str) -> LogEvent:
    return LogEvent(name, LogLevel.INFO, tuple(fields.split()), meaning)


def _warning(name: str, fields: str, meaning: str) -> LogEvent:
    return LogEvent(name, LogLevel.WARNING, tuple(fields.split()), meaning)


LOG_EVENTS = (
    _info(
        "request_served",
        "request policy rule served_by calls retries rows waited_ms latency_ms seams",
        "a request was answered; the same as its trace",
    ),
    _info("request_failed", "request error latency_ms", "a request ended with an error, which its caller got"),
    _warning("stream_lost", "channel cause codes lasted_s", "a socket is gone; it is being opened again"),
    _info("stream_restored", "channel codes down_s", "a socket shows data again after the loss"),
    _info("channel_switched", "old new reason codes examples", "another channel delivers these codes from now on"),
    _warning("feed_stalled", "channel silent_s codes", "a socket was silent while REST had newer data; it is given up"),
    _warning("code_silent", "topic cause", "one code is dead on a socket that lives; it is subscribed anew"),
    _warning("data_degraded", "channel reason staleness_s codes examples", "the data of these codes may be this old"),
    _info("data_recovered", "channel codes examples", "the data of these codes is as fresh as it should be again"),
    _warning("subscription_unanswered", "waited_s codes examples", "a socket shows nothing of these codes"),
    _warning("subscription_refused", "topic error", "the exchange does not stream this topic"),
    _info("sockets_merged", "channel before after codes", "one socket carries what several did"),
    _warning("circuit_opened", "channel error", "a channel failed and is left alone for a while"),
    _info("circuit_closed", "channel open_s", "a channel is asked again as before"),
    _warning("budget_refused", "detail", "the exchange answered 429: a group rests"),
    _warning("budget_blocked", "detail", "the exchange answered 418: nothing is sent to this address for a while"),
    _warning("budget_not_shared", "detail", "other processes of this machine are not heard, so limits may be exceeded"),
    _warning("follower_too_slow", "topic error", "a follower read too slowly and was ended"),
    _warning("callback_failed", "request_id item error advice", "a user's callback raised; its stream goes on"),
    _warning("callback_blocked", "request_id item seconds advice", "a user's callback held up every stream"),
    _warning("loop_blocked", "seconds advice", "nothing in this event loop ran for so long; once a minute at most"),
    _warning("observer_failed", "observer error advice", "an observer raised; told once for each"),
    _warning("observer_blocked", "observer seconds advice", "an observer held up every stream; told once for each"),
    _warning("history_changed", "series change", "the exchange changed candles that were FINAL"),
    _warning("store_failed", "error", "the store of candles failed; answers go on without it"),
    _warning("task_failed", "task error", "a background task ended by a fault of ours; please report it"),
    _warning("plugin_skipped", "name group origin error", "a plug-in could not be loaded and is left out"),
    _info("metrics_served", "address", "where the metrics can be read"),
)
