"""The tidy rules. Each takes a Tree and yields findings: (path, line number, what is wrong)."""
import os
import re

CODE_FOLDERS = ("base", "ledger", "consensus", "gateway", "node", "client")
FOLDERS = CODE_FOLDERS + ("tests", "jepsen", "bench", "scripts", "cmake", ".ci")
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

# What a folder may include of the others; client sees only those headers of ledger and gateway.
MAY_INCLUDE = {
    "base": {"base"},
    "ledger": {"base", "ledger"},
    "consensus": {"base", "consensus"},
    "gateway": {"base", "ledger", "gateway"},
    "node": {"base", "ledger", "consensus", "gateway", "node"},
    "client": {"base", "client", "ledger/command.h", "ledger/outcome.h", "ledger/query.h",
               "ledger/types.h", "gateway/message.h", "gateway/websocket.h", "gateway/http.h"},
}

# Foreign header -> where it may be included (DESIGN section 1); tests may open the doors that they
# test. The pattern is matched against the name between the angle brackets.
DOORS = (
    (r"uv\.h", r"base/(loop|stream)\.[ch]|(consensus|gateway|node|client|tests)/.*"),
    (r"raft\.h|raft/.*", r"(consensus|tests)/.*"),
    (r"lmdb\.h", r"ledger/store(_\w+)?\.[ch]|tests/.*"),
    (r"wslay/.*", r"gateway/websocket\.c|tests/.*"),
    (r"openssl/.*", r"base/(tls|crypto|certificate)(_\w+)?\.c|tests/.*"),
    (r"(cjson/)?cJSON\.h", r"gateway/message\.c|tests/.*"),
    (r"http_parser\.h", r"gateway/http\.c|tests/.*"),
    (r"confuse\.h", r"node/config\.c|tests/.*"),
    (r"cmocka\.h", r"tests/support/check\.h"),
)

BANNED_CALLS = ("strcpy", "strcat", "sprintf", "vsprintf", "atoi", "atol", "atoll", "strtok",
                "rand", "srand", "alloca", "system", "gets")
# Nothing in ledger/ may depend on when, where or by chance: every replica must come to the same.
LEDGER_BANNED = r"\b(float|double|time_t|clock_gettime|gettimeofday|getrandom|random|RAND_bytes)\b"
# In two parts, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b")

# Sources without a test file of their own, each with the place where it is tested.
WITHOUT_TEST = {
    "ledger/payment.c": "tests/unit/ledger/test_execute.c",
    "consensus/copy.c": "tests/unit/consensus/test_transport.c",
    "consensus/dial.c": "tests/unit/consensus/test_transport.c",
    "consensus/endpoint.c": "tests/unit/consensus/test_transport.c",
    "consensus/format.c": "tests/unit/consensus/test_consensus.c",
    "node/copy_fetch.c": "tests/cluster/test_lagging.py",
    "node/copy_serve.c": "tests/cluster/test_lagging.py",
    "node/ledger_answer.c": "tests/unit/node/test_ledger_thread.c",
    "node/main.c": "tests/cluster/test_start_stop.py",
    "node/node.c": "tests/cluster/test_start_stop.py",
    "node/wiring.c": "tests/cluster/test_forwarding.py",
    "client/main.c": "tests/cluster/test_cli.py",
}


def strip(text):
    """C text with comments, strings and characters blanked out; the lines stay where they are."""
    comment, string = r"/\*.*?\*/|//[^\n]*", r'"(?:\\.|[^"\\\n])*"'
    character = r"'(?:\\.|[^'\\\n])*'"
    pattern = re.compile(f"{comment}|{string}|{character}", re.DOTALL)
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group(0)), text)


SKIPPED = ("__pycache__", "corpus", "store")  # made by runs, or recorded input


class Tree:
    """The project's own files below a folder, read once."""

    def __init__(self, top):
        self.top = top
        self.files = {}
        for folder in FOLDERS:
            for at, folders, names in os.walk(os.path.join(top, folder)):
                folders[:] = [name for name in folders if name not in SKIPPED]
                for name in names:
                    self._read(os.path.join(at, name))

    def _read(self, full):
        path = os.path.relpath(full, self.top)
        try:
            with open(full, encoding="utf-8") as file:
                self.files[path] = file.read()
        except UnicodeDecodeError:
            pass  # not text: a recorded input of a test

    def c_files(self):
        return {path: text for path, text in self.files.items() if path.endswith((".c", ".h"))}

    def texts(self):
        """Everything that people write: code, scripts, build files."""
        ends = (".c", ".h", ".py", ".sh", ".js", ".cmake", "CMakeLists.txt")
        return {path: text for path, text in self.files.items()
                if path.endswith(ends) or text.startswith("#!")}


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found.group(1) == '"', found.group(2)


