"""Metrics for Prometheus: an observer, and a text endpoint on loopback. Needs the extra ``metrics``.

Links: https://prometheus.io/docs/instrumenting/exposition_formats · quirks: every value of a label is a series
of its own at the server, so symbols appear only where completeness and staleness are told, and only so many.
"""

from typing import TYPE_CHECKING

from ...domain.errors import ConfigurationError

if TYPE_CHECKING:
    from .prometheus import PrometheusObserver

__all__ = ["prometheus_observer"]


def prometheus_observer() -> "PrometheusObserver":
    """Return a new observer that counts for Prometheus.

    Raises:
        ConfigurationError: the library is not installed.

    """
    try:
        from .prometheus import PrometheusObserver  # noqa: PLC0415 - the library is an extra, imported on use
    except ModuleNotFoundError as error:
        msg = (
            "metrics.port: metrics need the library 'prometheus-client', which is not installed; "
            "run: pip install 'market-backbone[metrics]', or set metrics.port = -1"
        )
        raise ConfigurationError(msg) from error
    return PrometheusObserver()
