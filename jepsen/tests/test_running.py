"""The running half, as far as it needs no cluster: schedules, workloads, mutants, flips."""

import os
import random
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from jepsen import cli, faults, flips, history, matrix, mutants, nemesis, runner  # noqa: E402
from jepsen.workloads import ALL as WORKLOADS  # noqa: E402

NODES = ["n1", "n2", "n3"]


class Schedule(unittest.TestCase):
    def test_the_same_seed_gives_the_same_schedule(self):
        names = ["kill", "partition"]
        self.assertEqual(nemesis.schedule(names, 100, 7), nemesis.schedule(names, 100, 7))
        self.assertNotEqual(nemesis.schedule(names, 100, 7), nemesis.schedule(names, 100, 8))

    def test_windows_follow_a_quiet_time_and_do_not_overlap(self):
        windows = nemesis.schedule(["kill", "pause"], 60, 1)
        end = nemesis.QUIET_S
        for window in windows:
            self.assertGreaterEqual(window["at_s"], end)
            end = window["at_s"] + window["duration_s"]
        self.assertLessEqual(end, 60)
        self.assertEqual([w["window"] for w in windows], list(range(1, len(windows) + 1)))

    def test_faults_take_turns(self):
        windows = nemesis.schedule(["kill", "pause", "clock"], 120, 3)
        for at in range(0, len(windows) - 2, 3):
            self.assertEqual({w["fault"] for w in windows[at:at + 3]}, {"kill", "pause", "clock"})

    def test_all_together_has_companions_and_numbers_without_gaps(self):
        windows = nemesis.schedule(runner.known_faults(["all"]), 300, 5)
        numbers = []
        for window in windows:
            companion = window["companion"]
            numbers.append(window["window"])
            if companion:
                self.assertIn(companion["fault"], faults.COMPANIONS[window["fault"]])
                numbers.append(companion["window"])
        self.assertGreater(len(numbers), len(windows))
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def test_no_faults_no_windows(self):
        self.assertEqual(nemesis.schedule([], 100, 1), [])

    def test_every_fault_is_known_to_the_history(self):
        self.assertEqual(set(faults.ALL), set(history.FAULTS))
        self.assertEqual(set(faults.PLANS), set(history.FAULTS))


class Workloads(unittest.TestCase):
    def asks(self, name, seed, count=2000):
        load = WORKLOADS[name](random.Random(seed), NODES, 400, 45)
        setup = [ask for stage in load.setup() for ask in stage]
        asked = []
        while len(asked) < count:
            more = load.next()
            asked += more
            for ask in more:
                ask.finish(None)  # nobody answers; sessions are free again
        return load, setup, asked

    def test_the_same_seed_asks_for_the_same(self):
        for name in WORKLOADS:
            with self.subTest(name):
                first, second = (self.asks(name, 3)[2] for _ in range(2))
                self.assertEqual([(a.f, a.value, a.node) for a in first],
                                 [(a.f, a.value, a.node) for a in second])

    def test_every_payment_will_be_read_at_the_end(self):
        for name in WORKLOADS:
            with self.subTest(name):
                load, setup, asked = self.asks(name, 4)
                for ask in setup + asked:
                    self.assertIn(ask.f, history.KINDS)
                    items = ask.value.get("items", [ask.value]) \
                        if ask.f in ("transfer", "batch") else []
                    for item in items:
                        self.assertIn(item["id"].lower(), load.attempted)

    def test_a_register_has_few_operations(self):
        _, _, asked = self.asks("register", 5, 18000)
        counts = {}
        for ask in asked:
            key = next(v for v in (ask.value.get("credit"), ask.value.get("debit"),
                                   ask.value["id"]) if v and v.startswith("reg:"))
            counts[key] = counts.get(key, 0) + 1
        self.assertLessEqual(max(counts.values()), 200)