def include_order(tree):
    """A folder includes itself and those before it in the stack."""
    for path, text in tree.c_files().items():
        folder = path.split("/")[0]
        if folder not in MAY_INCLUDE:
            continue
        for number, own, name in includes(text):
            allowed = MAY_INCLUDE[folder]
            if own and name.endswith((".def", ".inc")):
                continue  # tables, and what the build generates
            if own and "/" not in name:
                yield path, number, f'"{name}": own headers are included as FOLDER/FILE.h'
            elif own and name.split("/")[0] not in allowed and name not in allowed:
                yield path, number, f'{folder}/ must not include "{name}"'


def doors(tree):
    """Each foreign library is included in its one place."""
    for path, text in tree.c_files().items():
        for number, _, name in includes(text):
            for header, places in DOORS:
                if re.fullmatch(header, name) and not re.fullmatch(places, path):
                    yield path, number, f"<{name}> may be included only in {places}"


def banned_calls(tree):
    """Functions without bounds or checks."""
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED_CALLS) + r")\s*\(")
    for path, text in tree.c_files().items():
        for number, line in enumerate(strip(text).splitlines(), 1):
            for found in pattern.finditer(line):
                yield path, number, f"{found.group(1)} is banned"


def ledger_is_deterministic(tree):
    """No clock, chance or floating point in ledger/."""
    for path, text in tree.c_files().items():
        if path.startswith("ledger/"):
            for number, line in enumerate(strip(text).splitlines(), 1):
                found = re.search(LEDGER_BANNED, line)
                if found:
                    yield path, number, f"{found.group(1)} has no place in ledger/"


def file_length(tree):
    for path, text in tree.texts().items():
        count = text.count("\n")
        if count > FILE_LINES_MAX:
            yield path, count, f"{count} lines, at most {FILE_LINES_MAX}"


def function_length(tree):
    """clang-format puts a function's braces, and nothing else, at the beginning of a line."""
    for path, text in tree.c_files().items():
        begin = None
        for number, line in enumerate(text.splitlines(), 1):
            if line == "{":
                begin = number
            elif line.startswith("}") and begin is not None:
                if number - begin - 1 > FUNCTION_LINES_MAX:
                    yield path, begin, f"a function of {number - begin - 1} lines, " \
                        f"at most {FUNCTION_LINES_MAX}"
                begin = None


def has_test(tree):
    """tests/unit mirrors the sources."""
    for path in sorted(tree.files):
        folder, _, name = path.partition("/")
        if folder in CODE_FOLDERS and name.endswith(".c") and path not in WITHOUT_TEST:
            # A module that was split (store.c, store_copy.c) may have its tests in one file.
            words = name[:-2].split("_")
            names = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
            if not any(f"tests/unit/{folder}/test_{one}.c" in tree.files for one in names):
                yield path, 1, f"there is no tests/unit/{folder}/test_{name}"
    for path, place in WITHOUT_TEST.items():
        if path in tree.files and place not in tree.files:
            yield path, 1, f"its exception names {place}, which is not there"
        if path not in tree.files:
            yield path, 1, "an exception for a file that is not there"


def no_tabs(tree):
    for path, text in tree.texts().items():
        for number, line in enumerate(text.splitlines(), 1):
            if "\t" in line:
                yield path, number, "a tab"
            if line != line.rstrip():
                yield path, number, "blanks at the end of the line"


def line_length(tree):
    for path, text in tree.texts().items():
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > COLUMNS_MAX:
                yield path, number, f"{len(line)} columns, at most {COLUMNS_MAX}"


def nothing_unfinished(tree):
    for path, text in tree.texts().items():
        for number, line in enumerate(text.splitlines(), 1):
            found = UNFINISHED.search(line)
            if found:
                yield path, number, f"{found.group(1)}: finish it, or take it out"


def no_struct_typedef(tree):
    for path, text in tree.c_files().items():
        for number, line in enumerate(strip(text).splitlines(), 1):
            if re.match(r"\s*typedef\s+(struct|union|enum)\b", line):
                yield path, number, "structs have no typedef"


RULES = (include_order, doors, banned_calls, ledger_is_deterministic, file_length, function_length,
         has_test, no_tabs, line_length, nothing_unfinished, no_struct_typedef)
