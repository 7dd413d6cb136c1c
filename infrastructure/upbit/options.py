"""Where Upbit is, and how to talk to it."""

import re
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import cattrs
from attrs import field, frozen, validators

from ...domain.errors import ConfigurationError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
ANNOUNCEMENT = "X-Market-Sandbox"
"""The header by which the sandbox says that it is no exchange."""


@frozen(kw_only=True)
class Region:
    """One of Upbit's sites, with its differences on the wire.

    Source: probes of api.upbit.com and id-api.upbit.com of 2026-09-23; hosts from the official SDK 1.1.0.

    Attributes:
        host: the host of REST and of the public socket.
        canary: the busiest market, whose silence is worth a question.
        has_book_level: whether ``level`` is understood; elsewhere it is an error.

    """

    code: str
    host: str
    canary: str
    has_book_level: bool

    @property
    def venue(self) -> str:
        """The venue's name."""
        return f"upbit-{self.code}"


REGIONS = {
    region.code: region
    for region in (
        Region(code="kr", host="api.upbit.com", canary="KRW-BTC", has_book_level=True),
        Region(code="sg", host="sg-api.upbit.com", canary="SGD-BTC", has_book_level=False),
        Region(code="id", host="id-api.upbit.com", canary="IDR-BTC", has_book_level=False),
        Region(code="th", host="th-api.upbit.com", canary="THB-BTC", has_book_level=False),
    )
}


@frozen(kw_only=True)
class UpbitOptions:
    """The settings of both Upbit channels.

    Raises:
        ConfigurationError: an address is neither official nor TLS nor loopback.

    """

    region: str = field(default="kr", validator=validators.in_(REGIONS))
    rest_url: str = ""
    websocket_url: str = ""
    verify_tls: bool = True
    ca_file: str = ""
    connect_timeout_s: float = 5.0
    reply_timeout_s: float = 10.0
    max_reply_bytes: int = 16 * 1024 * 1024
    max_frame_bytes: int = 4 * 1024 * 1024
    compression: bool = True
    ping_interval_s: float = 20.0
    pong_timeout_s: float = 10.0
    frame_format: str = "DEFAULT"
    requests_per_s: int = 10
    least_jitter_s: float = 0.02
    first_jitter_s: float = 0.25
    connects_per_s: int = 5
    messages_per_s: int = 5
    messages_per_minute: int = 100

    def __attrs_post_init__(self) -> None:
        """Refuse to send requests in the clear to anything but this computer."""
        for url in filter(None, (self.rest_url, self.websocket_url)):
            parts = urlsplit(url)
            if parts.scheme not in {"https", "wss"} and parts.hostname not in LOOPBACK:
                msg = f"{url} would be asked in the clear; use https/wss, or a loopback address"
                raise ConfigurationError(msg)

    @classmethod
    def read(cls, options: Mapping[str, object]) -> "UpbitOptions":
        """Build the options of a mapping; keys of other adapters are left alone."""
        return cattrs.structure(options, cls)

    @property
    def site(self) -> Region:
        """The chosen region."""
        return REGIONS[self.region]

    @property
    def rest_base(self) -> str:
        """The address in front of ``/v1``."""
        return (self.rest_url or f"https://{self.site.host}").rstrip("/")

    @property
    def socket_address(self) -> str:
        """The address of the public socket."""
        return self.websocket_url or f"wss://{self.site.host}/websocket/v1"

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS settings; None where none is spoken."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if not self.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def venue_of_address(url: str, region: Region) -> str:
    """Return the venue of an address: official only for the official host over TLS."""
    parts = urlsplit(url)
    if parts.scheme in {"https", "wss"} and parts.hostname == region.host and parts.port in {None, 443}:
        return region.venue
    port = parts.port or (443 if parts.scheme in {"https", "wss"} else 80)
    return f"custom:{parts.hostname}:{port}"


@frozen
class Announcement:
    """What a sandbox says of itself."""

    dataset: str
    speed: float

    @property
    def venue(self) -> str:
        """The venue's name."""
        return f"sandbox:{self.dataset}"


def read_announcement(headers: Mapping[str, str]) -> Announcement | None:
    """Return what the sandbox announces in ``dataset=…; speed=…``; None for anything else."""
    text = headers.get(ANNOUNCEMENT)
    if text is None:
        return None
    dataset = re.search(r"dataset=([^;\s]+)", text)
    speed = re.search(r"speed=(\d+(?:\.\d+)?)", text)
    return Announcement(dataset[1] if dataset else "unnamed", float(speed[1]) if speed else 1.0)
