"""docs/protocol.md tells the truth: its examples are replayed, its tables compared."""
import json
import os
import re

from harness import TREE, Skip, case

PATH = os.path.join(TREE, "docs", "protocol.md")
ERRORS = os.path.join(TREE, "base", "errors.def")
BLOCK = re.compile(r"^```json (request|reply)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ANY = "..."


def protocol():
    if not os.path.exists(PATH):
        raise Skip("docs/protocol.md is not there")
    with open(PATH, encoding="utf-8") as file:
        return file.read()


def examples(text):
    """[(line, request text, reply)]: the pairs in their order."""
    blocks = [(text.count("\n", 0, found.start()) + 2, found.group(1), found.group(2))
              for found in BLOCK.finditer(text)]
    assert len(blocks) == text.count("```json"), "a fenced block that is neither request nor reply"
    assert [kind for _, kind, _ in blocks] == ["request", "reply"] * (len(blocks) // 2), \
        "requests and replies do not alternate"
    return [(line, request, json.loads(reply))
            for (line, _, request), (_, _, reply) in zip(blocks[::2], blocks[1::2])]


def difference(wanted, got, path="reply"):
    """Where `got` is not what the document shows (see the comment at its top); None where it is."""
    pending = [(wanted, got, path)]
    while pending:
        wanted, got, path = pending.pop()
        if wanted == ANY:
            continue
        if type(wanted) is not type(got):
            return f"{path} is {got!r}, documented is {wanted!r}"
        if isinstance(wanted, dict):
            open_end = wanted.get(ANY) == ANY
            names = {name for name in wanted if name != ANY}
            if not names <= got.keys() or (not open_end and got.keys() - names):
                return f"{path} has the members {sorted(got)}, documented are {sorted(names)}"
            pending += [(wanted[name], got[name], f"{path}.{name}") for name in names]
        elif isinstance(wanted, list):
            open_end = wanted[-1:] == [ANY]
            shown = wanted[:-1] if open_end else wanted
            if len(got) < len(shown) or (not open_end and len(got) > len(shown)):
                return f"{path} has {len(got)} elements, documented are {len(shown)}"
            pending += [(w, g, f"{path}[{at}]") for at, (w, g) in enumerate(zip(shown, got))]
        elif wanted != got:
            return f"{path} is {got!r}, documented is {wanted!r}"
    return None


@case(60)
async def examples_are_true(run):
    pairs = examples(protocol())
    cluster = await run.started()
    client = await run.client(cluster, 1)
    problems = []
    for line, request, wanted in pairs:
        before = len(client.strays)
        await client.socket.send(request.strip())
        got = await client.stray(before, 10)
        wrong = difference(wanted, got)
        if wrong:
            problems.append(f"docs/protocol.md:{line}: {wrong}\n    {json.dumps(got)[:400]}")
    run.note(f"{len(pairs)} examples")
    assert len(pairs) > 20, "the examples were not found"
    assert not problems, "\n".join(problems)


@case()
async def every_method_and_no_other_is_described(run):
    text = protocol()
    client = await run.client(await run.common(), 1)
    known = {method["name"] for method in (await client.call("rpc.discover"))["methods"]}
    described = set(re.findall(r"^#+ `(\w+\.\w+)`", text, re.MULTILINE))
    assert described == known, f"only in one of both: {sorted(described ^ known)}"
    shown = {json.loads(request).get("method") for _, request, _ in examples(text)
             if request.lstrip().startswith("{")}
    assert known <= shown, f"without an example: {sorted(known - shown)}"


@case()
async def the_table_of_errors_is_that_of_the_program(run):
    with open(ERRORS, encoding="utf-8") as file:
        rows = re.findall(r'^CODE\(\s*\d+,\s*\w+,\s*"(\w+)",\s*(-\d+),\s*(\w+),\s*(\w+),',
                          file.read(), re.MULTILINE)
    words = {"YES": ("yes", "true"), "NO": ("no", "false"), "UNSURE": ("unsure", "null", "unknown")}
    text = protocol()
    table = {}
    for line in text.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 4 and re.fullmatch(r"[a-z_]+", cells[0]) and any(
                re.fullmatch(r"-32\d{3}", cell) for cell in cells):
            table[cells[0]] = cells[1:]
    assert table.keys() == {name for name, *_ in rows}, \
        f"only in one of both: {sorted(table.keys() ^ {name for name, *_ in rows})}"
    for name, number, retryable, recorded in rows:
        cells = table[name]
        assert cells[0] == number, f"{name}: {cells[0]}, is {number}"
        assert cells[1] in words[retryable], f"{name}: retryable {cells[1]}, is {retryable}"
        assert cells[2] in words[recorded], f"{name}: recorded {cells[2]}, is {recorded}"
