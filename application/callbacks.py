"""Users' callbacks: plain or async, and free to fail without taking the stream with them."""

import inspect
from typing import Any

from ..domain.ports import Diary
from ..domain.request import type_of_callback


async def call_back(callback: type_of_callback, item: Any, request_id: str, diary: Diary) -> None:  # noqa: ANN401 - an answer or an event
    """Give ``item`` to the callback; what it raises is reported, and nothing else happens."""
    try:
        outcome = callback(item)
        if inspect.isawaitable(outcome):
            await outcome
    except Exception as error:  # noqa: BLE001 - a stranger's code: its failure must not end the stream
        diary.warn(
            "callback_failed",
            request_id=request_id,
            item=type(item).__name__,
            error=f"{type(error).__name__}: {error}",
            advice="the stream goes on; mend the callback",
        )
