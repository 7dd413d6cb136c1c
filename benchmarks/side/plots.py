"""Charts as SVG, by hand: bars of medians and lines of growth. Standard library only."""

from collections.abc import Sequence
from html import escape

from side.findings import Chart, Section

WIDTH, BAR, LABEL, LEFT, TOP = 1000, 24, 470, 70, 40
HEIGHT = 300
COLOURS = ("#1f6feb", "#d29922", "#8b949e")
STYLE = "font-family:sans-serif;font-size:13px"


def bars(section: Section) -> str:
    """Draw the medians of a section, ours in colour."""
    rows = [(one.client, one.median) for one in section.figures if one.median is not None]
    most = max((value for _, value in rows), default=1.0) or 1.0
    parts = [_text(10, 22, f"{section.title} ({section.unit}, median)", weight="bold")]
    for place, (client, value) in enumerate(rows):
        y = TOP + place * BAR
        length = max(1.0, value / most * (WIDTH - LABEL - 110))
        colour = COLOURS[0] if "market" in client else COLOURS[2]
        parts += [
            _text(LABEL - 8, y + 15, client, anchor="end"),
            f'<rect x="{LABEL}" y="{y + 2}" width="{length:.1f}" height="{BAR - 6}" fill="{colour}"/>',
            _text(LABEL + length + 6, y + 15, brief(value)),
        ]
    return _svg(TOP + len(rows) * BAR + 10, parts)


def lines(chart: Chart) -> str:
    """Draw a chart of growth, both axes from zero."""
    points = [point for line in chart.lines.values() for point in line]
    across = max((x for x, _ in points), default=1.0) or 1.0
    up = max((y for _, y in points), default=1.0) or 1.0
    parts = [_text(10, 22, chart.title, weight="bold"), *_axes(chart, across, up)]
    for place, line in enumerate(chart.lines.values()):
        spots = [_spot(point, across, up) for point in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[place]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[place]}"/>' for x, y in spots]
    return _svg(HEIGHT + TOP + 50, parts)


def _axes(chart: Chart, across: float, up: float) -> list[str]:
    right, bottom = WIDTH - 40, TOP + HEIGHT
    return [
        f'<path d="M{LEFT} {TOP} V{bottom} H{right}" fill="none" stroke="#57606a"/>',
        _text(LEFT - 6, TOP + 12, brief(up), anchor="end"),
        _text(LEFT - 6, bottom, "0", anchor="end"),
        _text(LEFT + 4, TOP - 4, chart.up),
        _text(right, bottom + 18, f"{brief(across)} {chart.across}", anchor="end"),
    ]


def _spot(point: tuple[float, float], across: float, up: float) -> tuple[float, float]:
    return LEFT + point[0] / across * (WIDTH - 40 - LEFT), TOP + HEIGHT - point[1] / up * (HEIGHT - 10)


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'


def _svg(height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" style="{STYLE}">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def brief(value: float) -> str:
    """Spell a number with three digits that matter."""
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def slope_in_words(chart: Chart) -> str:
    """Say what one more costs between the first point and the last, and whether the line bends."""
    told = []
    for line in chart.lines.values():
        points = sorted(line)
        if len(points) < 2:
            continue
        (first_x, first_y), (last_x, last_y) = points[0], points[-1]
        if last_x == first_x:
            continue
        slope = (last_y - first_y) / (last_x - first_x)
        many, unit = _per(last_x)
        text = f"{brief(slope * many)} {chart.up} for each {unit}{chart.across}"
        told.append(f"{brief(first_y)} {chart.up} at {brief(first_x)}, {brief(last_y)} at {brief(last_x)}: {text}")
    return "; ".join(told) or "too few points"


def _per(most: float) -> tuple[float, str]:
    return (100_000, "100,000 more ") if most > 50_000 else (100, "100 more ")
