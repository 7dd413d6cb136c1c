"""A folder of candle files as a channel: a backtest and a live run ask the same question.

Options, in ``[plugins.options.files]`` or ``MARKET_BACKBONE__PLUGINS__OPTIONS__FILES__<OPTION>``: see ``options.py``.
"""

from market_backbone import AdapterContext

from .channel import CandleFiles
from .folder import CandleFolder
from .options import FileOptions
from .policy import FilesFirst

__all__ = ["CandleFiles", "CandleFolder", "FileOptions", "FilesFirst", "files_channel"]


def files_channel(context: AdapterContext) -> CandleFiles:
    """Build the channel; this is what the entry point names.

    Raises:
        ConfigurationError: an option is wrong.

    """
    options = FileOptions.of(context.own_options(), f"plugins.options.{context.name}")

    def tell_ignored(what: str) -> None:
        context.warn("file_ignored", what)

    return CandleFiles(context.name, options, CandleFolder.of(options, tell_ignored))
