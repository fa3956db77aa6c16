"""Times of recovery: from when they count, which are judged, which are a leader's loss."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from jepsen.checkers import availability, vacuity  # noqa: E402
from jepsen.operations import Run  # noqa: E402

S = 10**9
NODES = ["n1", "n2", "n3"]


class Story:
    """Records by the second; payments are sent and acknowledged every 0.1 s but in gaps."""

    def __init__(self, seconds=40, gaps=()):
        self.records = []
        self.windows = 0
        self.cluster(0, "phase", "main")
        self.cluster(seconds, "phase", "heal")
        self.cluster(seconds + 5, "phase", "final")
        for k in range(seconds * 10):
            at = k / 10
            gap = next((end for begin, end in gaps if begin <= at < end), None)
            self.payment(k, at, (at if gap is None else gap) + 0.01)
        for k in range(seconds * 5):
            for node in NODES:
                self.status(k / 5, node, k)

    def add(self, at, process, **fields):
        self.records.append({"time": round(at * S), "process": process, **fields})

    def cluster(self, at, f, value):
        self.add(at, "cluster", type="info", f=f, value=value)

    def status(self, at, node, seq):
        self.cluster(at, "status", {"node": node, "ok": True, "leader": "n1", "term": 1, "nodes": [
            {"id": node, "seq": seq, "digest": f"d{seq}"}], "counters": {}})

    def payment(self, number, begin, end):
        value = {"id": f"p{number}", "debit": "a", "credit": "b", "amount": "1"}
        common = {"f": "transfer", "value": value, "node": "n1", "phase": "main"}
        self.add(begin, number, type="invoke", **common)
        self.add(end, number, type="ok", **common, result={
            "status": "posted", "seq": number // 2, "replayed": False})

    def fault(self, fault, begin, end, takes=0.0, **fields):
        self.windows += 1
        value = {"window": self.windows, "fault": fault, "plan": "leader", "targets": ["n1"],
                 "majority": True, "leader_targeted": True, "leader_before": "n1",
                 "term_before": 1, "term_after": 2, "effective": True, **fields}
        for f, at, stage in (("start", begin, "before"), ("start", begin + takes, "after"),
                             ("stop", end, "before"), ("stop", end, "after")):
            self.add(at, "nemesis", type="info", f=f"{f}-{fault}", value={**value, "stage": stage})

    def run(self):
        self.records.sort(key=lambda record: record["time"])
        records = [{"index": k, **record} for k, record in enumerate(self.records)]
        return Run(records, {"nodes": NODES, "workload": "transfer"})

    def judged(self):
        return availability.check(self.run())

    def guard(self, words):
        """The row of the guard with these words in its name, or None."""
        return next((row for row in vacuity.check(self.run())["guards"] if words in row["guard"]),
                    None)


class Recoveries(unittest.TestCase):
    def test_a_kill_counts_from_the_end_of_the_process(self):
        story = Story(gaps=[(10.5, 12)])
        story.fault("kill", 10, 15, takes=1)
        story.cluster(10.5, "node-exit", {"node": "n1", "pid": 1, "status": None, "signal": 9,
                                          "cause": "kill"})
        result = story.judged()
        self.assertIs(result["valid"], True)
        self.assertEqual(result["leader_times_s"], [1.51])

    def test_a_cut_counts_from_its_order_although_proving_it_takes_time(self):
        story = Story(gaps=[(10, 12)])
        story.fault("partition", 10, 15, takes=0.25, cut={"n1": ["n2", "n3"],
                                                          "n2": ["n1"], "n3": ["n1"]})
        self.assertEqual(story.judged()["leader_times_s"], [2.01])

    def test_faults_of_others_are_no_loss_of_a_leader(self):
        story = Story()
        story.fault("clock", 10, 15)
        story.fault("kill", 20, 25, leader_targeted=False, targets=["n2"])
        result = story.judged()
        self.assertEqual(result["leader_times_s"], [])
        self.assertEqual(result["recoveries"], 4)

    def test_a_leader_whose_disk_failed_is_lost_too(self):
        story = Story(gaps=[(10, 11)])
        story.fault("io-error", 10, 15)
        self.assertEqual(story.judged()["leader_times_s"], [1.01])

    def test_more_than_five_seconds_are_an_error_of_time_alone(self):
        story = Story(gaps=[(10, 16)])
        story.fault("kill", 10, 20)
        result = story.judged()
        self.assertIs(result["valid"], False)
        self.assertEqual(result["slow_count"], result["error_count"])

    def test_nothing_up_to_the_next_fault_is_a_doubt(self):
        story = Story(gaps=[(15, 22)])
        story.fault("kill", 10, 15)
        story.fault("pause", 19, 25)
        result = story.judged()
        self.assertEqual(result["valid"], "unknown")
        self.assertIn("up to the next change", result["doubts"][0])

    def test_many_slow_recoveries_break_the_percentile(self):
        gaps = [(10 * k, 10 * k + 4) for k in range(1, 25)]
        story = Story(seconds=260, gaps=gaps)
        for begin, _ in gaps:
            story.fault("kill", begin, begin + 5)
        result = story.judged()
        self.assertIs(result["valid"], False)
        self.assertIn("percentile", result["errors"][0]["text"])

    def test_an_answer_without_a_majority_is_no_error_of_time(self):
        story = Story()
        story.fault("kill", 10, 15, majority=False)
        result = story.judged()
        self.assertIs(result["valid"], False)
        self.assertEqual(result["slow_count"], 0)


class CatchingUp(unittest.TestCase):
    def story(self, late_s, begin=5, end=25):
        story = Story()
        story.fault("partition", begin, end, cut={"n3": ["n1", "n2"]}, targets=["n3"],
                    leader_targeted=False)
        for record in list(story.records):
            at, value = record["time"] / S, record.get("value")
            if record["f"] == "status" and value["node"] == "n3" and begin < at < end + late_s:
                story.records.remove(record)
                story.status(at, "n3", begin * 5)
        return story

    def test_twenty_seconds_away_and_back_soon(self):
        result = self.story(2).judged()
        self.assertIs(result["valid"], True)
        self.assertEqual(result["caught_up_s"], [2.0])

    def test_back_too_late(self):
        result = self.story(6).judged()
        self.assertIs(result["valid"], False)
        self.assertIn("not all nodes had caught up", result["errors"][0]["text"])

    def test_never_back_before_the_next_fault(self):
        story = self.story(14)
        story.fault("kill", 32, 37, leader_targeted=False, targets=["n2"])
        self.assertIs(story.judged()["valid"], False)


class Vacuity(unittest.TestCase):
    def test_a_leader_that_only_serves_is_no_lazy_node(self):
        for served, reached in ((0, False), (9, True)):
            story = Story()
            for record in story.records:
                if record["f"] == "status":
                    leads = record["value"]["node"] == "n1"
                    record["value"]["counters"] = {"forwards": 0 if leads else 5,
                                                   "forwards_served": served if leads else 0}
            self.assertIs(story.guard("laziest node")["reached"], reached)

    def test_a_companion_needs_no_payments_of_its_own(self):
        story = Story(gaps=[(10, 13)])
        story.fault("kill", 10, 15)
        story.fault("packet", 10.5, 13, leader_targeted=False)
        self.assertTrue(story.guard("poorest window")["reached"])
        story.fault("packet", 20, 25, leader_targeted=False)
        story.records = [r for r in story.records if not (
            r["f"] == "transfer" and 19 * S < r["time"] < 26 * S)]
        self.assertFalse(story.guard("poorest window")["reached"])


if __name__ == "__main__":
    unittest.main()
