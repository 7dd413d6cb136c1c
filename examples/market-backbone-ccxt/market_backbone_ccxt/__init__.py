"""Any exchange of ccxt as two channels: ``ccxt`` answers questions, ``ccxt-pro`` streams.

Options of both, in ``[plugins.options.ccxt]``: see ``options.py``.
"""

from market_backbone import AdapterContext

from .exchange import CcxtExchange
from .live import CcxtLive
from .options import CcxtOptions
from .rest import CcxtRest

__all__ = ["CcxtExchange", "CcxtLive", "CcxtOptions", "CcxtRest", "ccxt_channel", "ccxt_pro_channel"]
OPTIONS = "ccxt"


def ccxt_channel(context: AdapterContext) -> CcxtRest:
    """Build the channel that answers; this is what the entry point names.

    Raises:
        ConfigurationError: an option is wrong.

    """
    return CcxtRest(CcxtExchange.of(_options(context), context, "ccxt.async_support"))


def ccxt_pro_channel(context: AdapterContext) -> CcxtLive:
    """Build the channel that streams; see ``ccxt_channel``."""
    return CcxtLive(CcxtExchange.of(_options(context), context, "ccxt.pro"))


def _options(context: AdapterContext) -> CcxtOptions:
    return CcxtOptions.of(context.own_options(OPTIONS), f"plugins.options.{OPTIONS}")
