"""The pages of many runs: the matrix of workloads by faults, and the mutants.

write_matrix(json, html)   from a file of the form MATRIX
write_mutants(json, html)  from a file of the form MUTANTS
"""

import json

from .plots import text
from .report import WORDS, page, table, word
from .totals import Totals

MATRIX = """{"title": text, "command": text, "runs": [
    {"workload", "faults": ["kill", "partition"] or [], "valid": true | false | "unknown",
     "operations", "ok", "info", "fail", "acknowledged", "windows", "effective_windows",
     "leader_changes", "state_transfers", "power_cuts", "leader_times_s": [..], "caught_up_s": [..],
     "seconds", "seed", "first_error": text or null, "only_slow",
     "href": path of the run's index.html or null,
     "before": {"valid", "first_error", "href"} of a first try, where this is the second}],
 "skipped": [{"workload", "faults", "reason"}], "full": whether it is a full matrix}
report.summary(run, results) makes one such row (without href)."""

MUTANTS = """{"title": text, "command": text, "mutants": [
    {"name": "M1", "what": what is broken, "how": "build" | "run" | ..., "instrument": "jepsen" |
     "simulation", "must": [checkers that must catch it], "budget_s",
     "killed": true | false | null (not run), "by": [checkers that did], "seconds",
     "href": path or null}],
 "null": {"runs": how often the unmutated build ran, "green": how often it was valid}}"""


def write_matrix(json_path, html_path):
    with open(json_path, encoding="utf-8") as file:
        data = json.load(file)
    with open(html_path, "w", encoding="utf-8") as file:
        file.write(matrix_page(data))


def matrix_page(data):
    runs = data["runs"]
    columns = list(dict.fromkeys("+".join(r["faults"]) or "none" for r in runs))
    workloads = list(dict.fromkeys(r["workload"] for r in runs))
    cells = {}
    for run in runs:
        cells.setdefault((run["workload"], "+".join(run["faults"]) or "none"), []).append(run)
    parts = ['<div class="scroll"><table><tr><th></th>',
             *(f"<th>{text(c).replace('+', '<br>')}</th>" for c in columns), "</tr>"]
    for workload in workloads:
        parts.append(f"<tr><th>{text(workload)}</th>")
        parts += [matrix_cell(cells.get((workload, column), [])) for column in columns]
        parts.append("</tr>")
    parts.append("</table></div>")
    bad = [r for r in runs if r["valid"] is not True]
    rows = [(text(r["workload"]), text("+".join(r["faults"]) or "none"), word(r["valid"]),
             text(r["seed"]), linked(r, text(r.get("first_error") or ""))) for r in bad]
    sums = Totals(runs)
    figures = text(sums.sentence().replace("; ", " · "))
    title = data.get("title", "Workloads by faults")
    valid = sums.verdict(data.get("full", False))
    body = (f"<h1>{text(title)}</h1>"
            f'<div class="banner {WORDS[valid][1]}">{word(valid)} <span class="dim">· '
            f"{len(runs) - len(bad)} of {len(runs)} runs valid · {figures}</span></div>"
            + "".join(f'<p class="bad">{text(line)}</p>'
                      for line in sums.shortfalls(data.get("full", False)))
            + "".join(parts))
    if rows:
        body += "<h2>Not valid</h2>" + table(("workload", "faults", "", "seed", "first error"),
                                             rows)
    tries = [(text(r["workload"]), text("+".join(r["faults"]) or "none"),
              linked(r["before"], word(r["before"]["valid"])),
              text(r["before"].get("first_error") or ""), linked(r, word(r["valid"])))
             for r in runs if r.get("before")]
    if tries:
        body += "<h2>Done twice</h2>" + table(("workload", "faults", "first", "why", "second"),
                                              tries)
    if data.get("skipped"):
        body += "<h2>Not possible on this machine</h2>" + table(
            ("workload", "faults", "why"), [(text(s["workload"]), text("+".join(s["faults"])),
                                             text(s["reason"])) for s in data["skipped"]])
    return page(title, body + again(data))


def verdict_of(rows):
    values = {row["valid"] for row in rows}
    return False if False in values else "unknown" if "unknown" in values or not rows else True


def linked(row, inside):
    return f'<a href="{text(row["href"])}">{inside}</a>' if row.get("href") else inside


def again(data):
    return f"<p class=dim>Again: <code>{text(data['command'])}</code></p>" \
        if data.get("command") else ""


def matrix_cell(runs):
    if not runs:
        return '<td class="cell none">–</td>'
    kind = WORDS[verdict_of(runs)][1]
    lines = [linked(r, WORDS[r["valid"]][0].lower() + (
        f", {r['nodes']} nodes" if r.get("nodes", 3) != 3 else ""))
        + f"<br>{short(r.get('acknowledged') or 0)} paid, {r.get('effective_windows', 0)} of "
          f"{r.get('windows', 0)} faults"
        + ("<br>second try" if r.get("before") else "") for r in runs]
    return f'<td class="cell {kind}">{"<br>".join(lines)}</td>'


def short(count):
    return f"{count / 1000:.1f}k" if count >= 1000 else str(count)


def write_mutants(json_path, html_path):
    with open(json_path, encoding="utf-8") as file:
        data = json.load(file)
    with open(html_path, "w", encoding="utf-8") as file:
        file.write(mutants_page(data))


def mutants_page(data):
    rows, killed, ran = [], 0, 0
    for mutant in data["mutants"]:
        dead = mutant.get("killed")
        right = bool(set(mutant["must"]) & set(mutant.get("by") or ())) if dead else None
        ran += dead is not None
        killed += bool(dead and right)
        state = ('<span class="dim">not run</span>' if dead is None
                 else '<b class="bad">survived</b>' if not dead
                 else '<b class="good">killed</b>' if right
                 else '<b class="doubt">killed by another checker</b>')
        rows.append((f"<b>{text(mutant['name'])}</b>", text(mutant["what"]), text(mutant["how"]),
                     text(mutant["instrument"]), text(", ".join(mutant["must"])),
                     linked(mutant, state), text(", ".join(mutant.get("by") or ())),
                     "" if mutant.get("seconds") is None else f"{mutant['seconds']:.0f}",
                     mutant["budget_s"]))
    null = data.get("null", {"runs": 0, "green": 0})
    good = killed == ran and ran and null["runs"] == null["green"]
    title = data.get("title", "Mutants")
    body = (f"<h1>{text(title)}</h1>"
            f'<div class="banner {"good" if good else "bad"}"><b>{killed} of {ran} killed by the '
            f"checker meant for them</b> · the unmutated build was green {null['green']} of "
            f"{null['runs']} times</div>"
            + table(("mutant", "what is broken", "how", "instrument", "must be caught by", "",
                     "caught by", "#s", "#budget s"), rows))
    return page(title, body + again(data))
