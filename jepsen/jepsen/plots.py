"""Drawings of a run as SVG text: latencies, rates, leaders, progress, a timeline of operations."""

import html
import math

from .checkers import leaders, replicas

WIDTH = 1120
LEFT, RIGHT = 64, 12
INNER = WIDTH - LEFT - RIGHT
TYPES = ("ok", "info", "fail")
FAULT_CLASSES = {
    "kill": "kill", "power-cut": "kill", "pause": "pause", "partition": "partition",
    "packet": "packet", "clock": "clock", "disk-full": "disk", "io-error": "disk",
    "slow-disk": "disk", "bit-flip": "disk",
}


def text(value):
    return html.escape(str(value), quote=True)


class Axis:
    """Time in seconds across the page; the whole run unless told otherwise."""

    def __init__(self, begin_ns, end_ns):
        self.begin = begin_ns
        self.span = max(1, end_ns - begin_ns)

    def x(self, time_ns):
        share = (time_ns - self.begin) / self.span
        return round(LEFT + INNER * min(1.0, max(0.0, share)), 1)

    def ticks(self):
        """(x, label) at round seconds."""
        seconds = self.span / 1e9
        step = _round_step(seconds / 10)
        first = math.ceil(self.begin / 1e9 / step)
        last = int((self.begin + self.span) / 1e9 / step)
        digits = max(0, -math.floor(math.log10(step)))
        return [(self.x(k * step * 1e9), f"{k * step:.{digits}f}") for k in range(first, last + 1)]


def _round_step(rough):
    power = 10 ** math.floor(math.log10(max(rough, 1e-9)))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough)


def svg(height, parts, label):
    return (f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{text(label)}">'
            + "".join(parts) + "</svg>")


def frame(run, axis, height, bands=True):
    """Fault bands, ticks and the border of a panel whose drawing reaches down to `height`."""
    parts = []
    for window in run.windows if bands else ():
        begin, end = window.ends(run.end)
        x = axis.x(begin)
        kind = FAULT_CLASSES.get(window.fault, "disk")
        empty = "" if window.effective else " void"
        parts.append(f'<rect class="band {kind}{empty}" x="{x}" y="0" '
                     f'width="{max(1.0, axis.x(end) - x):.1f}" height="{height}">'
                     f"<title>{text(window)}: {text(window.proof)}</title></rect>")
    for x, label in axis.ticks():
        parts.append(f'<path class="grid" d="M{x} 0V{height}"/>'
                     f'<text class="tick" x="{x}" y="{height + 14}" text-anchor="middle">'
                     f"{label}</text>")
    parts.append(f'<path class="frame" d="M{LEFT} 0V{height}H{WIDTH - RIGHT}"/>')
    return parts


def _rows(ticks, height_of):
    return [f'<path class="grid" d="M{LEFT} {height_of(value):.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{height_of(value) + 4:.1f}" '
            f'text-anchor="end">{label}</text>' for value, label in ticks]


def latency(run):
    """Each operation a point at its invocation: how long it took, on a logarithmic scale."""
    height, axis = 240, Axis(0, run.end)
    low, high = -4.0, 1.5  # 0.1 ms to 30 s

    def y(seconds):
        share = (math.log10(max(seconds, 1e-4)) - low) / (high - low)
        return height * (1 - min(1.0, share))

    parts = frame(run, axis, height)
    ticks = [(10.0 ** k, label) for k, label in
             ((-4, "0.1 ms"), (-3, "1 ms"), (-2, "10 ms"), (-1, "0.1 s"), (0, "1 s"), (1, "10 s"))]
    parts += _rows(ticks, y)
    spots = {kind: set() for kind in TYPES}
    for op in run.ops:
        took = (min(op.told, run.end) - op.begin) / 1e9
        spots[op.type].add((round(axis.x(op.begin)), round(y(took))))
    for kind in TYPES:
        path = "".join(f"M{px} {py}h0" for px, py in sorted(spots[kind]))
        if path:
            parts.append(f'<path class="dot {kind}" d="{path}"/>')
    return svg(height + 20, parts, "latency of every operation over time")


