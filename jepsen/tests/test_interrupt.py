"""A command that is interrupted at any time leaves nothing behind: no process, mount, loop device,
network device, and no directory. JEPSEN_INTERRUPTS=N repeats it N times."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from jepsen import paths, sandbox  # noqa: E402

ROUNDS = int(os.environ.get("JEPSEN_INTERRUPTS", "1"))
MARK = "JEPSEN_TEST_MARK"
AFTER_S = (0.0, 9.0)  # from before the namespaces exist to the midst of a fault
END_S = 30


def marked(mark):
    """{pid: scratch directory or None} of the living processes that carry the mark."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/environ", encoding="utf-8", errors="replace") as file:
                variables = dict(v.split("=", 1) for v in file.read().split("\0") if "=" in v)
        except OSError:
            continue
        if variables.get(MARK) == mark:
            found[int(entry)] = variables.get(sandbox.SCRATCH_ENV)
    return found


def living(pids):
    """Names of those that are still there. One that never finishes to end has no mark any more."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            found.append(f"{pid} {file.read().strip()}")
    return found


@unittest.skipUnless(os.geteuid() == 0 and os.path.exists(os.path.join(paths.BUILD, "payledgerd")),
                     "needs root and build/release")
class Interrupted(unittest.TestCase):
    def test_by_the_terminal(self):
        self.rounds(lambda run: os.killpg(run.pid, signal.SIGINT))

    def test_by_an_interrupt_of_the_outer_process_alone(self):
        self.rounds(lambda run: run.send_signal(signal.SIGINT))

    def test_by_a_request_to_end(self):
        self.rounds(lambda run: run.terminate())

    def test_killed_it_leaves_no_more_than_its_directory(self):
        self.rounds(lambda run: run.kill(), directory_goes=False)

    def rounds(self, strike, directory_goes=True):
        for number in range(ROUNDS):
            after_s = random.uniform(*AFTER_S)
            with self.subTest(round=number, after_s=after_s):
                self.one(strike, after_s, directory_goes)

    def one(self, strike, after_s, directory_goes):
        mark = str(uuid.uuid4())
        links = set(os.listdir("/sys/class/net"))
        run = subprocess.Popen(
            [paths.RUN, "test", "-w", "set", "-n", "power-cut", "--time", "15", "--rate", "50"],
            env={**os.environ, MARK: mark}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True)
        deadline, seen = time.monotonic() + after_s, {}
        while not seen or time.monotonic() < deadline:
            seen |= marked(mark)
            time.sleep(0.02)
        seen |= marked(mark)
        directories = {path for path in seen.values() if path}
        strike(run)
        _, said = run.communicate(timeout=END_S)
        self.assertNotEqual(run.returncode, 0, said)
        self.assertNotIn("left behind", said)
        deadline = time.monotonic() + sandbox.LEFTOVER_WAIT_S
        while (marked(mark) or living(seen)) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(marked(mark), {})
        self.assertEqual(living(seen), [])
        for directory in directories:
            self.assertEqual(sandbox.leftovers(directory, links), [])
            if directory_goes:
                self.assertFalse(os.path.exists(directory))


OWNER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from jepsen import disk
disk.Disk(sys.argv[2], sys.argv[2] + ".mnt", 16, 1)
print("up", flush=True)
time.sleep(600)
"""


@unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/dev/fuse"), "needs root and FUSE")
class Killed(unittest.TestCase):
    def test_a_disk_ends_as_the_last_process_of_its_namespace(self):
        """It once waited for ever for itself: what is on it was unmounted as it ended."""
        with tempfile.TemporaryDirectory() as scratch:
            base, mark = os.path.join(scratch, "disk"), uuid.uuid4().hex
            owner = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                 "--propagation", "private", sys.executable, "-c", OWNER, paths.JEPSEN, base],
                stdout=subprocess.PIPE, text=True, env={**os.environ, MARK: mark})
            self.addCleanup(owner.stdout.close)
            self.addCleanup(owner.kill)
            self.assertEqual(owner.stdout.readline(), "up\n")
            pids = marked(mark)
            self.assertEqual(len([name for name in living(pids) if "lossydisk" in name]), 1)
            owner.kill()
            owner.wait()
            deadline = time.monotonic() + 10
            while living(pids) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual(living(pids), [])
            devices = subprocess.run(["losetup", "-a"], capture_output=True, text=True,
                                     check=True).stdout
            self.assertNotIn(base, devices)


if __name__ == "__main__":
    unittest.main()
