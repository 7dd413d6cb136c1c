"""The admin endpoint: what the sandbox is, and faults by hand."""

from collections.abc import Callable

import attrs
import msgspec

from ....domain.errors import ConfigurationError
from ..faults import Fault, faults_from
from .rest import RestReply

_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain;charset=UTF-8"}


@attrs.frozen
class AdminHandler:
    """Answers ``GET /sandbox``, ``POST /sandbox/faults`` and ``DELETE /sandbox/faults``."""

    _describe: Callable[[], dict[str, object]]
    _inject: Callable[[Fault], None]
    _clear: Callable[[], None]

    def answer(self, method: str, path: str, body: bytes) -> RestReply:
        """Return the reply to an admin request; these are outside all limits."""
        if (method, path) == ("GET", "/sandbox"):
            return self._information()
        if (method, path) == ("POST", "/sandbox/faults"):
            return self._take(body)
        if (method, path) == ("DELETE", "/sandbox/faults"):
            self._clear()
            return self._information()
        text = "Known: GET /sandbox, POST /sandbox/faults, DELETE /sandbox/faults."
        return RestReply(404, text.encode(), _TEXT)

    def _information(self) -> RestReply:
        return RestReply(200, msgspec.json.encode(self._describe()), _JSON)

    def _take(self, body: bytes) -> RestReply:
        try:
            faults = faults_from(msgspec.json.decode(body))
        except (msgspec.DecodeError, RecursionError) as error:
            return RestReply(400, f"expected a JSON fault or a list of them, but {error}".encode(), _TEXT)
        except ConfigurationError as error:
            return RestReply(400, str(error).encode(), _TEXT)
        for fault in faults:
            self._inject(fault)
        return self._information()
