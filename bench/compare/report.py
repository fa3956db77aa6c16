"""Tables and charts out of the JSON that a comparison wrote."""

from . import charts, figures, machine, plan

TITLES = {"payledger": "payledger", "postgres": "PostgreSQL", "etcd": "etcd"}
DISTRIBUTIONS = ("uniform", "zipf", "hot")


def table(head, rows):
    """A Markdown table whose columns are aligned: for the terminal and for the documents."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    def line(cells):
        return "| " + " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths))) + " |"
    rule = "|" + "|".join("-" * (width + 1) + ("-" if i == 0 else ":")
                          for i, width in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def plain_table(head, rows):
    """A Markdown table of sentences: not aligned."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


class Summary:
    """Medians over the rounds of each load of each system."""

    def __init__(self, report):
        self.report = report
        self.cells = {}
        for row in report["rounds"]:
            for sweep in row["sweeps"]:
                key = (sweep, row["system"], row["filled"], tuple(sorted(row["load"].items())))
                self.cells.setdefault(key, []).append(row)

    def rows(self, sweep, system=None):
        """The cells of a sweep: dictionaries of the load's fields and medians."""
        found = []
        for (name, owner, filled, load), rows in self.cells.items():
            if name != sweep or (system is not None and owner != system):
                continue
            results = [row["result"] for row in rows]
            rates = [result["payments_per_s"] for result in results]
            latency = {share: figures.median([result["latency_us"].get(share)
                                              for result in results])
                       for share in ("p50", "p90", "p99", "p99_9", "max")}
            found.append({**dict(load), "system": owner, "filled": filled,
                          "stored": figures.median([row.get("stored") for row in rows]),
                          "rate": figures.median(rates), "spread": figures.spread(rates),
                          "latency": latency, "rounds": len(rows),
                          "cores": figures.median([r.get("cores") for r in results]),
                          "load_cores": figures.median([r.get("load_cores") for r in results])})
        return found

    def best(self, sweep, system, **wanted):
        """The cell of a sweep with the highest rate; None where there is none."""
        rows = [row for row in self.rows(sweep, system)
                if all(row[name] == value for name, value in wanted.items())]
        return max(rows, key=lambda row: row["rate"], default=None)

    def systems(self):
        named = {row["system"] for row in self.report["rounds"]}
        return [system for system in TITLES if system in named]


def _cells(row):
    return [figures.count_text(row["rate"]), figures.percent_text(row["spread"]),
            figures.ms_text(row["latency"]["p50"]), figures.ms_text(row["latency"]["p99"]),
            figures.ratio_text(row["cores"]), figures.ratio_text(row["load_cores"])]


CELLS_HEAD = ["payments/s", "spread", "p50 ms", "p99 ms", "cores", "load's cores"]


def clients_text(row):
    pipelined = f" x {row['in_flight']}" if row["in_flight"] > 1 else ""
    return f"{row['clients']}{pipelined}"


def machine_text(report, commands=None):
    """What the figures were measured on; they stand nowhere without it."""
    about = report["machine"]
    flushes = [row["flush_us"]["p50"] for row in report["rounds"] if "flush_us" in row]
    busy = [row["busy_share"] for row in report["rounds"] if "busy_share" in row]
    versions = dict(about["versions"])
    if about.get("commit") and versions.get("payledger"):
        versions["payledger"] += f" ({about['commit']})"
    versions = [*versions.values(), *(f"{name} {version}" for name, version
                                      in about.get("packages", {}).items() if version)]
    versions = ", ".join(filter(None, versions))
    text = (f"{about['cpu']}, {about['cores']} cores, {about['memory_mib']} MiB, "
            f"{about['system']}, Linux {about['kernel']}, {about['disk']}; {versions}. "
            f"{commands or '`' + report['command'] + '`, ' + report['started']}.")
    if flushes:
        text += (f" Flush of 4 KiB before each round: p50 {figures.ms_text(min(flushes))} to "
                 f"{figures.ms_text(max(flushes))} ms, median "
                 f"{figures.ms_text(figures.median(flushes))} ms.")
    worst = figures.median(busy) if busy else about["busy_share"]
    if worst > machine.BUSY_SHARE_MAX:
        text += (f" **The machine was under other load**: {figures.percent_text(worst)} of its "
                 "cores were busy with it before a round; ratios are indications, absolute figures "
                 "are too low.")
    return text


