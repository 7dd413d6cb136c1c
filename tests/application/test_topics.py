"""What a topic keeps, where an answer of REST and a new socket cross each other."""

import pytest

from market_backbone import DataKind
from market_backbone.application.topics import TradeTopic
from market_backbone.domain.request import Topic


class CrossedRest:
    """REST whose answer is under way while something happens."""

    def __init__(self, kit, trades, meanwhile):
        self.capabilities = kit.Channel().capabilities
        self._trades = trades
        self._meanwhile = meanwhile

    async def get_trade_page(self, symbol, count, *, before_id=None, days_ago=None):
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return [] if before_id or days_ago else self._trades


def ids(events):
    return [event.trade.sequential_id for event in events]


@pytest.mark.parametrize("crossing", ["a new life", "its first frame"])
async def test_an_answer_that_was_asked_for_before_the_socket_spoke_is_thrown_away_and_asked_for_again(kit, crossing):
    topic = TradeTopic(Topic(DataKind.TRADE, kit.BTC))
    topic.take(kit.trade(1))
    if crossing == "a new life":

        def meanwhile():
            topic.begin_life()
            topic.take(kit.trade(9))

    else:
        topic.begin_life()

        def meanwhile():
            topic.take(kit.trade(9))

    early = [kit.trade(number) for number in (1, 2)]
    assert await topic.catch_up(CrossedRest(kit, early, meanwhile)) == []
    assert topic.is_behind
    complete = [kit.trade(number) for number in (1, 2, 5, 9)]
    assert ids(await topic.catch_up(CrossedRest(kit, complete, lambda: None))) == [2, 5, 9]
    assert not topic.is_behind
