"""The files for Knossos and Elle, read by a strict reader that shares nothing with edn.py, and held
against what Jepsen's documentation says of a history."""

import glob
import os
import re
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from jepsen import edn, history, report  # noqa: E402
from synthetic import Synthetic  # noqa: E402

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
KEYWORD = re.compile(r":[A-Za-z*!_?$%&=<>.+-][A-Za-z0-9*!_?$%&=<>.#:'+-]*\Z")
LONG = 1 << 63


class Strict:
    """One form, by recursive descent; ValueError where the EDN specification is not met."""

    def __init__(self, text):
        self.text = text
        self.at = 0

    def whole(self):
        value = self.form()
        self.blank()
        if self.at != len(self.text):
            raise ValueError(f"more after the form: {self.text[self.at:self.at + 20]}")
        return value

    def blank(self):
        while self.at < len(self.text) and self.text[self.at] in " ,\n\t\r":
            self.at += 1

    def form(self):
        self.blank()
        rest = self.text[self.at:self.at + 2]
        if rest[:1] == '"':
            return self.string()
        for opener, closer in (("#{", "}"), ("{", "}"), ("[", "]"), ("(", ")")):
            if rest.startswith(opener):
                self.at += len(opener)
                return self.collected(opener, self.items(closer))
        return self.atom()

    def items(self, closer):
        found = []
        while True:
            self.blank()
            if self.at >= len(self.text):
                raise ValueError("a collection has no end")
            if self.text[self.at] == closer:
                self.at += 1
                return found
            found.append(self.form())

    @staticmethod
    def collected(opener, items):
        if opener == "{":
            keys = [repr(key) for key in items[::2]]
            if len(items) % 2 or len(set(keys)) != len(keys):
                raise ValueError("a map without values, or with a key twice")
            return dict(zip(map(str, items[::2]), items[1::2]))
        if opener == "#{" and len({repr(item) for item in items}) != len(items):
            raise ValueError("an element twice")
        return items

    def string(self):
        found = re.compile(r'"((?:[^"\\]|\\["\\nrt])*)"').match(self.text, self.at)
        if not found:
            raise ValueError("a string with an unknown escape, or without an end")
        self.at = found.end()
        return found.group(1)

    def atom(self):
        token = re.compile(r"[^\s,\[\](){}\"]*").match(self.text, self.at).group()
        self.at += len(token)
        if token in ("nil", "true", "false"):
            return {"nil": None, "true": True, "false": False}[token]
        if KEYWORD.match(token):
            return token
        if not NUMBER.match(token):
            raise ValueError(f"neither number nor keyword: {token!r}")
        value = float(token) if re.search("[.eE]", token) else int(token)
        if isinstance(value, int) and not -LONG <= value < LONG:
            raise ValueError(f"an integer beyond 64 bits without N: {token}")
        return value


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [Strict(line).whole() for line in lines]


def check_history(test, ops):
    """What jepsen.history and Knossos want of a history."""
    test.assertTrue(ops)
    pending, ended, last = {}, set(), -1
    for index, op in enumerate(ops):
        test.assertEqual(op[":index"], index)
        test.assertIn(op[":type"], (":invoke", ":ok", ":fail", ":info"))
        test.assertTrue(op[":f"].startswith(":"), op)
        if ":time" in op:
            test.assertGreaterEqual(op[":time"], last)
            last = op[":time"]
        process = op[":process"]
        if not isinstance(process, int):
            test.assertIn(process, (":nemesis", ":cluster"))
            test.assertEqual(op[":type"], ":info")
        elif op[":type"] == ":invoke":
            test.assertNotIn(process, pending)
            test.assertNotIn(process, ended)
            pending[process] = op
        else:
            begun = pending.pop(process)
            test.assertEqual(op[":f"], begun[":f"])
            if op[":type"] != ":ok":
                test.assertEqual(op[":value"], begun[":value"])
            if op[":type"] == ":info":
                ended.add(process)
    return pending


def check_registers(test, ops):
    check_history(test, ops)
    for op in ops:
        test.assertIn(op[":f"], (":read", ":cas"))
        if op[":f"] == ":cas":
            test.assertEqual([type(v) for v in op[":value"]], [int, int])
        else:
            test.assertIs(op[":value"] is None, op[":type"] == ":invoke")


def check_append(test, ops):
    check_history(test, ops)
    appended = set()
    for op in ops:
        test.assertEqual(op[":f"], ":txn")
        for kind, key, value in op[":value"]:
            if kind == ":append" and op[":type"] == ":invoke":
                test.assertNotIn((key, value), appended)
                appended.add((key, value))
            elif kind == ":r":
                test.assertIs(value is None, op[":type"] == ":invoke")
                test.assertEqual(len(set(value or ())), len(value or ()))
            else:
                test.assertEqual(kind, ":append")


def check_directory(test, directory):
    """Used by hand for stored runs too: JEPSEN_STORED=DIRECTORY."""
    test.assertEqual(check_history(test, read(os.path.join(directory, "history.edn"))), {})
    for path in glob.glob(os.path.join(directory, "knossos", "*.edn")):
        check_registers(test, read(path))
    for path in glob.glob(os.path.join(directory, "elle", "*.edn")):
        check_append(test, read(path))
    with open(os.path.join(directory, "results.edn"), encoding="utf-8") as file:
        test.assertIn(Strict(file.read()).whole()[":valid?"], (True, False, ":unknown"))


class Outside(unittest.TestCase):
    def test_the_files_of_a_run(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            synthetic = Synthetic(3, operations=600)
            synthetic.save(directory)
            with open(os.path.join(directory, "history.edn"), "w", encoding="utf-8") as file:
                file.writelines(history.to_edn(record) + "\n" for record in synthetic.records)
            report.write_run(directory)
            self.assertTrue(glob.glob(os.path.join(directory, "knossos", "*.edn")))
            check_directory(self, directory)

    @unittest.skipUnless("JEPSEN_STORED" in os.environ, "JEPSEN_STORED names no stored run")
    def test_stored_runs(self):
        for directory in os.environ["JEPSEN_STORED"].split(":"):
            with self.subTest(directory):
                check_directory(self, directory)

    def test_what_is_written_is_read_back(self):
        value = {"a": 'x "y" \\ \n\t\r ä', "b": [1, -2, 2.5, 1e-7, True, None],
                 "c_d": edn.Keyword("e"), "reg:K": {"n1": []}}
        self.assertEqual(Strict(edn.dumps(value)).whole()[":b"], [1, -2, 2.5, 1e-7, True, None])

    def test_the_reader_is_strict(self):
        for bad in ("{:a}", "{:a 1, :a 2}", '"\\q"', "[1", "1.2.3", "inf", "nan", "007", "#{1 1}",
                    "1 2", str(LONG), ":a/", "None", "'x'"):
            with self.subTest(bad), self.assertRaises((ValueError, IndexError)):
                Strict(bad).whole()


if __name__ == "__main__":
    unittest.main()
