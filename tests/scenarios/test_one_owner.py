"""An API belongs to one event loop and one process: use from elsewhere is refused at once, and harms nobody."""

import asyncio
import os
import sys
import threading

import pytest

from market_backbone import UnsupportedRequestError


@pytest.mark.parametrize("is_first", [True, False])
async def test_another_event_loop_is_refused_with_the_way_out_and_the_owner_goes_on(api, is_first):
    if not is_first:
        await api.get_ticker("KRW-BTC")
    caught = []

    def elsewhere():
        async def ask():
            await api.get_ticker("KRW-BTC")

        try:
            asyncio.run(ask())
        except UnsupportedRequestError as error:
            caught.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join, 10)
    assert "run_coroutine_threadsafe" in caught[0]
    assert await api.get_ticker("KRW-BTC")
    assert all(health.circuit.name == "CLOSED" for health in api.channel_health().values())


async def test_the_way_out_works(api):
    await api.get_ticker("KRW-BTC")
    loop = asyncio.get_running_loop()
    future = await asyncio.to_thread(asyncio.run_coroutine_threadsafe, api.get_ticker("KRW-BTC"), loop)
    assert (await asyncio.wrap_future(future)).symbol == "KRW-BTC"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
async def test_a_forked_child_is_told_that_the_api_is_its_parents(api):
    await api.get_ticker("KRW-BTC")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # no test framework in here, and no way back into it
        try:
            api.explain(None)
            said = "nothing"
        except UnsupportedRequestError as error:
            said = str(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    said = await asyncio.to_thread(os.read, reading, 4096)
    os.close(reading)
    await asyncio.to_thread(os.waitpid, child, 0)
    assert "create one API in each process" in said.decode()
    assert await api.get_ticker("KRW-BTC")


async def test_what_asks_nobody_may_be_called_where_no_loop_runs(api):
    await api.get_ticker("KRW-BTC")
    health = await asyncio.to_thread(api.channel_health)
    assert set(health) == {"rest", "websocket", "cache"}
