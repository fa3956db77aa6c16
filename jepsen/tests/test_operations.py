"""What the records of faults and nodes mean."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from jepsen.operations import Run  # noqa: E402

NODES = ["n1", "n2", "n3"]


def record(index, process, f, value):
    return {"index": index, "time": index * 10**9, "type": "info", "process": process, "f": f,
            "value": value}


def window(fault, **value):
    common = {"window": 1, "fault": fault, "plan": "p", "targets": ["n1"], "majority": True,
              "leader_targeted": True, "leader_before": "n1", **value}
    return [record(k, "nemesis", f, {**common, "stage": stage}) for k, (f, stage) in enumerate((
        (f"start-{fault}", "before"), (f"start-{fault}", "after"), (f"stop-{fault}", "before"),
        (f"stop-{fault}", "after")))]


class Windows(unittest.TestCase):
    def _demotes(self, *args, **value):
        run = Run(window(*args, **value), {"nodes": NODES})
        self.assertEqual(run.windows[0].ends(run.end), (0, 3 * 10**9))
        return run.windows[0].demotes(NODES)

    def test_what_a_leader_does_not_survive(self):
        self.assertTrue(self._demotes("kill"))
        self.assertFalse(self._demotes("kill", majority=False))
        self.assertFalse(self._demotes("kill", leader_targeted=False))
        self.assertFalse(self._demotes("clock"))

    def test_a_cut_leader_falls_when_it_has_no_majority_both_ways(self):
        isolated = {"n1": ["n2", "n3"], "n2": ["n1"], "n3": ["n1"]}
        self.assertTrue(self._demotes("partition", cut=isolated))
        self.assertTrue(self._demotes("partition", cut={"n1": ["n2", "n3"]}))
        self.assertFalse(self._demotes("partition", cut={"n1": ["n2"], "n2": ["n1"]}))


class Nodes(unittest.TestCase):
    def test_a_node_that_lost_its_log_to_flipped_bits_is_not_expected(self):
        records = window("bit-flip")
        exit_ = {"node": "n1", "pid": 1, "status": 65, "signal": None, "cause": None}
        records.append(record(4, "cluster", "node-exit", exit_))
        self.assertEqual(Run(records, {"nodes": NODES}).survivors, ["n2", "n3"])
        records.append(record(5, "cluster", "node-start", {"node": "n1", "pid": 2}))
        self.assertEqual(Run(records, {"nodes": NODES}).survivors, NODES)

    def test_without_flipped_bits_every_node_is_expected(self):
        exit_ = {"node": "n1", "pid": 1, "status": 65, "signal": None, "cause": None}
        records = window("kill") + [record(4, "cluster", "node-exit", exit_)]
        self.assertEqual(Run(records, {"nodes": NODES}).survivors, NODES)


if __name__ == "__main__":
    unittest.main()