def rate(run):
    """Completions per second by type."""
    height, axis = 140, Axis(0, run.end)
    width_s = max(0.1, _round_step(run.end / 1e9 / 150))
    buckets = {kind: {} for kind in TYPES}
    for op in run.ops:
        moment = min(op.told, run.end)
        k = int(moment / 1e9 / width_s)
        buckets[op.type][k] = buckets[op.type].get(k, 0) + 1
    highest = max((n / width_s for b in buckets.values() for n in b.values()), default=1)
    top = _round_step(highest)

    def y(value):
        return height * (1 - value / top)

    parts = frame(run, axis, height)
    parts += _rows([(top * k / 4, f"{top * k / 4:g}") for k in range(5)], y)
    last = int(run.end / 1e9 / width_s)
    for kind in TYPES:
        points = [f"{axis.x((k + 0.5) * width_s * 1e9)} {y(buckets[kind].get(k, 0) / width_s):.1f}"
                  for k in range(last + 1)]
        parts.append(f'<path class="line {kind}" d="M{"L".join(points)}"/>')
    return svg(height + 20, parts, "operations per second by type")


def leader_lane(run):
    """Who led in which term, in whose eyes soever, over time."""
    lane, axis = 20, Axis(0, run.end)
    height = lane * len(run.nodes)
    parts = frame(run, axis, height)
    spans = []  # [leader, term, begin, end]
    for time, term, leader, _ in leaders.sightings(run):
        if spans and term < spans[-1][1]:
            continue
        if spans and spans[-1][:2] == [leader, term]:
            spans[-1][3] = time
        else:
            spans.append([leader, term, time, time])
    for k, node in enumerate(run.nodes):
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{k * lane + 14}" '
                     f'text-anchor="end">{text(node)}</text>')
    for leader, term, begin, end in spans:
        if leader not in run.nodes:
            continue
        k = run.nodes.index(leader)
        x, width = axis.x(begin), max(2.0, axis.x(end) - axis.x(begin))
        parts.append(f'<rect class="node{k % 7}" x="{x}" y="{k * lane + 3}" width="{width:.1f}" '
                     f'height="{lane - 6}" rx="2"><title>{text(leader)} leads in term {term}'
                     f"</title></rect>")
        if width > 24:
            parts.append(f'<text class="inside" x="{x + 4}" y="{k * lane + 14}">{term}</text>')
    return svg(height + 20, parts, "leader and term over time")


def progress(run):
    """The seq that each node said it had applied."""
    height, axis = 160, Axis(0, run.end)
    points = {node: [] for node in run.nodes}
    for sighting in replicas.sightings(run):
        if sighting.node in points and not sighting.source.startswith("as "):
            points[sighting.node].append((sighting.time, sighting.seq))
    highest = max((seq for list_ in points.values() for _, seq in list_), default=1)
    top = max(1, _round_step(highest))

    def y(value):
        return height * (1 - value / top)

    parts = frame(run, axis, height)
    parts += _rows([(top * k / 4, f"{top * k / 4:g}") for k in range(5)], y)
    for k, node in enumerate(run.nodes):
        path = "L".join(f"{axis.x(time)} {y(seq):.1f}" for time, seq in points[node])
        if path:
            parts.append(f'<path class="line node{k % 7}" d="M{path}"><title>{text(node)}</title>'
                         "</path>")
    return svg(height + 20, parts, "applied seq per node")


def timeline(run, guilty, around=100):
    """The operations near the guilty ones (indices), a lane for each process, to scale in time."""
    where = [k for k, op in enumerate(run.ops) if op.index in guilty]
    if not where:
        return ""
    last = where[-1]
    chosen = run.ops[max(0, last - around):last + around]
    # A guilty operation far before is named above; drawing it would squeeze all the others.
    axis = Axis(chosen[0].begin, max(min(op.end, run.end) for op in chosen if op.type != "info")
                if any(op.type != "info" for op in chosen) else run.end)
    processes = sorted({op.process for op in chosen})
    lane, height = 18, 18 * len(processes)
    parts = frame(run, axis, height)
    for k, process in enumerate(processes):
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{k * lane + 13}" '
                     f'text-anchor="end">{process}</text>')
    for op in chosen:
        x = axis.x(op.begin)
        width = max(2.0, axis.x(op.end) - x)
        mark = " guilty" if op.index in guilty else ""
        top = processes.index(op.process) * lane
        parts.append(f'<rect class="op {op.type}{mark}" x="{x}" y="{top + 2}" '
                     f'width="{width:.1f}" height="{lane - 4}"><title>{text(op)}</title></rect>')
        if width > 60:
            subject = op.value.get("id", "")
            parts.append(f'<text class="inside" x="{x + 3}" y="{top + 13}">'
                         f"{text(op.f)} {text(subject)[:int(width / 7) - len(op.f)]}</text>")
    return svg(height + 20, parts, "operations around the first error")
