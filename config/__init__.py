"""What may be set, what is set when nobody sets anything, and where each value came from."""

from .loading import LoadedSettings, load_settings
from .settings import Settings

__all__ = ["LoadedSettings", "Settings", "load_settings"]
