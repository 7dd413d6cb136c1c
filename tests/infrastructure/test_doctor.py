"""The doctor finds what is wrong and says what to do."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from attrs import evolve

from market_backbone import Capabilities, DataKind
from market_backbone.config import load_settings
from market_backbone.infrastructure.doctor import examine
from market_backbone.infrastructure.sandbox import Fault


def settings_with(folder):
    loaded = load_settings("test").settings
    return evolve(loaded, cache=evolve(loaded.cache, folder=str(folder)))


async def test_a_healthy_backbone_has_no_complaint(open_market, tmp_path):
    async with open_market(speed=1.0) as (_, api):
        findings = await examine(api, settings_with(tmp_path / "cache"))
    assert [finding.what for finding in findings] == [
        "candle store",
        "channel rest",
        "budget header",
        "clock",
        "channel websocket",
        "cache folder",
    ]
    assert all(finding.is_ok for finding in findings), findings


async def test_a_dead_exchange_a_wrong_clock_and_a_bad_folder_are_each_told_with_advice(open_market, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    async with open_market(speed=1.0, starts_at=datetime(2020, 1, 1, tzinfo=UTC)) as (sandbox, api):
        sandbox.inject(Fault("refuse-upgrades", status=503))
        sandbox.inject(Fault("drop-remaining-req"))
        findings = {finding.what: finding for finding in await examine(api, settings_with(blocked))}
    assert findings["channel rest"].is_ok
    for what in ("channel websocket", "clock", "cache folder", "budget header"):
        assert not findings[what].is_ok, what
        assert findings[what].advice
    assert "off by" in findings["clock"].found


async def test_an_exchange_that_does_not_answer_leaves_the_clock_unknown(open_market, tmp_path):
    async with open_market(speed=1.0) as (sandbox, api):
        await sandbox.stop()
        findings = {finding.what: finding for finding in await examine(api, settings_with(tmp_path))}
    assert not findings["channel rest"].is_ok
    assert findings["clock"].found == "the server's time is not known"


@pytest.mark.parametrize("year", [2020, 2040])
async def test_the_clock_is_judged_in_both_directions(open_market, tmp_path, year):
    async with open_market(speed=1.0, starts_at=datetime(year, 1, 1, tzinfo=UTC)) as (_, api):
        findings = {finding.what: finding for finding in await examine(api, settings_with(tmp_path))}
    assert ("+" in findings["clock"].found) == (year == 2020)


class OfAnotherVenue:
    """A channel without prices, such as files; what it lists can be asked for."""

    capabilities = Capabilities(answers=frozenset({DataKind.CANDLE, DataKind.TICKER}), venue_prefix="binance")

    async def get_markets(self):
        return ["one", "two"]

    async def check_symbol(self, symbol):
        """Know every symbol."""


class OfNoUse:
    """A channel that streams only, of which nothing can be asked."""

    capabilities = Capabilities(follows=frozenset({DataKind.TRADE}), venue_prefix="binance")


async def test_a_channel_of_another_venue_is_not_asked_for_the_won(tmp_path):
    api = SimpleNamespace(channels={"ccxt": OfAnotherVenue(), "ccxt-pro": OfNoUse()})
    findings = {finding.what: finding for finding in await examine(api, settings_with(tmp_path))}
    assert findings["channel ccxt"].found == "answers; 2 markets"
    assert (findings["channel ccxt-pro"].is_ok, "was not asked" in findings["channel ccxt-pro"].found) == (True, True)
