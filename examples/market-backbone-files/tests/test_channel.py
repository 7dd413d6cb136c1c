"""What a folder answers, and what it says of slots without a row."""

from datetime import timedelta

import pytest
from conftest import MINUTE, START, minutes_of
from market_backbone_files import folder as folder_module

from market_backbone import (
    ChannelUnavailableError,
    MalformedReplyError,
    Reason,
    UnknownSymbolError,
    UnsupportedRequestError,
    create_unified_api,
)

BTC = "files:BTC/KRW"
HOUR = timedelta(hours=1)


def at(minute):
    return START + minute * MINUTE


async def test_a_slot_without_a_row_is_not_known_unless_the_owner_vouches_for_it(folder):
    folder.write_csv(minutes=[0, 1, 4, 5])
    unknown = await folder.channel().get_candles(BTC)
    assert [(gap.start, gap.end, gap.reason) for gap in unknown.gaps()] == [(at(2), at(4), Reason.UNKNOWN)]
    known = await folder.channel(complete=True).get_candles(BTC)
    assert (known.gaps(), [(part.start, part.reason) for part in known.quiet()]) == ((), [(at(2), Reason.NO_TRADE)])


async def test_what_lies_outside_the_file_is_never_said_to_be_empty(folder):
    folder.write_csv(minutes=range(10))
    series = await folder.channel(complete=True).get_candles(BTC, start=at(-5), end=at(20))
    assert [(gap.start, gap.end) for gap in series.gaps()] == [(at(-5), at(0)), (at(10), at(20))]


async def test_the_first_rows_from_a_start_speak_of_no_more_than_themselves(folder):
    folder.write_csv(minutes=range(10))
    series = await folder.channel().get_candles(BTC, "1m", 2, start=at(5))
    assert (minutes_of(series), series.coverage.asked.end, series.gaps()) == ([5, 6], at(7), ())


async def test_a_symbol_without_a_file_is_unknown_to_a_folder_of_its_own_and_left_to_others_otherwise(folder):
    folder.write_csv()
    with pytest.raises(UnknownSymbolError, match="did you mean files:BTC/KRW"):
        await folder.channel().get_candles("files:BTC/KRX")
    with pytest.raises(ChannelUnavailableError) as caught:
        await folder.channel(prefix="").get_candles("KRW-ETH")
    assert (caught.value.is_fault, caught.value.retryable) == (False, False)


async def test_a_timeframe_of_which_there_is_no_file_is_not_declared(folder):
    folder.write_csv()
    folder.write_csv("KRW-ETH-5m.csv", range(0, 60, 5))
    channel = folder.channel()
    assert {str(frame) for frame in channel.capabilities.timeframes} == {"1m", "5m"}
    with pytest.raises(UnsupportedRequestError, match="there are files of 1m 5m"):
        await channel.get_candles(BTC, "1h")
    with pytest.raises(ChannelUnavailableError):
        await channel.get_candles(BTC, "5m")


async def test_an_empty_folder_declares_nothing(folder):
    able = folder.channel().capabilities
    assert (able.answers, able.candles_per_call) == (frozenset(), 0)


async def test_a_file_is_read_once_and_again_when_it_has_changed(folder, monkeypatch):
    read = []
    load = folder_module.load
    monkeypatch.setattr(folder_module, "load", lambda path, *rest: read.append(path) or load(path, *rest))
    folder.write_csv(minutes=range(3))
    channel = folder.channel()
    for _ in range(3):
        await channel.get_candles(BTC)
    assert len(read) == 1
    folder.write_csv(minutes=range(4))
    assert (len(await channel.get_candles(BTC)), len(read)) == (4, 2)


async def test_what_was_read_longest_ago_leaves_the_memory(folder):
    for coin in ("BTC", "ETH", "XRP"):
        folder.write_csv(f"KRW-{coin}-1m.csv", range(500))
    channel = folder.channel(most_rows=1000)
    for coin in ("BTC", "ETH", "XRP", "ETH"):
        await channel.get_candles(f"files:{coin}/KRW")
    held = [str(series.symbol) for _, series in channel._folder._held]
    assert held == ["files:XRP/KRW", "files:ETH/KRW"]


async def test_a_file_that_is_too_large_is_refused_before_it_fills_the_memory(folder):
    folder.write_csv(minutes=range(1200))
    with pytest.raises(MalformedReplyError, match="holds more than 1000 rows; split it, or raise the option most_rows"):
        await folder.channel(most_rows=1000).get_candles(BTC)


@pytest.fixture
def open_api(folder):
    def opened(policy=None, plugins=("files",), **options):
        settings = {
            "plugins.adapters": list(plugins),
            "log.level": "ERROR",
            "plugins.options.files": {"folder": str(folder.path), **options},
        }
        return create_unified_api("test", settings, policy)

    return opened


async def test_a_backtest_asks_as_a_live_run_does(folder, open_api):
    """Nothing but the settings differs: plain symbols, every form of question, no exchange."""
    folder.write_csv(minutes=range(200))
    async with open_api(prefix="") as api:
        assert minutes_of(await api.get_candles("KRW-BTC", "1m", 3)) == [197, 198, 199]
        assert minutes_of(await api.get_candles("KRW-BTC", start=at(5), end=at(8))) == [5, 6, 7]
        assert minutes_of(await api.get_candles("KRW-BTC", start=at(197))) == [197, 198, 199]
        assert minutes_of(await api.get_candles("KRW-BTC", "1m", 2, start=at(50))) == [50, 51]
        assert minutes_of(await api.get_candles("KRW-BTC", "1m", 2, end=at(50))) == [48, 49]
        series = await api.get_candles("KRW-BTC", "1m", 200)
        assert (series.venue, series.strict().trace.served_by, api.venue) == ("files", ("files",), "files")


async def test_what_was_not_kept_is_a_gap_and_no_beginning_of_history(folder, open_api):
    folder.write_csv(minutes=range(20))
    async with open_api() as api:
        series = await api.get_candles(BTC, "1m", 25)
        assert len(series) == 20
        assert [(gap.start, gap.end, gap.reason) for gap in series.gaps()] == [(at(-5), at(0), Reason.BEYOND_RETENTION)]
        ranged = await api.get_candles(BTC, start=at(-5), end=at(20))
        assert [(gap.start, gap.end) for gap in ranged.gaps()] == [(at(-5), at(0))]


async def test_many_pages_are_walked(folder, open_api):
    folder.write_csv(minutes=range(25_000))
    async with open_api() as api:
        assert len(await api.get_candles(BTC, start=at(0), end=at(25_000))) == 25_000


async def test_the_folder_answers_by_prefix_by_policy_and_when_ours_fail(folder, open_api):
    folder.write_csv(minutes=range(20))
    everybody = ("rest", "websocket", "cache", "files")
    async with open_api(plugins=everybody) as api:
        assert (await api.get_candles(BTC, "1m", 5)).trace.served_by == ("files",)
        assert (await api.get_candles("KRW-BTC", "1m", 5)).trace.served_by == ("rest",)
    async with open_api("files-first", everybody, prefix="") as api:
        held = await api.get_candles("KRW-BTC", start=at(0), end=at(5))
        assert (held.trace.served_by, held.trace.rule, held.venue) == (("files",), "files-first", "files")
        other = await api.get_candles("KRW-ETH", "1m", 5)
        assert other.trace.served_by == ("rest",)
        assert other.venue.startswith("sandbox:")