class Files(unittest.TestCase):
    def test_flips_are_undone_but_nothing_newer(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "data.mdb")
            before = bytes(range(1, 256)) * 8
            with open(path, "wb") as file:
                file.write(before)
            done = flips.flip(random.Random(1), path, 4)
            self.assertTrue(all(flip.stands() for flip in done))
            newer = done.pop()
            with open(path, "r+b") as file:
                file.seek(newer.offset)
                file.write(b"\0")
            for flip in [*done, newer]:
                flip.undo()
            with open(path, "rb") as file:
                after = file.read()
            self.assertEqual(after[newer.offset], 0)
            self.assertEqual(after[:newer.offset], before[:newer.offset])
            self.assertEqual(after[newer.offset + 1:], before[newer.offset + 1:])

    def test_a_file_that_a_node_put_in_the_place_is_left_alone(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "data.mdb")
            with open(path, "wb") as file:
                file.write(bytes(range(1, 256)))
            done = flips.flip(random.Random(1), path, 4)
            with open(path, "rb") as file:
                damaged = file.read()
            with open(path + ".new", "wb") as file:
                file.write(damaged)
            os.rename(path + ".new", path)
            for flip in done:
                self.assertFalse(flip.stands())
                flip.undo()
            with open(path, "rb") as file:
                self.assertEqual(file.read(), damaged)

    def test_flips_are_in_different_bytes(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "open-1")
            for seed in range(20):
                with open(path, "wb") as file:
                    file.write(bytes(range(1, 9)))
                done = flips.flip(random.Random(seed), path, 6)
                self.assertEqual(len(done), 6)
                self.assertTrue(all(flip.stands() for flip in done))

    def test_raft_segments_and_the_ledger_are_told_apart(self):
        with tempfile.TemporaryDirectory() as directory:
            for name in ("data.mdb", "lock.mdb", "open-1", "metadata1",
                         "0000000000000001-0000000000000155", "snapshot-1-2-3"):
                with open(os.path.join(directory, name), "wb"):
                    pass
            found = {kind: [os.path.basename(p) for p in files]
                     for kind, files in flips.kinds_of_files(directory).items()}
            self.assertEqual(found, {"ledger": ["data.mdb"],
                                     "log": ["0000000000000001-0000000000000155", "open-1"]})

    def test_mutants_are_well_formed(self):
        from jepsen.checkers import ALL as checkers
        for mutant in mutants.load():
            if mutant.instrument == "jepsen":
                self.assertLessEqual(set(mutant.must), set(checkers), mutant.name)
                self.assertIn(mutant.run["workload"], WORKLOADS)
                runner.known_faults(mutant.run.get("faults", []))


class Commands(unittest.TestCase):
    def test_budgets(self):
        self.assertEqual(cli.budget_seconds("12m"), 720)
        self.assertEqual(cli.budget_seconds("90s"), 90)
        self.assertIsNone(cli.budget_seconds("full"))
        for bad in ("12", "m", "-1m", ""):
            with self.assertRaises(ValueError):
                cli.budget_seconds(bad)

    def test_cells_of_the_matrix_exist(self):
        for workload, names, nodes, _ in matrix.CI + matrix.FULL:
            self.assertIn(workload, WORKLOADS)
            self.assertIn(nodes, (3, 5))
            runner.known_faults([n for n in names.split(",") if n != "none"])

    def test_nothing_is_run_without_binaries(self):
        with tempfile.TemporaryDirectory() as empty:
            for command, arguments in ((cli.test, ["test"]), (cli.matrix, ["matrix"]),
                                       (cli.soak, ["soak"]),
                                       (cli.mutants, ["mutants", "no_flush"]),
                                       (cli.mutants, ["mutants", "ids_forgotten", "--null", "1"])):
                options = cli._parser().parse_args([*arguments, "--build", empty])
                with self.assertRaisesRegex(ValueError, "no payledgerd"):
                    command(options)

    def test_an_unknown_fault_is_refused(self):
        with self.assertRaises(ValueError):
            runner.known_faults(["kil"])


if __name__ == "__main__":
    unittest.main()
