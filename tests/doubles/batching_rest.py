"""A REST that answers for many codes at once."""

from market_backbone import SymbolDelistedError

MANY = [f"KRW-C{number:02}" for number in range(30)]


class BatchingRest:
    """What a channel that answers batches adds to the fake one."""

    def __init__(self, scene, kit):
        self.scene, self.kit = scene, kit
        self.asked = []
        self.unlisted = set()
        rest = scene.rest
        rest.get_all_tickers, rest.get_orderbooks = self.get_all_tickers, self.get_orderbooks
        rest.get_tickers = self.get_tickers
        rest.quotes |= {code: kit.ticker(code, second=1) for code in MANY}
        self.traded_s = dict.fromkeys(["KRW-BTC", "KRW-ETH", *MANY], 1)

    def trade(self, code):
        self.traded_s[code] = round(self.scene.clock.now - 1000.0)

    async def get_all_tickers(self, quotes):
        self.asked.append(("all tickers", tuple(quotes)))
        listed = {code: second for code, second in self.traded_s.items() if code not in self.unlisted}
        return [self.kit.ticker(code, second=second) for code, second in listed.items()]

    async def get_tickers(self, symbols):
        self.asked.append(("tickers", len(symbols)))
        if self.unlisted & set(symbols):
            msg = "one of them is not listed"
            raise SymbolDelistedError(msg)
        return [self.kit.ticker(code, second=self.traded_s[code]) for code in symbols]

    async def get_orderbooks(self, symbols, depth=15):
        self.asked.append(("books", len(symbols)))
        if self.unlisted & set(symbols):
            msg = "one of them is not listed"
            raise SymbolDelistedError(msg)
        return [self.kit.book(symbol, second=1) for symbol in symbols]


def batching(make_scene, kit, kind, **rest):
    scene = make_scene(kind, **rest)
    return scene, BatchingRest(scene, kit)
