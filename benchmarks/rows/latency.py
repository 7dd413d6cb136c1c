"""How long a frame takes from its sending to the callback, beside a bare transport."""

from side.environments import python_of
from side.findings import Figure, Goal, Section
from side.running import Client, market
from side.settings import Lab

RATES = (1000, 5000)
OURS, FAST, BARE = "market-backbone", "market-backbone[fast]", "bare websockets, nothing decoded"


def measure(lab: Lab) -> list[Section]:
    """Send at two rates, in turn to each."""
    clients = [
        Client(OURS, python_of("ours"), "ours_latency.py"),
        Client(FAST, python_of("fast"), "ours_latency.py"),
        Client(BARE, python_of("parts"), "parts_latency.py"),
    ]
    sections = {rate: Section(f"Delay from sending to callback at {rate:,} trades/s, p99", "ms") for rate in RATES}
    entered = {(rate, one.name): Figure(one.name) for rate in RATES for one in clients}
    seconds = 1.0 if lab.is_quick else 2.0
    with market(python_of("ours")) as server:
        for number in range(lab.rounds):
            for rate in RATES:
                for one in lab.in_turn(clients, number):
                    server.plan(kind="trade", rate=rate, seconds=seconds)
                    figure = entered[rate, one.name]
                    _take(figure, one.run("trade", server.url), int(rate * seconds))
                    lab.tell(f"{rate}/s", figure)
    for (rate, _), figure in entered.items():
        sections[rate].figures.append(figure)
    for rate, section in sections.items():
        for name in (OURS, FAST):
            ratio = section.ratio(name, BARE)
            section.goals.append(Goal(f"p99 at {rate:,}/s: {name} / bare transport", ratio, 2.0, at_least=False))
    return list(sections.values())


def _take(figure: Figure, told: dict[str, float], sent: int) -> None:
    if "failed" in told:
        figure.failed = str(told["failed"])
        return
    figure.values.append(told["p99_ms"])
    figure.details.append(told)
    halves = sorted(float(one["p50_ms"]) for one in figure.details)
    figure.note = f"p50 {halves[len(halves) // 2]:.2f} ms"
    if told["events"] < sent:
        figure.note += f", {sent - told['events']} lost"
