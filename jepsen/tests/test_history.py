"""The history's form: writing, reading, EDN, and which answer is what."""

import json
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from jepsen import edn, history  # noqa: E402


class Classification(unittest.TestCase):
    def test_answers(self):
        cases = [
            ("transfer", {"code": "connect"}, "fail"),
            ("transfer", {"code": "timeout"}, "info"),
            ("transfer", {"code": "closed"}, "info"),
            ("read-account", {"code": "timeout"}, "fail"),
            ("transfer", {"code": "insufficient_funds", "recorded": True}, "ok"),
            ("transfer", {"code": "idempotency_mismatch", "recorded": False}, "ok"),
            ("transfer", {"code": "no_leader", "recorded": False, "retryable": True}, "fail"),
            ("transfer", {"code": "unknown", "recorded": None, "retryable": True}, "info"),
            ("batch", {"code": "unknown", "recorded": None}, "info"),
            ("read-payment", {"code": "not_found", "recorded": False}, "ok"),
            ("read-account", {"code": "read_timeout", "recorded": False}, "fail"),
        ]
        for f, error, expected in cases:
            with self.subTest(f=f, code=error["code"]):
                self.assertEqual(history.classify(f, error=error), expected)
        self.assertEqual(history.classify("transfer", result={}), "ok")


class Writing(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "run")

    def test_what_is_written_is_read(self):
        with history.Writer(self.path) as writer:
            writer.invoke(0, "transfer", {"id": "a \"b\"\n", "amount": "7"}, node="n1")
            writer.nemesis("start-kill", {"window": 1, "stage": "before", "targets": ["n1"]})
            writer.complete(0, result={"seq": 1, "status": "posted", "balances": []})
            writer.invoke(1, "totals", {}, node="n2")
        records = history.read(self.path)
        self.assertEqual([r["type"] for r in records], ["invoke", "info", "ok", "invoke", "info"])
        self.assertEqual(records[2]["value"], records[0]["value"])
        times = [r["time"] for r in records]
        self.assertEqual(times, sorted(times))
        with open(os.path.join(self.path, "history.edn"), encoding="utf-8") as lines:
            parsed = [edn.loads(line) for line in lines]
        self.assertEqual(len(parsed), len(records))
        self.assertEqual(parsed[0]["value"]["id"], "a \"b\"\n")
        self.assertEqual(parsed[1]["process"], "nemesis")
        self.assertIsInstance(parsed[1]["process"], edn.Keyword)

    def test_a_process_ends_with_an_info(self):
        threads = history.Threads(4)
        with history.Writer(self.path) as writer:
            writer.invoke(3, "transfer", {"id": "a"})
            with self.assertRaises(ValueError):
                writer.invoke(3, "totals", {})
            writer.complete(3, error={"code": "timeout"})
            with self.assertRaises(ValueError):
                writer.invoke(3, "totals", {})
            self.assertEqual(threads.crashed(3), 7)
            writer.invoke(threads.process(3), "totals", {})

    def test_a_torn_last_line_is_left_out(self):
        with history.Writer(self.path) as writer:
            writer.cluster("phase", "main")
        with open(os.path.join(self.path, "history.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps({"index": 1})[:7])
        self.assertEqual(len(history.read(self.path)), 1)


class Notation(unittest.TestCase):
    def test_round_trip(self):
        value = {"a": [1, -2, None, True, 1.5, "x\\y\"z\t"], "b-c": {"n 1": {"n2"}}, "empty": {}}
        self.assertEqual(edn.loads(edn.dumps(value)), value)

    def test_jepsens_own_lines(self):
        line = '{:index 3, :type :info, :process :nemesis, :value [:isolated {"n1" #{"n2" "n3"}}]}'
        self.assertEqual(edn.loads(line)["value"], ["isolated", {"n1": {"n2", "n3"}}])

    def test_bad_text_is_refused(self):
        for text in ("", "{:a}", "[1", "1 2", "]", "{:a 1]", "foo"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                edn.loads(text)


if __name__ == "__main__":
    unittest.main()
