"""Promises about many calls, abandoned calls, a source that fails, and the end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ...domain.errors import ChannelError, ClosedError, MarketDataError, RateLimitedError, RequestError
from .promises import promise, refused, require, require_equal
from .refusals import declared_questions
from .targets import ANYTHING, BREAKABLE, HISTORY, ChannelUnderTest, do
from .task_watch import TaskWatch

_TURNS = (0, 1, 2, 3, 5, 8, 13, 21, 34)
"""After how many turns of the loop a call is cancelled."""

_CALLERS = 8
_AGAIN_S = 0.05


class LifecyclePromises:
    """How a channel behaves when things do not go one after the other."""

    @promise(ANYTHING)
    async def test_r41_cancelling(self, under_test: ChannelUnderTest) -> None:
        """R-41: Cancelling a call leaves nothing running.

        Do: begin a call of each kind that is declared and cancel it at once, or after up to 34 turns of the loop.
        Pass: the call ends, and one second later no task that it started is left.
        """
        for kind, ask in declared_questions(under_test, under_test.symbol).items():
            await under_test.ask(ask)
            for turns in _TURNS:
                with TaskWatch() as watch:
                    await _cancelled_after(turns, ask)
                    left = await watch.left()
                require(not left, f"{kind}, cancelled after {turns} turns, left {', '.join(left)}")

    @promise(ANYTHING)
    async def test_r42_usable_after_cancelling(self, under_test: ChannelUnderTest) -> None:
        """R-42: After a call was cancelled the channel answers as before.

        Do: as for R-41, and then ask again.
        Pass: the answer comes.
        """
        for ask in declared_questions(under_test, under_test.symbol).values():
            await under_test.ask(ask)
            for turns in _TURNS:
                await _cancelled_after(turns, ask)
            await under_test.ask(ask)

    @promise(HISTORY)
    async def test_r43_at_once(self, under_test: ChannelUnderTest) -> None:
        """R-43: Calls at once bring what they bring one by one.

        Do: ask for eight different pages of the past one after the other, and then all at once.
        Pass: the same candles in the same pages; FINAL ones with the same numbers.
        """
        ends = [row.opened_at for row in (await under_test.past())[-_CALLERS:]]
        one_by_one = [await under_test.page(3, end=end) for end in ends]
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(under_test.page(3, end=end)) for end in ends]
        for end, alone, call in zip(ends, one_by_one, calls, strict=True):
            together = call.result()
            same = [a.opened_at for a in alone] == [b.opened_at for b in together] and all(
                a.is_same_market_data(b) for a, b in zip(alone, together, strict=True) if a.is_final and b.is_final
            )
            require(same, f"candles before {end}: alone {list(alone)!r}, at once {list(together)!r}")

    @promise(ANYTHING)
    async def test_r44_every_caller_is_answered(self, under_test: ChannelUnderTest) -> None:
        """R-44: Eight callers at once are all answered, or told to slow down.

        Do: ask each question that is declared eight times at once; whoever is told to slow down asks again.
        Pass: eight answers of each.
        """
        for ask in declared_questions(under_test, under_test.symbol).values():
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(_as_coroutine(under_test, ask)) for _ in range(_CALLERS)]
            require_equal(sum(call.result() is not None for call in calls), _CALLERS, "answers")

    @promise(ANYTHING, BREAKABLE)
    async def test_r45_failing_source(self, under_test: ChannelUnderTest) -> None:
        """R-45: When the source fails, the error is a ChannelError that carries the channel's name.

        Do: ask once, break the source, and ask for each kind that is declared.
        Pass: a `ChannelError` comes each time, its `channel` is the channel's name; never an error of a library.
        """
        channel = under_test.channel
        for ask in declared_questions(under_test, under_test.symbol).values():
            await under_test.ask(ask)
        await do(under_test.break_source)
        try:
            for kind, ask in declared_questions(under_test, under_test.symbol).items():
                error = await _error_of(ask)
                require(isinstance(error, ChannelError), f"{kind} of a broken source: {type(error).__name__}: {error}")
                named = error.channel if isinstance(error, ChannelError) else ""
                require_equal(named, channel.name, "the channel that the error names")
        finally:
            await do(under_test.mend_source)

    @promise(ANYTHING, BREAKABLE)
    async def test_r46_recovery(self, under_test: ChannelUnderTest) -> None:
        """R-46: When the source is well again, so is the channel.

        Do: break the source, ask, mend it, and ask until an answer comes.
        Pass: it comes, for each kind that is declared.
        """
        asked = declared_questions(under_test, under_test.symbol)
        await do(under_test.break_source)
        try:
            for ask in asked.values():
                await _error_of(ask)
        finally:
            await do(under_test.mend_source)
        for ask in asked.values():
            await _until_answered(ask)

    @promise()
    async def test_r47_close(self, under_test: ChannelUnderTest) -> None:
        """R-47: Closing is idempotent, also before anything was asked.

        Do: close three times.
        Pass: nothing is raised.
        """
        for _ in range(3):
            await under_test.channel.close()

    @promise(ANYTHING)
    async def test_r48_closed(self, under_test: ChannelUnderTest) -> None:
        """R-48: After closing, every call is refused with ClosedError.

        Do: ask, close, and ask for each kind that is declared.
        Pass: `ClosedError` each time.
        """
        asked = declared_questions(under_test, under_test.symbol)
        for ask in asked.values():
            await under_test.ask(ask)
        await under_test.channel.close()
        for kind, ask in asked.items():
            with refused(f"{kind} of a closed channel", ClosedError):
                await ask()

    @promise(ANYTHING)
    async def test_r49_nothing_is_left(self, under_test: ChannelUnderTest) -> None:
        """R-49: Closing ends everything that the channel has started.

        Do: ask for each kind that is declared, and close.
        Pass: one second later no task is left that the channel started.
        """
        with TaskWatch() as watch:
            for ask in declared_questions(under_test, under_test.symbol).values():
                await under_test.ask(ask)
            await under_test.channel.close()
            left = await watch.left()
        require(not left, f"closing left {', '.join(left)}")


async def _as_coroutine(under_test: ChannelUnderTest, ask: Callable[[], Awaitable[Any]]) -> object:
    return await under_test.ask(ask)


async def _cancelled_after(turns: int, ask: Callable[[], Awaitable[object]]) -> None:
    """Begin a call and cancel it; what it answers, or how it fails, before that does not matter."""

    async def call() -> None:
        try:
            await ask()
        except RateLimitedError:
            return

    async with asyncio.TaskGroup() as group:
        task = group.create_task(call())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()


async def _error_of(ask: Callable[[], Awaitable[object]]) -> Exception | None:
    try:
        await ask()
    except Exception as error:  # noqa: BLE001 - which error it is is what is tested
        return error
    return None


async def _until_answered(ask: Callable[[], Awaitable[object]]) -> None:
    while (error := await _error_of(ask)) is not None:
        is_worth_a_retry = isinstance(error, MarketDataError) and not isinstance(error, RequestError | ClosedError)
        if not is_worth_a_retry:
            raise error
        await asyncio.sleep(_AGAIN_S)
