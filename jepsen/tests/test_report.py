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

from jepsen import edn, faults, matrix, overview, report, totals  # noqa: E402
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
            before = {"valid": "unknown", "first_error": "few payments", "href": "b.html"}
            skipped = {"workload": "set", "faults": ["power-cut"], "reason": "no <fuse>"}
            json.dump({"runs": [{**rows[0], "before": before}, *rows[1:]], "command": "x",
                       "skipped": [skipped]}, file)
        overview.write_matrix(os.path.join(self.path, "m.json"), os.path.join(self.path, "m.html"))
        page = self._read("m.html")
        self.assertIn("1 of 3 runs valid", page)
        self.assertIn("1 valid, 1 invalid, 1 unknown", page)
        self.assertIn("few payments", page)
        self.assertIn("no &lt;fuse&gt;", page)
        mutant = {"name": "M1", "what": "a", "how": "build", "instrument": "jepsen",
                  "must": ["fate"], "budget_s": 60, "killed": True, "by": ["fate"], "seconds": 1}
        data = {"mutants": [mutant, {**mutant, "by": ["bank"]}, {**mutant, "killed": False}],
                "null": {"runs": 20, "green": 20}}
        with open(os.path.join(self.path, "u.json"), "w", encoding="utf-8") as file:
            json.dump(data, file)
        overview.write_mutants(os.path.join(self.path, "u.json"), os.path.join(self.path, "u.html"))
        self.assertIn("1 of 3 killed", self._read("u.html"))

    def test_what_a_whole_matrix_has_to_reach(self):
        good = {"valid": True, "acknowledged": 60_000, "effective_windows": 40,
                "leader_changes": 20, "state_transfers": 5, "power_cuts": 10,
                "leader_times_s": [1.0] * 19 + [4.0], "caught_up_s": [1.0]}
        sums = totals.Totals([good, good])
        self.assertEqual(sums.shortfalls(True), [])
        self.assertIs(sums.verdict(True), True)
        self.assertIn("1.00 s (p95), 4.00 s (max) of 40", sums.sentence())
        for name, value, full in (
                ("acknowledged", 10, True), ("power_cuts", 0, True), ("state_transfers", 0, True),
                ("leader_times_s", [1.0] * 10 + [3.5] * 10, False),
                ("leader_times_s", ["never"], False), ("leader_times_s", [], True),
                ("caught_up_s", [], True)):
            with self.subTest(name=name, value=value):
                bad = {**good, name: value}
                self.assertEqual(len(totals.Totals([bad, bad]).shortfalls(full)) > 0, True)
        self.assertEqual(totals.Totals([good, {**good, "valid": "unknown"}]).verdict(True),
                         "unknown")

    def test_only_what_a_busy_machine_may_cause_is_tried_again(self):
        self.assertTrue(matrix.may_run_again({"valid": "unknown"}))
        self.assertTrue(matrix.may_run_again({"valid": False, "only_slow": True}))
        self.assertFalse(matrix.may_run_again({"valid": False, "only_slow": False}))
        self.assertFalse(matrix.may_run_again({"valid": True, "only_slow": False}))

    def test_ci_has_each_fault(self):
        named = {name for cell in matrix.CI for name in cell.faults.split(",")}
        self.assertEqual(named, set(faults.PLANS))

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