def chart_notes(report, command):
    """What stands below a chart: it is looked at without the text beside it."""
    about = report["machine"]
    flush = figures.median([row["flush_us"]["p50"] for row in report["rounds"]])
    versions = ", ".join(f"{TITLES[name]} {short_version(text)}"
                         for name, text in about["versions"].items() if text)
    versions += f" (payledger of commit {about['commit']})" if about.get("commit") else ""
    return (f"{about['cpu']}, {about['cores']} cores, {about['system']}, Linux {about['kernel']}; "
            f"flush of 4 KiB {figures.ms_text(flush)} ms (median p50)",
            f"{versions}; {report['started']}", command)


def short_version(text):
    """The first word with a digit, of what a program says."""
    return next((word for word in text.split() if any(c.isdigit() for c in word)), text)


def headline(summary):
    """What each system does best, and the ratios."""
    rows = []
    ours = {"one payment per request": summary.best("clients", "payledger"),
            "1,000 payments per request": summary.best("batch", "payledger",
                                                       distribution="uniform")}
    theirs = {"PostgreSQL, one per transaction": summary.best("clients", "postgres"),
              "PostgreSQL, 1,000 per transaction": summary.best("batch", "postgres",
                                                                distribution="uniform"),
              "etcd, one per transaction": summary.best("clients", "etcd")}
    for name, row in {**{f"payledger, {name}": row for name, row in ours.items()},
                      **theirs}.items():
        if row is not None:
            rows.append([name, clients_text(row), figures.count_text(row["rate"]),
                         *(figures.ratio_text(figures.ratio(mine["rate"], row["rate"]))
                           if mine else "-" for mine in ours.values())])
    return table(["best of", "clients", "payments/s", "payledger's single is x",
                  "payledger's 1,000 is x"], rows)


def sweep_table(summary, sweep, column, value):
    rows = []
    for system in summary.systems():
        for row in summary.rows(sweep, system):
            rows.append([TITLES[system], value(row), *_cells(row)])
    return table(["system", column, *CELLS_HEAD], rows) if rows else "(not measured)"


def text(report):
    """The whole report as Markdown."""
    summary = Summary(report)
    parts = [machine_text(report), headline(summary)]
    if report["left_out"]:
        parts.append("Left out: " + "; ".join(report["left_out"]) + ".")
    for title, sweep, column, value in (
            ("Clients: one payment per request or transaction, 10,000 accounts, uniform",
             "clients", "clients", clients_text),
            ("Contention: one payment per request", "contention", "accounts are picked",
             lambda row: row["distribution"]),
            ("1,000 payments per request or transaction", "batch", "clients",
             lambda row: f"{clients_text(row)} {row['distribution']}"),
            ("Number of accounts", "accounts", "accounts",
             lambda row: figures.count_text(row["accounts"])),
            ("Stored payments", "stored", "payments stored before",
             lambda row: figures.count_text(row["stored"]))):
        if summary.rows(sweep):
            parts += [f"**{title}**", sweep_table(summary, sweep, column, value)]
    return "\n\n".join(parts) + "\n"


def drawings(report):
    """{file name: SVG}"""
    summary = Summary(report)
    notes = chart_notes(report, report["command"])
    loads = (f"payledger: 64 connections with {plan.PIPELINE} requests each; others: 64 clients",
             *notes)
    def series(sweep, x, y, note=lambda row: "", key=None):
        return {TITLES[system]: [(x(row), y(row), note(row))
                                 for row in sorted(summary.rows(sweep, system), key=key or x)]
                for system in summary.systems() if summary.rows(sweep, system)}
    def rate(row):
        return row["rate"]
    made = {
        "latency.svg": charts.lines(
            "Throughput against latency, one payment per request",
            "payments/s (beside the points: clients)", "p99 of a request, ms",
            series("clients", rate, lambda row: row["latency"]["p99"] / 1000, clients_text,
                   lambda row: row["clients"] * row["in_flight"]),
            x_log=True, y_log=True, notes=notes),
        "contention.svg": charts.lines(
            "Throughput against contention: 10,000 accounts, one payment per request", "",
            "payments/s",
            series("contention", lambda row: DISTRIBUTIONS.index(row["distribution"]) + 1, rate),
            y_log=True, notes=loads,
            ticks={1: "uniform", 2: "Zipf (1.1)", 3: "one hot account"}),
        "accounts.svg": charts.lines(
            "Throughput against the number of accounts, one payment per request", "accounts",
            "payments/s",
            series("accounts", lambda row: row["accounts"], rate), x_log=True, y_log=True,
            notes=loads)}
    stored = series("stored", lambda row: row["stored"], rate)
    if stored:
        made["stored.svg"] = charts.lines(
            "Throughput against stored payments: 10,000 accounts",
            "payments stored before", "payments/s", stored, y_log=True, notes=loads)
    return made
