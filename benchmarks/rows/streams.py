"""WebSocket frames to a callback: all clients, and the best parts that they could be made of."""

from side.environments import python_of
from side.findings import Figure, Goal, Section
from side.running import Client, Market, Outcome, market
from side.settings import Lab

OURS, FAST, CCXT, CRYPTOFEED, EXACT = (
    "market-backbone", "market-backbone[fast]", "ccxt.pro", "cryptofeed", "parts: picows + msgspec, exact decimals",
)  # fmt: skip
SERVER = "the server alone (a bare socket)"
TITLES = {"trade": "Trades", "ticker": "Tickers", "orderbook": "Order books of 15 levels"}
UNIT = "frames in a second of the client's CPU time"
OTHER = "cpu_seconds_of_its_other_process"
OWN = (OURS, FAST)


def clients() -> list[Client]:
    """Return everybody who takes part."""
    parts = python_of("parts")
    return [
        Client(OURS, python_of("ours"), "ours_stream.py"),
        Client(FAST, python_of("fast"), "ours_stream.py"),
        Client(CCXT, python_of("ccxt"), "ccxt_stream.py"),
        Client(CRYPTOFEED, python_of("cryptofeed"), "cryptofeed_stream.py"),
        Client("pybotters", python_of("pybotters"), "pybotters_stream.py"),
        Client("pyupbit", python_of("pyupbit"), "pyupbit_stream.py"),
        Client("upbit-sdk", python_of("upbit-sdk"), "upbit_sdk_stream.py"),
        Client("parts: websockets + msgspec, floats", parts, "parts_stream.py", ["websockets"]),
        Client("parts: aiohttp + msgspec, floats", parts, "parts_stream.py", ["aiohttp"]),
        Client("parts: picows + msgspec, floats", parts, "parts_picows.py", ["floats"]),
        Client(EXACT, parts, "parts_picows.py", ["exact"]),
        Client(SERVER, parts, "parts_stream.py", ["bytes"]),
    ]


def measure(lab: Lab) -> list[Section]:
    """Let all read the same flow, in turn, round by round."""
    sections = {kind: Section(f"{title} to a callback", UNIT) for kind, title in TITLES.items()}
    entered = {(kind, one.name): Figure(one.name) for kind in TITLES for one in clients()}
    with market(python_of("ours")) as server:
        for number in range(lab.rounds):
            for kind in TITLES:
                for one in lab.in_turn(clients(), number):
                    if not entered[kind, one.name].failed:
                        take(entered[kind, one.name], kind, *run(server, one, kind, lab.flow_s))
                        lab.tell(kind, entered[kind, one.name])
    for (kind, _), figure in entered.items():
        sections[kind].figures.append(figure)
    for kind, section in sections.items():
        section.goals = goals(kind, section)
    return list(sections.values())


def run(server: Market, one: Client, kind: str, seconds: float) -> tuple[Outcome, Outcome]:
    """Return what a client tells, and what it was sent."""
    server.plan(kind=kind, seconds=seconds)
    return one.run(kind, server.url), server.report()


def take(figure: Figure, kind: str, told: Outcome, report: Outcome) -> None:
    """Enter one round: all frames that were taken off the wire count, and what was not delivered is named.

    The figure is frames in a second of the client's CPU time: that is the clock's second as long as the client is busy
    all the time, and does not depend on the server being faster. For a client of two processes the clock decides.
    """
    sent = report["sent"].get(kind, 0)
    if "failed" in told or not sent:
        figure.failed = told.get("failed", "asked for nothing")
        return
    lost = max(0, sent - told["events"])
    busy_s = told["seconds"] if OTHER in told or figure.client == SERVER else told["cpu_seconds"]
    figure.values.append(sent / busy_s)
    figure.note = f"by the clock {sent / told['seconds']:,.0f}/s"
    figure.details.append({"sent": sent, "lost": lost, **told})
    if figure.client == FAST and not told["picows"]:
        figure.note += "; picows was not used"
    is_void = figure.client in OWN and (told.get("others") or (lost and kind == "trade"))
    if is_void:
        figure.failed = f"void: {lost} of {sent} frames are missing, other events {told.get('others')}"
    elif lost:
        figure.note += f"; {lost / sent:.2%} of the frames are no event"


def delivered(section: Section, client: str) -> float | None:
    """Return how many of the frames were delivered, in percent, in the worst round."""
    figure = next(one for one in section.figures if one.client == client)
    shares = [100 * (1 - one["lost"] / one["sent"]) for one in figure.details]
    return min(shares, default=None)


def goals(kind: str, section: Section) -> list[Goal]:
    """Return what has to be reached for this kind."""
    found = [
        Goal(f"{TITLES[kind]}: fast extra / {EXACT}", section.ratio(FAST, EXACT), 0.6),
        *(
            Goal(f"{TITLES[kind]}: frames that are events, {name}", delivered(section, name), 100, unit="%")
            for name in OWN
        ),
    ]
    if kind == "trade":
        found += [
            Goal("Trades: default install / cryptofeed", section.ratio(OURS, CRYPTOFEED), 1.3),
            Goal("Trades: default install / ccxt.pro", section.ratio(OURS, CCXT), 2.5),
        ]
    if kind == "orderbook":
        found.append(Goal("Books: default install / cryptofeed", section.ratio(OURS, CRYPTOFEED), 2.0))
    return found
