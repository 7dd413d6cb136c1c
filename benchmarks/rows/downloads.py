"""20,000 candles a symbol with the limits on, near and far."""

from side.environments import python_of
from side.findings import Figure, Goal, Section
from side.running import Client, Market, Outcome, market
from side.settings import Lab

ALLOWED_PER_S, PER_CALL = 10, 200
ONE, FIVE = "KRW-BTC", "KRW-BTC,KRW-ETH,KRW-XRP,KRW-SOL,KRW-DOGE"
RUNS = ((ONE, 0.0), (ONE, 0.014), (ONE, 0.17), (FIVE, 0.014))
MAX_DURATION_S = 90.0


def measure(lab: Lab) -> list[Section]:
    """Download near and far, ours; then once and near, the others."""
    candles = 4_000 if lab.is_quick else 20_000
    section = Section(f"{candles:,} candles of each symbol, limits on", "% of the allowed 10 calls/s")
    ours = Client("market-backbone", python_of("ours"), "ours_download.py")
    runs = RUNS[:3] if lab.is_quick else RUNS
    for symbols, delay_s in runs:
        many = "five symbols" if symbols == FIVE else "one symbol"
        figure = _run(ours, f"{ours.name}, {many}, {delay_s * 1000:.0f} ms away", candles, symbols, delay_s)
        lab.tell("download", figure)
        section.figures.append(figure)
        text = f"Download of {many}, {delay_s * 1000:.0f} ms away"
        section.goals.append(Goal(f"{text}: share of 10/s", figure.median, 97.0, unit="%"))
        refused = figure.details[0]["refused"] if figure.details else None
        section.goals.append(Goal(f"{text}: refusals", refused, 0, at_least=False, unit=""))
    for name in ("ccxt", "pyupbit", "upbit-sdk"):
        peer = Client(name, python_of(name), f"{name.replace('-', '_')}_download.py")
        figure = _run(peer, f"{name}, one symbol, 0 ms away", candles, ONE, 0.0)
        lab.tell("download", figure)
        section.figures.append(figure)
    return [section]


def _run(client: Client, name: str, candles: int, symbols: str, delay_s: float) -> Figure:
    figure = Figure(name)
    with market(python_of("ours")) as server:
        server.plan(rest_delay_s=delay_s)
        told = client.run("candles", server.url, candles, symbols, longest_s=MAX_DURATION_S)
        _take(figure, told, server)
    return figure


def _take(figure: Figure, told: Outcome, server: Market) -> None:
    report = server.report()
    if "failed" in told:
        figure.failed = told["failed"]
        return
    answered = report["asked"].get("/v1/candles/minutes/1", 0) - report["refused"]
    figure.values.append(100 * min(answered, -(-told["rows"] // PER_CALL)) / told["seconds"] / ALLOWED_PER_S)
    figure.details.append({**told, **report})
    figure.note = (
        f"{told['rows']:,} rows in {told['seconds']:.1f} s, {answered} calls answered, {report['refused']} refused"
    )
