"""Where Upbit is, and how to talk to it."""

import math
import re
import ssl
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import cattrs
from attrs import Attribute, field, frozen

from ...domain.errors import ConfigurationError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
ANNOUNCEMENT = "X-Market-Sandbox"
"""The header by which the sandbox says that it is no exchange."""
_SPEEDS = 0.001, 10_000.0
_DATASET = re.compile(r"dataset=([^;\s]{1,128})")
_SPEED = re.compile(r"speed=(\d{1,9}(?:\.\d{1,9})?)(?=[;\s]|$)")


@frozen(kw_only=True)
class Region:
    """One of Upbit's sites, with its differences on the wire.

    Source: probes of api.upbit.com and id-api.upbit.com of 2026-09-23; hosts from the official SDK 1.1.0.

    Attributes:
        host: the host of REST and of the public socket.
        canary: the busiest market, whose silence is worth a question.
        references: the busiest markets, whose common silence is an outage of the whole site.
        has_book_level: whether ``level`` is understood; elsewhere it is an error.

    """

    code: str
    host: str
    canary: str
    references: tuple[str, ...]
    has_book_level: bool

    @property
    def venue(self) -> str:
        """The venue's name."""
        return f"upbit-{self.code}"


REGIONS = {
    region.code: region
    for region in (
        Region(
            code="kr",
            host="api.upbit.com",
            canary="KRW-BTC",
            references=("KRW-BTC", "KRW-ETH", "KRW-XRP"),
            has_book_level=True,
        ),
        Region(code="sg", host="sg-api.upbit.com", canary="SGD-BTC", references=("SGD-BTC",), has_book_level=False),
        Region(code="id", host="id-api.upbit.com", canary="IDR-BTC", references=("IDR-BTC",), has_book_level=False),
        Region(code="th", host="th-api.upbit.com", canary="THB-BTC", references=("THB-BTC",), has_book_level=False),
    )
}


FRAME_FORMATS = ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST")


def _one_of(choices: Collection[str]) -> Callable[[object, "Attribute[str]", str], None]:
    def check(_: object, attribute: "Attribute[str]", value: str) -> None:
        if value not in choices:
            raise ConfigurationError(f"{attribute.name} must be one of {' '.join(choices)}, got {value!r}")

    return check


def _positive(_: object, attribute: "Attribute[Any]", value: float) -> None:
    if not 0 < value < math.inf:
        raise ConfigurationError(f"{attribute.name} must be above 0, got {value!r}")


@frozen(kw_only=True)
class UpbitOptions:
    """The settings of both Upbit channels.

    Raises:
        ConfigurationError: an address is neither TLS nor loopback, or a value means nothing.

    """

    region: str = field(default="kr", validator=_one_of(REGIONS))
    rest_url: str = ""
    websocket_url: str = ""
    verify_tls: bool = True
    ca_file: str = ""
    connect_timeout_s: float = field(default=5.0, validator=_positive)
    reply_timeout_s: float = field(default=10.0, validator=_positive)
    max_reply_bytes: int = field(default=16 * 1024 * 1024, validator=_positive)
    max_frame_bytes: int = field(default=4 * 1024 * 1024, validator=_positive)
    compression: bool = True
    ping_interval_s: float = field(default=20.0, validator=_positive)
    pong_timeout_s: float = field(default=10.0, validator=_positive)
    frame_format: str = field(default="DEFAULT", validator=_one_of(FRAME_FORMATS))
    requests_per_s: int = field(default=10, validator=_positive)
    least_jitter_s: float = field(default=0.02, validator=_positive)
    first_jitter_s: float = field(default=0.25, validator=_positive)
    connects_per_s: int = field(default=5, validator=_positive)
    messages_per_s: int = field(default=5, validator=_positive)
    messages_per_minute: int = field(default=100, validator=_positive)
    shared: str = field(default="process", validator=_one_of(("process", "machine")))

    def __attrs_post_init__(self) -> None:
        """Refuse to send requests in the clear to anything but this computer."""
        for name, url, schemes in (
            ("rest_url", self.rest_url, ("https", "http")),
            ("websocket_url", self.websocket_url, ("wss", "ws")),
        ):
            if url:
                _check_address(name, url, *schemes)

    @classmethod
    def read(cls, options: Mapping[str, object]) -> "UpbitOptions":
        """Build the options of a mapping; keys of other adapters are left alone.

        Raises:
            ConfigurationError: a value cannot be read or means nothing; the message lists all of them.

        """
        try:
            return _CONVERTER.structure(options, cls)
        except cattrs.BaseValidationError as error:
            said = "; ".join(cattrs.transform_error(error, path="upbit", format_exception=_said))
            raise ConfigurationError(said) from error

    @property
    def site(self) -> Region:
        """The chosen region."""
        return REGIONS[self.region]

    @property
    def rest_base(self) -> str:
        """The address in front of ``/v1``.

        Where only one of the two addresses is given, the other is that of the same server: one series
        never mixes the data of two.
        """
        if not self.rest_url and self.websocket_url:
            parts = urlsplit(self.websocket_url)
            return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"
        return (self.rest_url or f"https://{self.site.host}").rstrip("/")

    @property
    def socket_address(self) -> str:
        """The address of the public socket."""
        if not self.websocket_url and self.rest_url:
            parts = urlsplit(self.rest_url)
            return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/websocket/v1"
        return self.websocket_url or f"wss://{self.site.host}/websocket/v1"

    def tls(self) -> ssl.SSLContext:
        """Return the TLS settings.

        Raises:
            ConfigurationError: ``ca_file`` cannot be read.

        """
        return _tls(self.ca_file, verify=self.verify_tls)


def _said(error: BaseException, _: object) -> str:
    return str(error)


def _to_flag(value: object, _: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"expected true or false, got {value!r}")
    return value


_CONVERTER = cattrs.Converter()
_CONVERTER.register_structure_hook(bool, _to_flag)


@cache
def _tls(ca_file: str, *, verify: bool) -> ssl.SSLContext:
    """Build the context once: reading the system's certificates blocks for 10 to 20 ms."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        msg = f"ca_file {ca_file!r} cannot be read: {error}; expected a file of PEM certificates"
        raise ConfigurationError(msg) from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _check_address(name: str, url: str, secure: str, clear: str) -> None:
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ConfigurationError(f"{name} {url!r} is no address: {error}") from error
    if parts.scheme not in {secure, clear} or not has_place:
        raise ConfigurationError(f"{name} {url!r} is no address; expected {secure}://host, or {clear}://127.0.0.1:port")
    if parts.scheme == clear and parts.hostname not in LOOPBACK:
        raise ConfigurationError(f"{name} {url} would be asked in the clear; use {secure}, or a loopback address")


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
    """Return what the sandbox announces in ``dataset=…; speed=…``; None for anything else.

    What is no speed that a sandbox can run at is read as 1: it must not stop our clock, nor make it race.
    """
    text = headers.get(ANNOUNCEMENT)
    if text is None:
        return None
    dataset, stated = _DATASET.search(text), _SPEED.search(text)
    speed = float(stated[1]) if stated else 1.0
    slowest, fastest = _SPEEDS
    name = dataset[1] if dataset and dataset[1].isprintable() else "unnamed"
    return Announcement(name, speed if slowest <= speed <= fastest else 1.0)
