"""What the store keeps."""

import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from jepsen import store  # noqa: E402


class Store(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.base = folder.name

    def stored(self, name, number, valid, age_s=10 * store.YOUNG_S, size=1):
        """valid None: a run that never ended."""
        directory = os.path.join(self.base, name, f"20260101T{number:06d}.000Z")
        os.makedirs(directory)
        with open(os.path.join(directory, "history.jsonl"), "wb") as file:
            file.write(b"x" * size)
        if valid is not None:
            with open(os.path.join(directory, "results.json"), "w", encoding="utf-8") as file:
                file.write('{"valid": %s}' % ("true" if valid else "false"))
        then = time.time() - age_s
        os.utime(directory, (then, then))
        return directory

    def left(self, name):
        return sorted(int(stamp[9:15]) for stamp in os.listdir(os.path.join(self.base, name))
                      if store.STAMP.match(stamp))

    def test_the_newest_valid_runs_of_each_name_stay(self):
        for number in range(store.VALID_KEPT + 5):
            self.stored("transfer-kill", number, True)
        self.stored("set-kill", 1, True)
        self.assertEqual(store.prune(self.base), 5)
        self.assertEqual(self.left("transfer-kill"), list(range(5, store.VALID_KEPT + 5)))
        self.assertEqual(self.left("set-kill"), [1])

    def test_others_stay_longer(self):
        for number in range(store.VALID_KEPT + 5):
            self.stored("transfer-kill", number, False if number % 2 else None)
        self.assertEqual(store.prune(self.base), 0)

    def test_the_young_stay(self):
        for number in range(store.VALID_KEPT + 5):
            self.stored("transfer-kill", number, True, age_s=5)
        self.assertEqual(store.prune(self.base), 0)

    def test_above_the_bound_valid_runs_go_first_and_the_newest_stays(self):
        for number in range(6):
            self.stored("transfer-kill", number, number > 2, size=1 << 20)
        found = store.runs(self.base)
        gone = store.superfluous(found, bytes_max=(7 << 20) // 2)
        self.assertEqual([int(run.stamp[9:15]) for run in gone], [3, 4, 0])
        gone = store.superfluous(found, bytes_max=0)
        self.assertEqual(len(gone), 5)

    def test_links_and_tables_are_left_alone(self):
        self.stored("transfer-kill", 1, True)
        os.symlink("transfer-kill", os.path.join(self.base, "latest"))
        os.makedirs(os.path.join(self.base, "matrix"))
        with open(os.path.join(self.base, "matrix", "20260101T000000Z.json"), "wb"):
            pass
        self.assertEqual(store.prune(self.base), 0)
        self.assertTrue(os.path.exists(os.path.join(self.base, "matrix", "20260101T000000Z.json")))


if __name__ == "__main__":
    unittest.main()
