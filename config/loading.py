"""Load the settings: five layers, later ones win, every mistake reported at once.

    default.toml < <environment>.toml < the user's file < environment variables < arguments

The user's file is named by ``MARKET_BACKBONE_CONFIG``, the environment by ``MARKET_BACKBONE_ENV``
(``production`` when unset), and ``MARKET_BACKBONE__SECTION__KEY`` sets one key.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from . import sources
from .reading import Reading
from .settings import Settings


@frozen
class LoadedSettings:
    """Settings and their provenance.

    Attributes:
        settings: the tree.
        origins: dotted path of each setting to the layer that set it, such as ``default.toml`` or
            ``environment variable MARKET_BACKBONE__CACHE__FOLDER``.
        environment: name of the set of values that was chosen.

    """

    settings: Settings
    origins: Mapping[str, str]
    environment: str


def load_settings(
    environment: str | None = None,
    overrides: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Load the settings of an environment.

    Args:
        environment: ``production``, ``development`` or ``test``; ``MARKET_BACKBONE_ENV`` when None.
        overrides: the last word; nested (``{"cache": {"folder": …}}``) or dotted (``{"cache.folder": …}``).
        environ: the variables to read instead of the process's own.

    Raises:
        ConfigurationError: the message names every mistake with its path, what was expected, what came and whence.

    """
    environ = os.environ if environ is None else environ
    name = sources.choose_environment(environment, environ)
    reading = Reading()
    reading.take(sources.packaged_entries("default"))
    reading.take(sources.packaged_entries(name))
    if file := environ.get(sources.FILE_VARIABLE):
        reading.take(sources.file_entries(file))
    reading.take(sources.variable_entries(environ))
    reading.take(sources.mapping_entries(overrides or {}))
    return LoadedSettings(reading.settings(), MappingProxyType(reading.origins), name)
