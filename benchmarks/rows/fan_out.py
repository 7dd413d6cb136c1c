"""One code and 1, 100 or 1,000 followers, each a loop of its own, through the whole API."""

from side.environments import python_of
from side.findings import Chart, Figure, Goal, Section
from side.running import Client, market
from side.settings import Lab

FOLLOWERS = (1, 100, 1000)
RATE, SECONDS = 100, 2.0


def measure(lab: Lab) -> list[Section]:
    """Count CPU time per event, and what one more follower adds."""
    section = Section("Followers of one code: CPU time per event", "us")
    client = Client("market-backbone", python_of("ours"), "ours_fanout.py")
    memory: list[tuple[float, float]] = []
    with market(python_of("ours")) as server:
        for many in FOLLOWERS:
            figure = Figure(f"{many:,} follower{'s' * (many > 1)}")
            section.figures.append(figure)
            for _ in range(1 if lab.is_quick else lab.rounds):
                server.plan(kind="trade", rate=RATE, seconds=SECONDS)
                told = client.run("trade", server.url, many)
                if "failed" in told:
                    figure.failed = told["failed"]
                    break
                figure.values.append(told["cpu_seconds"] / told["events"] * 1e6)
                figure.details.append(told)
            lab.tell("followers", figure)
            memory += [(many, one["resident_mib"]) for one in figure.details[-1:]]
    medians = [(many, figure.median) for many, figure in zip(FOLLOWERS, section.figures, strict=True) if figure.median]
    slope = (medians[-1][1] - medians[0][1]) / (medians[-1][0] - medians[0][0]) if len(medians) > 1 else None
    section.goals = [Goal("One more follower, per event", slope, 2.0, at_least=False, unit="us")]
    section.charts = [
        Chart("followers-cpu", "CPU time per event against followers of one code", "followers", "us", {"CPU": medians}),
        Chart("followers-memory", "Memory against followers of one code", "followers", "MiB", {"resident": memory}),
    ]
    return [section]
