"""Everything that the exchange trades, followed at once at ten times the real rate."""

from side.environments import python_of
from side.findings import Figure, Goal, Section
from side.running import Client, Outcome, market
from side.settings import Lab

SYMBOLS, RATE = 855, 8000
MAX_DURATION_S = 150.0


def measure(lab: Lab) -> list[Section]:
    """Follow trades, books and minutes of all symbols, once with each transport."""
    section = Section(f"{SYMBOLS} symbols: trades, books and 1m candles at {RATE:,} frames/s", "% of one core")
    for name, venv in (("market-backbone", "ours"), ("market-backbone[fast]", "fast")):
        client, figure = Client(name, python_of(venv), "ours_market.py"), Figure(name)
        told, lost = follow(client, SYMBOLS, RATE, 4 if lab.is_quick else 20)
        section.figures.append(figure)
        if "failed" in told:
            figure.failed = told["failed"]
            continue
        figure.values.append(100 * told["cpu_share"])
        figure.details.append(told)
        figure.note = (
            f"p50 {told['p50_ms']:.1f} ms, p99 {told['p99_ms']:.1f} ms, {lost} frames lost or conflated,"
            f" {told['resident_mib']:.0f} MiB, other events: {told['others'] or 'none'}"
        )
        lab.tell("whole market", figure)
        section.goals += [
            Goal(f"Whole market, {name}: CPU share", figure.median, 100.0, at_least=False, unit="%"),
            Goal(f"Whole market, {name}: frames lost", lost, 0, at_least=False, unit=""),
            Goal(f"Whole market, {name}: p99 delay", told["p99_ms"], 20.0, at_least=False, unit="ms"),
        ]
    return [section]


def follow(client: Client, symbols: int, rate: int, seconds: int) -> tuple[Outcome, int]:
    """Return what the client tells, and how many of the frames did not arrive as events."""
    with market(python_of("ours"), "--whole-market") as server:
        server.plan(kind="")
        told = client.run("market", server.url, symbols, rate, seconds, longest_s=MAX_DURATION_S)
        sent = server.report()["sent"]
    delivered = told.get("delivered", {})
    return told, sum(max(0, many - delivered.get(kind, 0)) for kind, many in sent.items())
