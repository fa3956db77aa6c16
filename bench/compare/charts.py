"""Line charts as SVG text: few series, linear or logarithmic axes, points marked and named."""

import html
import math

WIDTH, HEIGHT = 760, 484
LEFT, RIGHT, TOP, BOTTOM = 78, 64, 60, 122
NOTES_LEFT = 12
COLOURS = {"payledger": "#0b6e4f", "PostgreSQL": "#31589c", "etcd": "#c2571a"}
OTHERS = ("#7a3e9d", "#8a6d00", "#5b6470", "#c2362b")


class Axis:
    def __init__(self, values, begin, end, log):
        values = [value for value in values if value is not None and (value > 0 or not log)]
        self.log = log
        self.begin, self.end = begin, end
        low, high = (min(values), max(values)) if values else (1, 10)
        if log:
            self.low = 10 ** math.floor(math.log10(low))
            self.high = 10 ** math.ceil(math.log10(high))
            self.high = self.high if self.high > self.low else self.low * 10
        else:
            self.low = 0
            self.high = max(high, 1e-9) * 1.05

    def place(self, value):
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.begin + (self.end - self.begin) * share, 1)

    def ticks(self):
        if self.log:
            first = round(math.log10(self.low))
            return [10.0 ** power for power in range(first, round(math.log10(self.high)) + 1)]
        step = round_step(self.high / 5)
        return [step * number for number in range(int(self.high / step) + 1)]


def round_step(rough):
    """The next of 1, 2, 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)


def label(value):
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def lines(title, x_title, y_title, series, x_log=False, y_log=False, notes=(), ticks=None):
    """series: {name: [(x, y, note)]}; notes: small lines below: what it was measured on, and how;
    ticks: {x: text} in place of round numbers."""
    points = [point for row in series.values() for point in row]
    x_axis = Axis([point[0] for point in points], LEFT, WIDTH - RIGHT, x_log)
    if ticks:
        x_axis.low, x_axis.high = min(ticks) - 0.5, max(ticks) + 0.5
    y_axis = Axis([point[1] for point in points], HEIGHT - BOTTOM, TOP, y_log)
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
             _text(LEFT, 22, title, size=15, weight="bold")]
    for value in y_axis.ticks():
        y = y_axis.place(value)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#dde1e4"/>')
        parts.append(_text(LEFT - 8, y + 4, label(value), anchor="end"))
    for value, text in (ticks or {value: label(value) for value in x_axis.ticks()}).items():
        x = x_axis.place(value)
        parts.append(f'<path d="M{x} {TOP}V{HEIGHT - BOTTOM}" stroke="#eef0f2"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 18, text, anchor="middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 38, x_title, anchor="middle"))
    parts.append(f'<g transform="rotate(-90)">'
                 f'{_text(-(TOP + HEIGHT - BOTTOM) / 2, 18, y_title, anchor="middle")}</g>')
    others = iter(OTHERS * 4)
    for number, (name, row) in enumerate(series.items()):
        colour = COLOURS.get(name) or next(others)
        parts += _series(row, x_axis, y_axis, colour, len(row) <= 20)
        x = LEFT + number * 150
        parts.append(f'<rect x="{x}" y="{TOP - 15}" width="12" height="4" fill="{colour}"/>')
        parts.append(_text(x + 17, TOP - 9, name))
    for number, note in enumerate(reversed(notes)):
        parts.append(_text(NOTES_LEFT, HEIGHT - 10 - 14 * number, note, size=10, fill="#5b6470"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{html.escape(title, quote=True)}" font-family="sans-serif">'
            + "".join(parts) + "</svg>\n")


def _series(row, x_axis, y_axis, colour, marked):
    placed = [(x_axis.place(x), y_axis.place(y), note) for x, y, note in row if y is not None]
    if not placed:
        return []
    path = "M" + "L".join(f"{x} {y}" for x, y, _ in placed)
    parts = [f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    if marked:
        parts += [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y, _ in placed]
    parts += [_text(x + 6, y - 7, note, size=10, fill=colour) for x, y, note in placed if note]
    return parts


def _text(x, y, text, size=12, anchor="start", fill="#20262b", weight="normal"):
    return (f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{fill}" '
            f'font-weight="{weight}">{html.escape(str(text))}</text>')
