"""Numbered promises: a promise is a test whose docstring holds its number, its text and how it is tried."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import wraps
from inspect import cleandoc
from typing import Any, Generic, Protocol, Self, TypeVar, cast

import pytest
from attrs import frozen


class Subject(Protocol):
    """What is tested; no promise waits longer for it than ``timeout_s`` seconds."""

    @property
    def timeout_s(self) -> float:
        """The longest that the trial of one promise may take."""
        ...


S = TypeVar("S", bound=Subject)
S_contra = TypeVar("S_contra", bound=Subject, contravariant=True)

_DOCSTRING = re.compile(
    r"(?P<number>[A-Z]-\d\d): (?P<text>.+?)\.\n\nDo: (?P<action>.+?)\nPass: (?P<passes>.+)", re.DOTALL
)


@frozen
class Need(Generic[S_contra]):
    """What a subject must declare or give before a promise can be tried.

    Attributes:
        text: what is needed, as the end of "needs …".
        is_met: whether a subject has it.

    """

    text: str
    is_met: Callable[[S_contra], bool]


@frozen
class CaseDoc:
    """One promise in words: what it needs, how it is tried, and what keeps it."""

    number: str
    text: str
    needs: tuple[str, ...]
    action: str
    passes: str

    @classmethod
    def read(cls, docstring: str, needs: tuple[str, ...]) -> Self:
        """Read the docstring of a test."""
        found = _DOCSTRING.fullmatch(cleandoc(docstring))
        if found is None:
            msg = f"a promise is written as 'X-00: Text.', a blank line, 'Do: …' and 'Pass: …'; got {docstring!r}"
            raise ValueError(msg)
        parts = {name: " ".join(part.split()) for name, part in found.groupdict().items()}
        return cls(needs=needs, **parts)

    def __str__(self) -> str:
        """Say the promise in one line."""
        return f"{self.number}: {self.text}"


class BrokenPromiseError(AssertionError):
    """A promise was not kept; the message names it and says what came instead."""

    def __init__(self, case_doc: CaseDoc, cause: Exception) -> None:
        """Tell what came: the finding of a check, or the exception that a subject raised."""
        while isinstance(cause, ExceptionGroup):
            cause = cast("ExceptionGroup[Exception]", cause).exceptions[0]
        found = str(cause) if isinstance(cause, AssertionError) else f"{type(cause).__name__}: {cause}"
        super().__init__(f"{case_doc}\n  but {found}")
        self.case_doc = case_doc


_CASE_DOCS: dict[str, CaseDoc] = {}


def case_docs() -> tuple[CaseDoc, ...]:
    """Return the card of every promise, channels first, then streams, stores and policies."""
    return tuple(sorted(_CASE_DOCS.values(), key=lambda case_doc: ("RLSP".index(case_doc.number[0]), case_doc.number)))


def promise(*needs: Need[S]) -> Callable[[Callable[[Any, S], Awaitable[None]]], Callable[[Any, S], Awaitable[None]]]:
    """Make a test the trial of a promise: skipped unless its needs are met, bounded, and named when it fails."""

    def decorate(test: Callable[[Any, S], Awaitable[None]]) -> Callable[[Any, S], Awaitable[None]]:
        case_doc = _register(test, needs)

        @wraps(test)
        async def tried(self: object, under_test: S) -> None:
            _skip_unless_met(needs, under_test, case_doc)
            with _telling(case_doc, under_test):
                async with asyncio.timeout(under_test.timeout_s):
                    await test(self, under_test)

        return tried

    return decorate


def pure_promise(*needs: Need[S]) -> Callable[[Callable[[Any, S], None]], Callable[[Any, S], None]]:
    """Make a test the trial of a promise that waits for nothing."""

    def decorate(test: Callable[[Any, S], None]) -> Callable[[Any, S], None]:
        case_doc = _register(test, needs)

        @wraps(test)
        def tried(self: object, under_test: S) -> None:
            _skip_unless_met(needs, under_test, case_doc)
            with _telling(case_doc, under_test):
                test(self, under_test)

        return tried

    return decorate


def _register(test: Callable[..., object], needs: tuple[Need[S], ...]) -> CaseDoc:
    case_doc = CaseDoc.read(test.__doc__ or "", tuple(need.text for need in needs))
    if case_doc.number in _CASE_DOCS:
        raise ValueError(f"two promises have the number {case_doc.number}")
    _CASE_DOCS[case_doc.number] = case_doc
    return case_doc


def _skip_unless_met(needs: tuple[Need[S], ...], under_test: S, case_doc: CaseDoc) -> None:
    lacks = [need.text for need in needs if not need.is_met(under_test)]
    if lacks:
        pytest.skip(f"{case_doc.number} needs {' and '.join(lacks)}")


@contextmanager
def _telling(case_doc: CaseDoc, under_test: Subject) -> Generator[None]:
    try:
        yield
    except TimeoutError as error:
        late = AssertionError(f"nothing came of it within {under_test.timeout_s:g} s")
        raise BrokenPromiseError(case_doc, late) from error
    except Exception as error:  # a subject may raise anything, and whatever it is breaks the promise
        raise BrokenPromiseError(case_doc, error) from error


def require(holds: object, otherwise: str) -> None:
    """Fail with ``otherwise`` unless something holds."""
    if not holds:
        raise AssertionError(otherwise)


def require_equal(found: object, expected: object, what: str) -> None:
    """Fail unless two values are equal, and show both."""
    require(found == expected, f"{what}: expected {expected!r}, got {found!r}")


def require_is_a(found: object, kind: Any, otherwise: str) -> None:  # noqa: ANN401 - a type, or a protocol
    """Fail unless something is what its author has promised a type checker that it is."""
    require(isinstance(found, kind), otherwise)


@contextmanager
def refused(what: str, *kinds: type[Exception]) -> Generator[None]:
    """Expect that something is refused with one of these errors; another error passes through."""
    try:
        yield
    except kinds:
        return
    expected = " or ".join(kind.__name__ for kind in kinds)
    raise AssertionError(f"{what} was answered; expected {expected}")
