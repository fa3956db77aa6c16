"""The parts of bench/run that are functions of their input: figures, plan, parsing, report."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest
from xml.etree import ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from compare import charts, etcd, figures, machine, payledger, plan, postgres  # noqa: E402
from compare import publish, report, rounds, scenarios, speed, workspace  # noqa: E402
from compare.workload import Workload, result  # noqa: E402


def a_round(system, sweep, load, rate, number=0, filled=0, p99=2000):
    return {"system": system, "sweeps": [sweep], "load": load.key(), "round": number,
            "filled": filled, "stored": filled or 1, "busy_share": 0.0, "flush_us": {"p50": 900},
            "result": result(rate, {"p50": 1000, "p99": p99}, right=True, cores=1.5,
                             load_cores=0.2)}


def a_report(rounds):
    return {"kind": "compare", "command": "bench/run --quick", "started": "2026-01-01T00:00:00Z",
            "machine": {"cpu": "x", "cores": 2, "memory_mib": 1, "system": "Debian", "kernel": "6",
                        "disk": "ext4", "busy_share": 0.0, "versions": {"etcd": None}},
            "rounds": rounds, "left_out": []}


class Figures(unittest.TestCase):
    def test_a_percentile_is_a_value_that_so_many_do_not_exceed(self):
        values = list(range(1, 101))
        self.assertEqual(figures.percentile(values, 0.5), 50)
        self.assertEqual(figures.percentile(values, 0.99), 99)
        self.assertEqual(figures.percentile(values, 0.999), 100)
        self.assertEqual(figures.percentile([7], 0.01), 7)
        self.assertEqual(figures.percentile([], 0.5), 0)

    def test_median_and_spread_leave_out_what_is_missing(self):
        self.assertEqual(figures.median([3, None, 1, 2]), 2)
        self.assertIsNone(figures.median([None]))
        self.assertEqual(figures.spread([8, 10, 12]), 0.4)

    def test_a_ratio_to_nothing_is_none(self):
        self.assertIsNone(figures.ratio(1, 0))
        self.assertIsNone(figures.ratio(None, 1))
        self.assertEqual(figures.ratio(6, 3), 2)

    def test_texts_have_as_many_digits_as_are_worth_reading(self):
        self.assertEqual(figures.ms_text(1234), "1.23")
        self.assertEqual(figures.ms_text(45678), "45.7")
        self.assertEqual(figures.ms_text(1234567), "1,235")
        self.assertEqual(figures.count_text(1234567.8), "1,234,568")


class Plan(unittest.TestCase):
    def test_accounts_and_payments_only_grow_from_group_to_group(self):
        for size in plan.SIZES.values():
            settings = size()
            points = [point for group in plan.groups(settings) for point in group]
            self.assertEqual(points, plan.points(settings))
            fresh = next(number for number, point in enumerate(points) if point.fresh)
            for since_start in (points[:fresh], points[fresh:]):
                fills = [point.fill for point in since_start]
                self.assertEqual(fills, sorted(fills))
                accounts = [max(load.accounts for load in point.loads.values())
                            for point in since_start]
                self.assertEqual(accounts, sorted(accounts))

    def test_no_point_is_measured_together_with_one_that_stores_first(self):
        for group in plan.groups(plan.full()):
            self.assertFalse(any(point.fill or point.fresh for point in group[1:]))

    def test_the_medium_size_measures_all_that_the_full_one_does(self):
        def kinds(settings):
            return {(point.sweeps, system, load.clients, load.accounts, load.distribution)
                    for point in plan.points(settings) for system, load in point.loads.items()}
        self.assertEqual(kinds(plan.medium()), kinds(plan.full()))
        self.assertLess(plan.medium().estimate_s(), 23 * 60)

    def test_nothing_fits_beyond_the_end(self):
        deadline = rounds.Deadline(1)
        self.assertTrue(deadline.fits(50))
        self.assertFalse(deadline.fits(70))
        self.assertTrue(rounds.Deadline().fits(1e9))
        self.assertTrue(50 < deadline.left_s(3600) <= 60)
        self.assertEqual(rounds.Deadline(-1).left_s(10), 0)

    def test_every_system_comes_first_in_some_round(self):
        names = ("a", "b", "c")
        self.assertEqual([plan.order(names, n)[0] for n in range(3)], ["a", "b", "c"])
        self.assertEqual(sorted(plan.order(names, 2)), ["a", "b", "c"])

    def test_all_systems_get_the_same_accounts_and_contention(self):
        for point in plan.points(plan.full()):
            kinds = {(load.accounts, load.distribution, load.payments, load.seconds)
                     for load in point.loads.values()}
            self.assertEqual(len(kinds), 1)


class Parsing(unittest.TestCase):
    def test_transactions_outside_of_the_window_do_not_count(self):
        lines = ["0 1 500 0 100 999999", "0 2 700 0 102 0", "1 1 900 0 104 500000",
                 "1 2 failed 0 102 1", "short"]
        ended = postgres.read_log(lines)
        self.assertEqual(ended, [(100999999, 500), (102000000, 700), (104500000, 900)])
        self.assertEqual(postgres.measured(ended, 1, 2), [700])
        self.assertEqual(postgres.measured(ended, 0, 1), [500])
        self.assertIsNone(postgres.measured(ended, 2, 2))
        self.assertIsNone(postgres.measured([], 1, 2))

    def test_a_book_is_right_only_if_both_sides_and_the_payments_agree(self):
        self.assertTrue(postgres.right("||0", "500|500|500", 5))
        self.assertFalse(postgres.right("||0", "500|400|500", 5))
        self.assertFalse(postgres.right("||0", "500|500|500", 6))

    def test_scripts_name_the_accounts_of_each_distribution(self):
        self.assertIn("random_zipfian", postgres.script(Workload(distribution="zipf")))
        self.assertIn(":pays", postgres.script(Workload(distribution="hot")))
        self.assertIn("pay_many", postgres.script(Workload(payments=1000)))
        self.assertIn("ordered_id", postgres.script(Workload()))
        self.assertIn("gen_random_uuid", postgres.script(Workload(ids="random")))

    def test_the_bench_report_is_read(self):
        text = json.dumps({
            "payments_per_s": 10.5, "latency_us": {"p50": 1, "p99": 2},
            "measured": {"posted": 20, "refused": 0, "overloaded": 0, "unknown": 0},
            "generator": {"cpu_cores": 0.3, "busy": False},
            "nodes": [{"known": True, "leader": True, "cpu_cores": 0.5, "memory_bytes": 9,
                       "payments_per_entry": 4.0, "log_bytes_per_payment": 88.5},
                      {"known": False}],
            "checks": {"passed": False}, "series": [], "settings": {"duration_s": 10},
            "started_at": "2026-11-23T10:00:00.5Z"})
        read = payledger.read_report(text)
        self.assertEqual((read["payments_per_s"], read["right"], read["cores"],
                          read["log_bytes_per_payment"]), (10.5, False, 0.5, 88.5))
        self.assertEqual(figures.time_s(read["started_at"]), 1795428000.5)

    def test_a_wrong_book_of_etcd_ends_everything(self):
        space = workspace.Workspace("/tmp")
        self.addCleanup(space.close)
        for status, kind in ((1, workspace.Failed), (3, workspace.Wrong)):
            system = etcd.Etcd.__new__(etcd.Etcd)
            system.load, system.accounts = "load", 10_000
            system.leader, system.roots = (lambda: 1), (lambda: [])
            system.space = types.SimpleNamespace(
                call=lambda *_, timeout_s, wrong, status=status: space.call(
                    "sh", "-c", f"exit {status}", timeout_s=timeout_s, wrong=wrong))
            with self.assertRaises(kind) as raised:
                system.run(Workload())
            self.assertIs(type(raised.exception), kind)


class Reports(unittest.TestCase):
    def rounds(self):
        load = Workload(clients=64)
        rows = [a_round("payledger", "clients", load, rate, number)
                for number, rate in enumerate((100, 300, 200))]
        rows += [a_round("postgres", "clients", load, 20), a_round("etcd", "clients", load, 10)]
        rows += [a_round(system, sweep, load, 50) for system in plan.SYSTEMS
                 for sweep in ("contention", "accounts", "stored")]
        rows.append(a_round("payledger", "batch", Workload(payments=1000), 400))
        return rows

    def test_rounds_of_one_load_become_their_median(self):
        row = report.Summary(a_report(self.rounds())).best("clients", "payledger")
        self.assertEqual((row["rate"], row["rounds"], row["spread"]), (200, 3, 1.0))

    def test_ratios_stand_beside_what_the_others_do_best(self):
        text = report.text(a_report(self.rounds()))
        line = next(line for line in text.splitlines() if line.startswith("| PostgreSQL, one"))
        self.assertEqual([cell.strip() for cell in line.split("|")[2:6]],
                         ["64", "20", "10.0", "20.0"])

    def test_targets_are_read_from_a_whole_comparison(self):
        rows = self.rounds()
        self.assertIsNone(speed.compared(report.Summary(a_report(rows))))
        rows.append(a_round("payledger", "clients", Workload(clients=64, in_flight=16), 900))
        rows.append(a_round("postgres", "batch", Workload(payments=1000), 60))
        found = speed.compared(report.Summary(a_report(rows)))
        self.assertEqual({name: speed.rate(result) for name, result in found.items()},
                         {"payledger": 900, "payledger-1000": 400, "postgres": 20, "etcd": 10,
                          "postgres-1000": 60})

    def test_figures_of_another_version_do_not_stand_beside_these(self):
        about = {name: 1 for name in machine.IDENTITY}
        self.assertTrue(machine.same(about, {**about, "load_average": 7}))
        self.assertFalse(machine.same(about, {**about, "commit": 2}))

    def test_other_load_is_said(self):
        rounds = self.rounds()
        self.assertNotIn("under other load", report.text(a_report(rounds)))
        for row in rounds:
            row["busy_share"] = 0.5
        self.assertIn("under other load", report.text(a_report(rounds)))

    def test_every_drawing_is_well_formed_and_names_its_command(self):
        drawings = report.drawings(a_report(self.rounds()))
        self.assertEqual(sorted(drawings), ["accounts.svg", "contention.svg", "latency.svg",
                                            "stored.svg"])
        for text in drawings.values():
            ElementTree.fromstring(text)
            self.assertIn("bench/run --quick", text)

    def test_axes_of_powers_of_ten_hold_all_values(self):
        axis = charts.Axis([3, 250], 0, 100, True)
        self.assertEqual(axis.ticks(), [1, 10, 100, 1000])
        self.assertTrue(0 < axis.place(3) < axis.place(250) < 100)

    def test_only_what_is_between_the_marks_is_replaced(self):
        begin, end = publish.mark("x", "begins"), publish.mark("x", "ends")
        page = f"before\n{begin}\nold\n{end}\nafter\n"
        self.assertEqual(publish.replace(page, "x", "new\n"),
                         f"before\n{begin}\n\nnew\n\n{end}\nafter\n")
        with self.assertRaises(workspace.Failed):
            publish.replace("nothing", "x", "new")

    def test_a_target_that_was_not_measured_says_so(self):
        content = {**a_report([]), "kind": "targets", "targets": {
            "hot": {"text": "90 %", "reached": True, "busy_share": 0.0, "figures": {},
                    "started": "2026-01-01T00:00:00Z", "command": "bench/run targets",
                    "size": "quick"}}}
        rows = scenarios.text(content).splitlines()
        self.assertTrue(any("| 90 % | yes (quick run) |" in row for row in rows))
        self.assertTrue(any(row.startswith("| single") and "not measured" in row for row in rows))


class Workspaces(unittest.TestCase):
    def test_processes_and_the_directory_are_gone_after_close(self):
        space = workspace.Workspace("/tmp")
        process = space.spawn("sleeper", "sh", "-c", "sleep 60 & sleep 60")
        deadline = time.monotonic() + 20
        while len(workspace.tree([process.pid])) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        everything = workspace.tree([process.pid])
        self.assertEqual(len(everything), 3)
        workspace.pause([process.pid])
        space.close()
        self.assertFalse(os.path.exists(space.dir))
        left = [pid for pid in everything if workspace.processes().get(pid, (0, "Z"))[1] != "Z"]
        self.assertEqual(left, [])

    def test_a_program_that_fails_says_what_it_printed(self):
        space = workspace.Workspace("/tmp")
        try:
            with self.assertRaisesRegex(workspace.Failed, "because"):
                space.call("sh", "-c", "echo because >&2; exit 3")
        finally:
            space.close()


KEPT = """
import os, signal, subprocess, sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from compare import keeper, workspace

