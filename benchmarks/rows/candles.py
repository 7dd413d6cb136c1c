"""200 candles over REST, all clients; from the cache and from what is followed, ours alone."""

from side.environments import python_of
from side.findings import Figure, Goal, Section
from side.running import Client, Outcome, market
from side.settings import Lab

OURS, CCXT, PARTS = "market-backbone", "ccxt", "parts: aiohttp + msgspec to attrs, exact decimals"
CACHED, FOLLOWED = "from the cache (SQLite)", "from a live subscription"
PAGES = 40


def measure(lab: Lab) -> list[Section]:
    """Ask all for the same pages, in turn, with the limits lifted; then ask ours for what it holds."""
    return [_over_rest(lab), _held(lab)]


def _over_rest(lab: Lab) -> Section:
    section = Section("200 candles over REST, one after another, no limits, p50", "ms")
    clients = [
        Client(OURS, python_of("ours"), "ours_candles.py"),
        Client("market-backbone[fast]", python_of("fast"), "ours_candles.py"),
        Client(CCXT, python_of("ccxt"), "ccxt_candles.py"),
        Client("pybotters (rows as they come)", python_of("pybotters"), "pybotters_candles.py"),
        Client("pyupbit (a data frame)", python_of("pyupbit"), "pyupbit_candles.py"),
        Client("upbit-sdk", python_of("upbit-sdk"), "upbit_sdk_candles.py"),
        Client(PARTS, python_of("parts"), "parts_candles.py"),
    ]
    section.figures = [Figure(one.name) for one in clients]
    with market(python_of("ours"), "--no-limits") as server:
        for number in range(lab.rounds):
            for one, figure in lab.in_turn(list(zip(clients, section.figures, strict=True)), number):
                _take(figure, one.run("candles", server.url, 10 if lab.is_quick else PAGES), "p50_ms")
                lab.tell("REST", figure)
    section.goals = [
        Goal("200 candles: default install / best parts, p50", section.ratio(OURS, PARTS), 2.0, at_least=False),
        Goal("200 candles: ccxt / default install, p50", section.ratio(CCXT, OURS), 1.8),
    ]
    section.remarks = ["Ours answers with coverage, finality and a trace, and keeps what came; the others with rows."]
    return section


def _held(lab: Lab) -> Section:
    section = Section("200 candles that are held, p50", "ms", [Figure(CACHED), Figure(FOLLOWED)])
    client = Client(OURS, python_of("ours"), "ours_held.py")
    with market(python_of("ours"), "--no-limits") as server:
        for _ in range(lab.rounds):
            server.plan(kind="candle.1m", rate=4, seconds=20.0)  # who knows whether a silent stream lives
            told = client.run("candles", server.url, 20 if lab.is_quick else 200)
            for figure, name in zip(section.figures, ("cached_ms", "followed_ms"), strict=True):
                _take(figure, told, name)
                lab.tell("held", figure)
    section.goals = [
        Goal("200 candles from the cache, p50", section.median_of(CACHED), 1.0, at_least=False, unit="ms"),
        Goal("200 candles from a live subscription, p50", section.median_of(FOLLOWED), 0.1, at_least=False, unit="ms"),
    ]
    return section


def _take(figure: Figure, told: Outcome, name: str) -> None:
    if "failed" in told:
        figure.failed = told["failed"]
        return
    figure.values.append(told[name])
    figure.details.append(told)
    figure.note = f"CPU {told['cpu_ms']:.1f} ms" if "cpu_ms" in told else told["how"]
