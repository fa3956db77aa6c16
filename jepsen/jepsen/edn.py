"""EDN, the notation of Jepsen's histories: as much of it as a history needs.

Python          EDN
dict            map; keys that look like names become keywords
list, tuple     vector
set, frozenset  set
str             string
Keyword         keyword
int, float, bool, None   the same
"""

import re


class Keyword(str):
    """A string that is written with a colon before it."""

    __slots__ = ()


_NAME = re.compile(r"[a-z][a-z0-9_?*!.-]*\Z")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_UNESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_TO_ESCAPE = re.compile(r'["\\\n\t\r]')
_names = {}


def _key(key):
    """A map's key: names are written as keywords, with `-` in the place of `_`."""
    if not isinstance(key, str):
        return dumps(key)
    known = _names.get(key)
    if known is None:
        plain = _NAME.match(key) is not None
        known = ":" + key.replace("_", "-") if plain else _string(key)
        if len(_names) < 1000:
            _names[key] = known
    return known


def _string(text):
    return '"' + _TO_ESCAPE.sub(lambda found: _ESCAPES[found.group()], text) + '"'


def dumps(value):
    """The value as EDN, on one line."""
    if isinstance(value, Keyword):
        return ":" + value
    if isinstance(value, str):
        return _string(value)
    if value is None:
        return "nil"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} {dumps(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(dumps, value)) + "]"
    if isinstance(value, (set, frozenset)):
        return "#{" + " ".join(sorted(map(dumps, value))) + "}"
    raise TypeError(f"no EDN form for {type(value).__name__}")


_TOKEN = re.compile(
    r'[\s,]*(?:;[^\n]*\n[\s,]*)*(#\{|[\[\](){}]|"(?:[^"\\]|\\.)*"|[^\s,\[\](){}"]+)', re.S)
_CLOSERS = {"[": "]", "(": ")", "{": "}", "#{": "}"}


def _atom(token):
    if token.startswith('"'):
        return re.sub(r"\\(.)", lambda found: _UNESCAPES[found.group(1)], token[1:-1], flags=re.S)
    if token.startswith(":"):
        return Keyword(token[1:])
    constants = {"nil": None, "true": True, "false": False}
    if token in constants:
        return constants[token]
    if re.match(r"[+-]?\d+N?\Z", token):
        return int(token.rstrip("N"))
    if re.match(r"[+-]?\d", token):
        return float(token)
    raise ValueError(f"not EDN: {token[:40]}")


def _hashable(value):
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _collect(opener, items):
    if opener == "{":
        if len(items) % 2:
            raise ValueError("a map with an odd number of forms")
        return {_hashable(k): v for k, v in zip(items[::2], items[1::2])}
    if opener == "#{":
        return {_hashable(item) for item in items}
    return items


def loads(text):
    """The one value in the text. Keywords come back as Keyword, vectors and lists as list."""
    stack, done, position = [], [], 0
    while found := _TOKEN.match(text, position):
        token, position = found.group(1), found.end()
        if token in _CLOSERS:
            stack.append((token, done))
            done = []
        elif token in ("]", ")", "}"):
            if not stack or _CLOSERS[stack[-1][0]] != token:
                raise ValueError(f"unexpected {token} at {position}")
            opener, outer = stack.pop()
            outer.append(_collect(opener, done))
            done = outer
        else:
            done.append(_atom(token))
    if text[position:].strip(" ,\n\t\r") or stack or len(done) != 1:
        raise ValueError("not exactly one EDN value")
    return done[0]
