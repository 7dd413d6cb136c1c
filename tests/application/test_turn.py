"""Turns: given to who was woken, unless they have had it."""

import asyncio

from market_backbone.application.turn import Turn


class Woken:
    """A task that waits to be woken, and notes that it went on."""

    def __init__(self):
        self.times = 0
        self._bell = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            await self._bell.wait()
            self._bell.clear()
            self.times += 1

    async def wake(self):
        self._bell.set()


async def test_who_was_woken_since_the_last_turn_has_been_running_when_the_next_is_given():
    woken, turn = Woken(), Turn()
    await asyncio.sleep(0)
    for time in range(1, 4):
        await woken.wake()
        await turn.give()
        await woken.wake()
        await turn.give()
        assert woken.times >= time
    woken.task.cancel()


async def test_a_turn_that_all_have_had_already_costs_no_round_of_the_loop():
    turn, rounds = Turn(), []
    await turn.give()
    await asyncio.sleep(0)  # as when nothing has come yet
    asyncio.get_running_loop().call_soon(rounds.append, 1)
    await turn.give()
    assert rounds == []
    await turn.give()
    assert rounds == [1], "nobody has had a turn since"
