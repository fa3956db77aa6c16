"""Carries stored results into docs/: tables between marks, figures, and the JSON they are from."""

import json
import os

from . import payledger, report, scenarios, workspace

PAGE = os.path.join(payledger.ROOT, "docs", "performance.md")
FIGURES = os.path.join(payledger.ROOT, "docs", "figures")


def mark(name, place):
    return f"<!-- bench/run publish: {name} {place} -->"


def texts(found):
    """{name of a marked part: its text} of what is stored."""
    made = {}
    if found.get("compare"):
        made["side by side"] = report.text(found["compare"])
    if found.get("targets"):
        made["targets"] = scenarios.text(found["targets"])
    return made


def replace(page, name, text):
    """The page with another text between the marks of a part."""
    begin, end = mark(name, "begins"), mark(name, "ends")
    head, found_begin, rest = page.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found_begin or not found_end:
        raise workspace.Failed(f"{PAGE} has no part '{name}'")
    return f"{head}{begin}\n\n{text.strip()}\n\n{end}{tail}"


def drawings(found):
    """{name of a marked part: {file name: SVG}} of what is stored."""
    made = {}
    if found.get("compare"):
        made["side by side"] = report.drawings(found["compare"])
    if found.get("targets"):
        made["targets"] = scenarios.drawings(found["targets"])
    return made


def publish(found):
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    drawn = drawings(found)
    for name, text in texts(found).items():
        links = "\n".join(f"![{file.removesuffix('.svg')}](figures/{file})"
                          for file in drawn[name])
        page = replace(page, name, text.strip() + "\n\n" + links)
    os.makedirs(FIGURES, exist_ok=True)
    for made in drawn.values():
        for name, text in made.items():
            _write(os.path.join(FIGURES, name), text)
    for kind, content in found.items():
        if content:
            _write(os.path.join(FIGURES, kind + ".json"), json.dumps(content, indent=1) + "\n")
    _write(PAGE, page)
    print(f"wrote docs/performance.md and {sum(map(len, drawn.values()))} figures")
    return 0


def _write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
