"""The reports are written, say what they must, and need nothing outside themselves."""

import glob
import json
import os
import random
import re
import sys
import tempfile
import unittest
from xml.etree import ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from jepsen import edn, report  # noqa: E402
from jepsen.operations import load  # noqa: E402
from synthetic import Synthetic  # noqa: E402
from test_checkers import old_read  # noqa: E402


class Reports(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.path = folder.name

    def _read(self, name):
        with open(os.path.join(self.path, name), encoding="utf-8") as file:
            return file.read()

    def _self_contained(self, page):
        self.assertEqual(re.findall(r"<script|<link|src=|url\(|https?://", page), [])
        for drawing in re.findall(r"<svg.*?</svg>", page, re.S):
            ElementTree.fromstring(drawing)

    def test_a_good_run(self):
        Synthetic(1).save(self.path)
        self.assertIs(report.write_run(self.path)["valid"], True)
        page = self._read("index.html")
        self._self_contained(page)
        self.assertIn("VALID", page)
        self.assertNotIn("First error", page)
        self.assertIs(edn.loads(self._read("results.edn"))["valid?"], True)
        self.assertIs(json.loads(self._read("results.json"))["summary"]["valid"], True)
        for path in glob.glob(os.path.join(self.path, "knossos", "*.edn")):
            with open(path, encoding="utf-8") as lines:
                parsed = [edn.loads(line) for line in lines]
            self.assertEqual([p["index"] for p in parsed], list(range(len(parsed))))

    def test_a_bad_run_explains_its_first_error(self):
        synthetic = Synthetic(1)
        old_read(synthetic.records, random.Random(1))
        synthetic.save(self.path)
        self.assertIs(report.write_run(self.path)["valid"], False)
        page = self._read("index.html")
        self._self_contained(page)
        self.assertIn("First error: ", page)
        self.assertIn("guilty", page)

    def test_a_run_that_can_not_be_read_is_unknown(self):
        with open(os.path.join(self.path, "harness.txt"), "w", encoding="utf-8") as file:
            file.write("it <broke>")
        self.assertEqual(report.write_run(self.path)["valid"], "unknown")
        self.assertIn("it &lt;broke&gt;", self._read("index.html"))

    def test_a_history_without_operations_is_unknown(self):
        synthetic = Synthetic(1)
        synthetic.records = synthetic.records[:0]
        synthetic.save(self.path)
        self.assertEqual(report.write_run(self.path)["valid"], "unknown")
        self.assertIn("UNKNOWN", self._read("index.html"))

    def test_matrix_and_mutants(self):
        Synthetic(1, operations=300).save(self.path)
        row = report.write_run(self.path)["summary"]
        rows = [{**row, "valid": valid, "faults": faults, "href": "a/index.html"}
                for valid, faults in ((True, []), (False, ["kill"]), ("unknown", ["kill"]))]
        with open(os.path.join(self.path, "m.json"), "w", encoding="utf-8") as file:
            json.dump({"runs": rows, "command": "x"}, file)
        report.write_matrix(os.path.join(self.path, "m.json"), os.path.join(self.path, "m.html"))
        self.assertIn("1 of 3 runs valid", self._read("m.html"))
        mutant = {"name": "M1", "what": "a", "how": "build", "instrument": "jepsen",
                  "must": ["fate"], "budget_s": 60, "killed": True, "by": ["fate"], "seconds": 1}
        data = {"mutants": [mutant, {**mutant, "by": ["bank"]}, {**mutant, "killed": False}],
                "null": {"runs": 20, "green": 20}}
        with open(os.path.join(self.path, "u.json"), "w", encoding="utf-8") as file:
            json.dump(data, file)
        report.write_mutants(os.path.join(self.path, "u.json"), os.path.join(self.path, "u.html"))
        self.assertIn("1 of 3 killed", self._read("u.html"))

    def test_checking_is_fast_enough(self):
        """100,000 operations take about 10 s at most; this is a fifth of it, with room to spare."""
        Synthetic(2, operations=15000, threads=16, accounts=20, registers=60).save(self.path)
        begin = os.times()
        run = load(self.path)
        results = report.check_all(run)
        end = os.times()
        self.assertGreater(len(run.ops), 20000)
        self.assertIs(results["valid"], True)
        self.assertLess(end.user + end.system - begin.user - begin.system, 4)


if __name__ == "__main__":
    unittest.main()
