"""Breaks each rule once, on a small tree of its own, and sees the finding where it was put."""
import os
import shutil
import tempfile

import rules

# rule -> (file, its text, the line that must be found); several ways to break it where they differ.
BREAKS = (
    (rules.include_order, "base/loop.c", '#include "base/loop.h"\n#include "ledger/types.h"\n', 2),
    (rules.include_order, "ledger/x.c", '#include "consensus/consensus.h"\n', 1),
    (rules.include_order, "consensus/x.c", '#include "ledger/ledger.h"\n', 1),
    (rules.include_order, "gateway/x.c", '#include "consensus/consensus.h"\n', 1),
    (rules.include_order, "client/x.c", '#include "ledger/store.h"\n', 1),
    (rules.include_order, "node/x.c", '#include "node.h"\n', 1),
    (rules.doors, "ledger/x.c", "#include <uv.h>\n", 1),
    (rules.doors, "base/bytes.c", "#include <uv.h>\n", 1),
    (rules.doors, "node/x.c", "#include <raft.h>\n", 1),
    (rules.doors, "gateway/x.c", "#include <raft/uv.h>\n", 1),
    (rules.doors, "ledger/view.c", "\n#include <lmdb.h>\n", 2),
    (rules.doors, "gateway/http.c", "#include <wslay/wslay.h>\n", 1),
    (rules.doors, "consensus/x.c", "#include <openssl/ssl.h>\n", 1),
    (rules.doors, "client/x.c", "#include <cjson/cJSON.h>\n", 1),
    (rules.doors, "gateway/x.c", "#include <http_parser.h>\n", 1),
    (rules.doors, "node/main.c", "#include <confuse.h>\n", 1),
    (rules.doors, "tests/unit/base/test_x.c", "#include <cmocka.h>\n", 1),
    *((rules.banned_calls, "base/x.c", f"void f(void)\n{{\n    {name}(a);\n}}\n", 3)
      for name in rules.BANNED_CALLS),
    (rules.ledger_is_deterministic, "ledger/x.c", "double x;\n", 1),
    (rules.ledger_is_deterministic, "ledger/x.h", "\nvoid f(void) { clock_gettime(0, 0); }\n", 2),
    (rules.file_length, "base/x.c", "\n" * 601, 601),
    (rules.file_length, "tests/x.py", "\n" * 601, 601),
    (rules.function_length, "base/x.c", "void f(void)\n{\n" + "    g();\n" * 71 + "}\n", 2),
    (rules.has_test, "gateway/lonely.c", "", 1),
    (rules.no_tabs, "base/x.c", "int a;\n\tint b;\n", 2),
    (rules.no_tabs, "base/x.c", "int a; \n", 1),
    (rules.line_length, "base/x.h", "/* " + "x" * 100 + " */\n", 1),
    (rules.nothing_unfinished, "base/x.c", "/* TO" "DO */\n", 1),
    (rules.nothing_unfinished, "scripts/x", "#!/bin/sh\n# FIX" "ME\n", 2),
    (rules.no_struct_typedef, "base/x.h", "typedef struct x x;\n", 1),
)

# What must not be found: the same words where they are harmless.
FINE = (
    ("base/fine.c", '#include "base/fine.h"\n#include <string.h>\n'
                    "/* strcpy(a, b) is banned */\nvoid f(void)\n{\n    log(\"system(x)\");\n"
                    "    object->rand(1);\n    snprintf(a, 1, b);\n" + "    g();\n" * 60 + "}\n"),
    ("base/fine.h", "#include <stdint.h>\n"),
    ("tests/unit/base/test_fine.c", '#include "tests/support/check.h"\n#include "ledger/x.h"\n'),
    ("ledger/fine.c", '#include "base/fine.h"\n/* no double here */\n'),
    ("tests/unit/ledger/test_fine.c", ""),
    *((path, "") for source_and_place in rules.WITHOUT_TEST.items() for path in source_and_place),
)


def write(top, path, text):
    full = os.path.join(top, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as file:
        file.write(text)


def findings(top):
    tree = rules.Tree(top)
    return {rule: list(rule(tree)) for rule in rules.RULES}


def main():
    """Returns the number of rules that did not do what they should."""
    failures = 0
    top = tempfile.mkdtemp(prefix="payledger-tidy-", dir="/tmp")
    try:
        for path, text in FINE:
            write(top, path, text)
        for rule, found in findings(top).items():
            for one in found:
                print(f"{rule.__name__}: found where nothing is wrong: {one}")
                failures += 1
        for rule, path, text, line in BREAKS:
            full = os.path.join(top, path)
            before = dict(FINE).get(path)
            write(top, path, text)
            hits = [one for one in findings(top)[rule] if one[0] == path]
            if [number for _, number, _ in hits] != [line]:
                print(f"{rule.__name__}: {path}: wanted one finding in line {line}: {hits}")
                failures += 1
            if before is None:
                os.unlink(full)
            else:
                write(top, path, before)
        unbroken = {rule for rule in rules.RULES} - {rule for rule, *_ in BREAKS}
        for rule in unbroken:
            print(f"{rule.__name__}: nothing here breaks it")
            failures += 1
    finally:
        shutil.rmtree(top)
    print(f"{len(rules.RULES)} rules, {len(BREAKS)} ways to break them, {failures} unnoticed")
    return failures
