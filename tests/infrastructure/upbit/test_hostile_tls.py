"""A server that is not who it should be: nothing is asked of it."""

import asyncio
import json

import pytest
from certificates import self_signed, server_tls
from rest_scripts import TICKER

from market_backbone.domain.errors import ChannelUnavailableError


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """One for this computer, one for another name; each folder's ``cert.pem`` can also be trusted."""
    names = {"here": "IP:127.0.0.1", "elsewhere": "DNS:api.upbit.com"}
    return {key: self_signed(tmp_path_factory.mktemp(key), name) for key, name in names.items()}


@pytest.fixture
async def listen(answer):
    """Serve, with or without TLS, and count the bytes that anybody sends."""
    servers, heard = [], []

    async def start(tls=None):
        async def connected(reader, writer):
            heard.append(await reader.read(4096))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start, heard
    for server in servers:
        server.close()


@pytest.fixture(params=["rest", "websocket"])
def call(request, make_rest, make_websocket):
    """Ask a place for a ticker, by either channel over TLS."""

    async def ask(place, **options):
        make, scheme = (make_rest, "https") if request.param == "rest" else (make_websocket, "wss")
        return await make(f"{scheme}://{place}", **options).get_ticker("KRW-BTC")

    return ask


CASES = {"signed by nobody": ("here", None), "of another name": ("elsewhere", "elsewhere")}


@pytest.mark.parametrize("case", CASES)
async def test_a_wrong_certificate_ends_the_call_before_a_word_is_said(case, call, listen, certificates):
    shown, trusted = CASES[case]
    start, heard = listen
    place = await start(server_tls(certificates[shown]))
    ca_file = str(certificates[trusted] / "cert.pem") if trusted else ""

    with pytest.raises(ChannelUnavailableError, match=r"(?i)certificate"):
        await call(place, ca_file=ca_file)
    assert heard == []


async def test_a_server_without_tls_is_not_spoken_to(call, listen):
    start, heard = listen
    place = await start()

    with pytest.raises(ChannelUnavailableError, match=r"(?i)ssl"):
        await call(place)
    assert all(b"GET" not in said for said in heard)


async def test_nothing_but_the_question_is_told_to_a_server(serve_http, answer, make_rest):
    seen = []

    async def ticker(request):
        seen.append(request.headers)
        return answer(json.dumps([TICKER]), headers={"Set-Cookie": "id=1; Path=/"})

    async with serve_http(ticker) as url:
        rest = make_rest(url)
        await rest.get_ticker("KRW-BTC")
        await rest.get_ticker("KRW-BTC")
        await rest.close()

    assert [set(headers) for headers in seen] == [{"Host", "User-Agent", "Accept", "Accept-Encoding"}] * 2