def work():
    space = workspace.Workspace(sys.argv[2])
    try:
        # As a server of PostgreSQL: its children have sessions of their own, and they are stopped.
        server = space.spawn("server", "sh", "-c", "setsid sleep 60 & setsid sleep 60 & wait")
        while len(workspace.tree([server.pid])) < 3:
            time.sleep(0.01)
        workspace.pause([server.pid])
        print(os.getpid(), *workspace.tree([server.pid]), flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        return 130
    finally:
        space.close()

sys.exit(keeper.kept(work, sys.argv[2]))
"""


class Keepers(unittest.TestCase):
    def ended(self, signals):
        """Starts a run and sends it signals: [(to the keeper?, which)]; its exit status."""
        with tempfile.TemporaryDirectory() as base:
            keeper = subprocess.Popen(["/usr/bin/python3", "-B", "-c", KEPT, os.path.dirname(HERE),
                                       base], stdout=subprocess.PIPE, text=True)
            pids = [int(word) for word in keeper.stdout.readline().split()]
            self.assertEqual(len(pids), 4)
            for to_keeper, which in signals:
                os.kill(keeper.pid if to_keeper else pids[0], which)
            status = keeper.wait(30)
            keeper.stdout.close()
            deadline = time.monotonic() + 30
            while (self.alive(pids) or os.listdir(base)) and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertEqual(self.alive(pids), [])
            self.assertEqual(os.listdir(base), [])
            return status

    def alive(self, pids):
        table = workspace.processes()
        return [pid for pid in pids if table.get(pid, (0, "Z"))[1] != "Z"]

    def test_an_interrupted_run_leaves_nothing(self):
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.assertEqual(self.ended([(True, which)]), 130)

    def test_a_second_signal_does_not_disturb_the_end(self):
        self.assertEqual(self.ended([(False, signal.SIGINT), (True, signal.SIGINT),
                                     (True, signal.SIGTERM)]), 130)

    def test_a_killed_run_leaves_nothing(self):
        self.assertEqual(self.ended([(False, signal.SIGKILL)]), 128 + signal.SIGKILL)

    def test_a_run_ends_with_its_killed_keeper(self):
        self.assertEqual(self.ended([(True, signal.SIGKILL)]), -signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
