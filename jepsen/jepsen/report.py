"""The report of a run, index.html: one file that needs nothing outside itself.

write_run(directory) checks a stored run: results.json, results.edn, index.html, derived.py's.
overview.py has the pages of many runs.
"""

import json
import os
import traceback

from . import derived, edn, plots
from .checkers import check_all
from .checkers.availability import acknowledged, recovery
from .checkers.finding import worst
from .operations import load
from .plots import text

LOG_LINES = 60
UNSHOWN = ("valid", "error_count", "slow_count", "seconds")  # have columns, or say nothing

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2430;--dim:#5c6773;--line:#d9dee5;--soft:#f4f6f8;
--good:#1a7f4b;--bad:#c8243c;--doubt:#a86200;--ok:#2f7fd1;--info:#d98200;--fail:#d6246e;
--n0:#2f7fd1;--n1:#1a9a6c;--n2:#b357c9;--n3:#d98200;--n4:#c8443c;--n5:#6a7a2f;--n6:#555}
@media(prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#dde3ea;--dim:#95a1ae;--line:#313943;
--soft:#1c2229;--good:#4cc38a;--bad:#ff6b7d;--doubt:#f0b04a;--ok:#6cb4ff;--info:#ffb54a;
--fail:#ff6ba6;--n0:#6cb4ff;--n1:#4cc39a;--n2:#d08be6;--n3:#ffb54a;--n4:#ff8379;--n5:#b5c66a;
--n6:#aaa}}
body{font:15px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--fg);margin:0 auto;
padding:24px;max-width:1160px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:32px 0 8px}
table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;padding:4px 8px;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--dim);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}.dim{color:var(--dim)}
.verdict{font-weight:700}.good{color:var(--good)}.bad{color:var(--bad)}.doubt{color:var(--doubt)}
.banner{border-left:6px solid;padding:8px 14px;background:var(--soft);margin:12px 0}
pre,code{font:12px/1.45 ui-monospace,monospace}pre{background:var(--soft);padding:10px;
overflow:auto;max-height:420px;white-space:pre-wrap;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;margin:4px 0 2px;overflow:visible}
.tick{font-size:11px;fill:var(--dim)}.grid{stroke:var(--line);stroke-width:.6;fill:none}
.frame{stroke:var(--dim);fill:none}.dot{stroke-width:2.4;stroke-linecap:round;fill:none;
stroke-opacity:.75}.line{fill:none;stroke-width:1.6}
.dot.ok,.line.ok{stroke:var(--ok)}.dot.info,.line.info{stroke:var(--info)}
.dot.fail,.line.fail{stroke:var(--fail)}.op.ok{fill:var(--ok)}.op.info{fill:var(--info)}
.op.fail{fill:var(--fail)}.op{fill-opacity:.75}.op.guilty{stroke:var(--bad);stroke-width:3;
fill-opacity:1}.inside{font-size:11px;fill:var(--bg)}
.band{fill-opacity:.28}.band.void{fill-opacity:.1}.band.kill{fill:#d9534f}.band.pause{fill:#6a7fd9}
.band.partition{fill:#d9b84f}.band.packet{fill:#9cc63c}.band.clock{fill:#3cc6b8}
.band.disk{fill:#5fd970}.key i{display:inline-block;width:12px;height:12px;margin:0 5px 0 14px;
border-radius:2px;vertical-align:-1px}.key{font-size:12px;color:var(--dim)}
td.cell{color:#fff;border:2px solid var(--bg)}td.cell a{color:#fff}
.cell.good{background:#1a7f4b}.cell.bad{background:#c8243c}.cell.doubt{background:#a86200}
.cell.none{background:var(--soft);color:var(--dim)}
""" + "".join(f".line.node{k}{{stroke:var(--n{k})}}rect.node{k}{{fill:var(--n{k})}}"
              for k in range(7))

WORDS = {True: ("VALID", "good"), False: ("INVALID", "bad"), "unknown": ("UNKNOWN", "doubt")}


def page(title, body):
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{text(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>")


def table(head, rows):
    """head: names, with `#` before those of figures. rows: cells of HTML."""
    figures = [name.startswith("#") for name in head]
    classes = [' class="n"' if figure else "" for figure in figures]
    parts = ["<tr>", *(f"<th{c}>{text(name.lstrip('#'))}</th>" for name, c in zip(head, classes)),
             "</tr>"]
    for row in rows:
        parts += ["<tr>", *(f"<td{c}>{cell}</td>" for cell, c in zip(row, classes)), "</tr>"]
    return '<div class="scroll"><table>' + "".join(parts) + "</table></div>"


def word(valid):
    name, kind = WORDS[valid]
    return f'<span class="verdict {kind}">{name}</span>'


def seconds(value):
    if value is None:
        return '<span class="dim">–</span>'
    return '<span class="bad">never</span>' if value == float("inf") else f"{value:.2f} s"


# --- one run


def summary(run, results):
    """The row of a run in overview.MATRIX."""
    counts = {kind: sum(op.type == kind for op in run.ops) for kind in plots.TYPES}
    first = next((f"{name}: {r['errors'][0]['text']}" for name, r in results["checkers"].items()
                  if r["errors"]), None)
    doubt = next((f"{name}: {r['doubts'][0]}" for name, r in results["checkers"].items()
                  if r["doubts"]), None)
    return {
        "workload": run.settings["workload"], "faults": run.settings.get("faults", []),
        "valid": results["valid"], "operations": len(run.ops), **counts,
        "acknowledged": sum(map(acknowledged, run.ops)), "windows": len(run.windows),
        "effective_windows": sum(bool(w.effective) for w in run.windows),
        "leader_changes": results["checkers"].get("leaders", {}).get("leader_changes"),
        **{name: results["checkers"].get("availability", {}).get(name, [])
           for name in ("leader_times_s", "caught_up_s")},
        "power_cuts": sum(w.fault == "power-cut" and bool(w.effective) for w in run.windows),
        "state_transfers": _got(results, "snapshots installed"),
        "snapshots": _got(results, "snapshots taken"),
        "seconds": round(run.end / 1e9, 1), "seed": run.settings.get("seed"),
        "first_error": first or doubt,
        # Nothing is wrong but the time that something took.
        "only_slow": results["valid"] is False and all(
            r["error_count"] == r.get("slow_count", 0) for r in results["checkers"].values()
            if r["valid"] is False),
    }


def _got(results, guard):
    rows = results["checkers"].get("vacuity", {}).get("guards", ())
    return next((row["got"] for row in rows if row["guard"] == guard), 0)


def write_run(directory):
    """Checks a stored run and writes all that is made of it; returns the results.

    A file harness.txt says what broke in the harness: `problem` in the results, which are then
    unknown at best."""
    try:
        run = load(directory)
        results = check_all(run)
        results["summary"] = summary(run, results)
        derived.write(directory, run)
    except Exception:  # noqa: BLE001: a history that can not be read is a result, too
        run, results = None, {"valid": "unknown", "checkers": {},
                              "problem": traceback.format_exc()}
    broken = os.path.join(directory, "harness.txt")
    if os.path.exists(broken):
        with open(broken, encoding="utf-8") as file:
            results["problem"] = file.read()
        results["valid"] = worst([results["valid"], "unknown"])
    results = plain(results)
    _write(directory, "results.json", json.dumps(results, indent=1, default=str))
    _write(directory, "results.edn", edn.dumps(jepsens(results)))
    _write(directory, "index.html", run_page(run, results) if run else broken_page(results))
    return results


def _write(directory, name, content):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(content + "\n")


def broken_page(results):
    return page("no history", f"<h1>The run can not be read</h1>{problem(results)}")


def problem(results):
    if not results.get("problem"):
        return ""
    return f"<h2>The harness broke</h2><pre>{text(results['problem'])}</pre>"


def plain(value):
    """As JSON has it: no infinities, no tuples, no sets."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "never"
    return value


def jepsens(value):
    """valid -> valid?, "unknown" -> :unknown."""
    if isinstance(value, dict):
        renamed = {}
        for key, inner in value.items():
            unknown = key == "valid" and inner == "unknown"
            renamed["valid?" if key == "valid" else key] = (
                edn.Keyword("unknown") if unknown else jepsens(inner))
        return renamed
    return [jepsens(item) for item in value] if isinstance(value, list) else value


def run_page(run, results):
    settings = run.settings
    row = summary(run, results)
    title = f"{settings['workload']} under {', '.join(settings.get('faults', [])) or 'no faults'}"
    body = [
        f"<h1>{text(title)}</h1>",
        f'<div class="banner {WORDS[results["valid"]][1]}">{word(results["valid"])}'
        f'<span class="dim"> · {row["operations"]:,} operations in {row["seconds"]} s · '
        f'{row["acknowledged"]:,} payments acknowledged · {row["effective_windows"]} of '
        f'{row["windows"]} fault windows effective · {row["leader_changes"]} leader changes · '
        f"seed {text(settings.get('seed'))}</span></div>",
        problem(results), first_error(run, results),
        "<h2>Checkers</h2>", checkers_table(results),
        "<h2>Did it prove anything?</h2>", vacuity_table(results),
        "<h2>Latency</h2>", key(run), plots.latency(run),
        "<h2>Completions per second</h2>", plots.rate(run),
        "<h2>Leader and term</h2>", plots.leader_lane(run),
        "<h2>Applied seq per node</h2>", node_key(run), plots.progress(run),
        "<h2>Faults</h2>", faults_table(run),
        "<h2>Operations</h2>", counts_table(run),
        "<h2>Nodes</h2>", logs(run),
        "<h2>The run</h2>", settings_table(run),
    ]
    return page(title, "".join(body))


def key(run):
    kinds = sorted({plots.FAULT_CLASSES.get(w.fault, "disk") for w in run.windows})
    parts = [f'<i style="background:var(--{kind})"></i>{kind}' for kind in plots.TYPES]
    colours = {"kill": "#d9534f", "pause": "#6a7fd9", "partition": "#d9b84f",
               "packet": "#9cc63c", "clock": "#3cc6b8", "disk": "#5fd970"}
    parts += [f'<i style="background:{colours[kind]};opacity:.5"></i>{kind}' for kind in kinds]
    return '<div class="key">' + "".join(parts) + "</div>"


def node_key(run):
    return '<div class="key">' + "".join(
        f'<i style="background:var(--n{k % 7})"></i>{text(node)}'
        for k, node in enumerate(run.nodes)) + "</div>"


def first_error(run, results):
    """Of the checkers that found errors, the explanation that comes first in the list above."""
    for name, result in results["checkers"].items():
        if not result["errors"]:
            continue
        error = result["errors"][0]
        lines = "\n".join(map(text, error["operations"]))
        facts = table(("expected", "seen", "seq"), [(
            f"<code>{text(error['expected'])}</code>", f"<code>{text(error['seen'])}</code>",
            text(", ".join(map(str, error["seqs"]))))])
        parts = [f"<h2>First error: {name}</h2><p>{text(error['text'])}</p>"]
        if lines:
            parts.append(f"<pre>{lines}</pre>")
        parts.append(facts)
        drawing = plots.timeline(run, set(error["ops"]))
        if drawing:
            parts.append('<p class="dim">Around it; a lane for each process, the operations '
                         f"concerned are framed.</p>{drawing}")
        return "".join(parts)
    return ""


def checkers_table(results):
    rows = []
    for name, result in results["checkers"].items():
        said = [text(e["text"]) for e in result["errors"][:1]] or \
            [text(d).replace("\n", "<br>") for d in result["doubts"][:3]]
        figures = ", ".join(
            f"{k.replace('_', ' ')} {v}" for k, v in result.items()
            if isinstance(v, (int, float)) and k not in UNSHOWN)
        rows.append((f"<b>{name}</b>", word(result["valid"]), result["error_count"] or "",
                     "<br>".join(said), f'<span class="dim">{text(figures)}</span>',
                     f"{result['seconds']:.2f}"))
    return table(("checker", "verdict", "#errors", "first error or doubt", "figures", "#s"), rows)


def vacuity_table(results):
    guards = results["checkers"].get("vacuity", {}).get("guards", [])
    return table(("guard", "#wanted", "#got", ""), [
        (text(g["guard"]), text(g["wanted"]), text(g["got"]),
         word(True if g["reached"] else "unknown").replace("VALID", "reached").replace(
             "UNKNOWN", "missed")) for g in guards])


def faults_table(run):
    if not run.windows:
        return '<p class="dim">None were planned.</p>'
    payments = [op for op in run.ops if acknowledged(op)]
    rows = []
    for window in run.windows:
        figures = recovery(run, window, payments)
        begin, end = window.ends(run.end)
        rows.append((
            window.number, f"{begin / 1e9:.2f}", f"{(end - begin) / 1e9:.2f}",
            text(window.fault), f"{text(window.plan)}<br><span class=dim>"
            f"{text(', '.join(window.targets))}</span>",
            "yes" if window.majority else "<b>no</b>",
            '<span class="good">yes</span>' if window.effective else '<b class="doubt">no</b>',
            text(window.proof),
            f"{text(window.leader_before)} ({text(window.term_before)}) → "
            f"{text(window.leader_after)} ({text(window.term_after)})",
            seconds(figures["begun_recovery_s"]), seconds(figures["healed_recovery_s"]),
            seconds(figures["catch_up_s"])))
    return table(("#no", "#at s", "#for s", "fault", "planned", "majority", "effective", "proof",
                  "leader (term) before → after", "#first ok after", "#after healing",
                  "#all caught up"), rows)


def counts_table(run):
    spans = [w.ends(run.end) for w in run.windows]
    counts = {}
    for op in run.ops:
        inside = any(begin <= op.begin <= end for begin, end in spans)
        row = counts.setdefault(op.f, {(where, kind): 0 for where in (True, False)
                                       for kind in plots.TYPES})
        row[inside, op.type] += 1
    rows = []
    for f, row in sorted(counts.items()):
        total = [row[True, kind] + row[False, kind] for kind in plots.TYPES]
        inside = [row[True, kind] for kind in plots.TYPES]
        outside = [row[False, kind] for kind in plots.TYPES]
        rows.append((f"<b>{text(f)}</b>", *total, *inside, *outside))
    sums = [sum(r[k] for r in rows) for k in range(1, 10)]
    rows.append(("<b>all</b>", *sums))
    head = ["kind"] + [f"#{kind}{where}" for where in ("", " in faults", " outside")
                       for kind in plots.TYPES]
    return table(head, rows)


def logs(run):
    parts = []
    for time, value in run.exits:
        parts.append(f"<li>{time / 1e9:.2f} s: {text(value['node'])} ended, status "
                     f"{value.get('status')}, signal {value.get('signal')}, cause "
                     f"{text(value.get('cause'))}</li>")
    out = [f"<ul>{''.join(parts)}</ul>"] if parts else []
    for node, path in run.node_files():
        if path.endswith((".log", ".err", ".out")):
            with open(path, "rb") as file:
                file.seek(max(0, os.path.getsize(path) - 65536))
                lines = file.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
            name = os.path.relpath(path, run.directory)
            out.append(f"<details><summary>{text(name)}, the last {len(lines)} lines</summary>"
                       f"<pre>{text(chr(10).join(lines))}</pre></details>")
    return "".join(out) or '<p class="dim">No exits and no logs were kept.</p>'


def settings_table(run):
    hidden = ("limits", "require", "versions", "command")
    settings = run.settings
    rows = [(text(k.replace("_", " ")), f"<code>{text(v)}</code>") for k, v in settings.items()
            if k not in hidden]
    rows += [(text(k), f"<code>{text(v)}</code>")
             for k, v in (settings.get("versions") or {}).items()]
    for name in ("limits", "require"):
        if settings.get(name):
            rows.append((name, f"<code>{text(json.dumps(settings[name]))}</code>"))
    rows.append(("again", f"<code>{text(settings.get('command'))}</code>"))
    return table(("setting", "value"), rows)
