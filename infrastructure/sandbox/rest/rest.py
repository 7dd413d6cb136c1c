"""The REST server without sockets: a request in, a reply out."""

import gzip
import hashlib
from collections.abc import Mapping

import attrs
import msgspec

from ..counters import Counters
from ..faults import FaultSchedule
from ..limits import RateLimits, Verdict
from .endpoints import Endpoint, Endpoints
from .parameters import Refusal

_CONSTANT_HEADERS = {
    "Content-Type": "application/json;charset=UTF-8",
    "Limit-By-Ip": "Yes",
    "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "Vary": "origin,access-control-request-method,access-control-request-headers,accept-encoding",
}
_TEXT = {"Content-Type": "text/plain;charset=UTF-8"}
_NO_ROUTE = b'{"error":{"name":"not_found","message":"no Route matched with those values"}}'
_TOO_MANY = "Too many API requests."
_SERVER_ERROR = 500
_OK = 200
_MS = 1_000
_DEFAULT_SLOWNESS_S = 3.0


@attrs.frozen
class RestRequest:
    """What the server needs to know of an HTTP request."""

    method: str
    path: str
    query: Mapping[str, str]
    address: str
    has_origin: bool = False
    accepts_gzip: bool = False


@attrs.frozen
class RestReply:
    """An HTTP reply, and by how many sandbox seconds it is held back after it was read."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    delay_s: float = 0.0


@attrs.frozen
class RestHandler:
    """Routes, limits, faults and headers around the endpoints."""

    _endpoints: Endpoints
    _limits: RateLimits
    _faults: FaultSchedule
    _counters: Counters
    json_refusals: bool = attrs.field(kw_only=True)

    def answer(self, request: RestRequest, now: int) -> RestReply:
        """Return the reply that a request sent at ``now`` gets."""
        found = self._endpoints.find(request.path)
        if found is None or request.method not in ("GET", "HEAD"):
            return RestReply(404, _NO_ROUTE, {"Content-Type": "application/json; charset=utf-8"})
        group, endpoint = found
        maintenance = self._faults.active("maintenance", now)
        # Before the limits: a proxy in front of the exchange counts nothing.
        if maintenance is not None:
            return self._failure(maintenance.status or _SERVER_ERROR)
        self._counters.count_request(group)
        verdict = self._limits.ask(request.address, "origin" if request.has_origin else group, now)
        reply = self._reply(endpoint, request, verdict, group, now)
        self._counters.count_status(reply.status)
        return self._headed(reply, request, verdict, group, now)

    def _reply(self, endpoint: Endpoint, request: RestRequest, verdict: Verdict, group: str, now: int) -> RestReply:
        if verdict.status != _OK:
            return self._refusal(verdict.status, verdict.blocked_s)
        fault = self._faults.hits("rest-status", now, group=group)
        if fault is not None:
            status = fault.status or _SERVER_ERROR
            return self._refusal(status, 60) if status in (418, 429) else self._failure(status)
        try:
            body = endpoint(request.query, now)
        except Refusal as refusal:
            return RestReply(refusal.status, _error(refusal.status, refusal.message), {})
        if self._faults.hits("malformed-body", now, group=group):
            body = body[: len(body) * 2 // 3] + b"\x00"
        slow = self._faults.active("slow-rest", now, group=group)
        seconds = 0.0 if slow is None else (_DEFAULT_SLOWNESS_S if slow.seconds is None else slow.seconds)
        return RestReply(_OK, body, {}, seconds)

    def _refusal(self, status: int, blocked_s: int) -> RestReply:
        """Refuse with 429 or 418; the latter says how long the address is blocked."""
        text = _TOO_MANY if status == 429 else f"{_TOO_MANY} This IP is blocked for {blocked_s} seconds."  # noqa: PLR2004
        # Clients have met plain text and JSON; which one Upbit sends today is not known.
        if self.json_refusals or status not in (418, 429):
            return RestReply(status, _error(status, text), {})
        return RestReply(status, text.encode(), _TEXT)

    def _failure(self, status: int) -> RestReply:
        """Fail like a proxy in front of the exchange: no ``Remaining-Req``."""
        if status == _SERVER_ERROR:
            return RestReply(status, _error(status, "Internal server error"), _CONSTANT_HEADERS)
        body = f"<html><head><title>{status}</title></head><body>The service is unavailable.</body></html>"
        return RestReply(status, body.encode(), {"Content-Type": "text/html"})

    def _headed(self, reply: RestReply, request: RestRequest, verdict: Verdict, group: str, now: int) -> RestReply:
        headers = {**_CONSTANT_HEADERS, "Remaining-Req": verdict.remaining, **reply.headers}
        if self._faults.hits("drop-remaining-req", now, group=group):
            del headers["Remaining-Req"]
        headers["ETag"] = f'W/"0{hashlib.md5(reply.body, usedforsecurity=False).hexdigest()}"'
        body = reply.body
        if request.accepts_gzip:
            body = gzip.compress(body, compresslevel=5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return RestReply(reply.status, body, headers, reply.delay_s)


def _error(status: int, message: str) -> bytes:
    return msgspec.json.encode({"error": {"name": status, "message": message}})
