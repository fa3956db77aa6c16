"""The namespaces around everything that runs: nothing of a run is visible outside, and when the
command ends, in whatever way, the kernel takes its processes, mounts and devices away.

The outer process makes a scratch directory, starts the same command again inside, and afterwards
looks for anything left behind.
"""

import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import paths

SCRATCH_ENV = "JEPSEN_SCRATCH"
LEFTOVER_WAIT_S = 5
INTERRUPTED_WAIT_S = 10  # for an orderly end
PREFIX = "payledger-jepsen-"


def inside():
    """Whether this process is already in the namespaces."""
    return SCRATCH_ENV in os.environ


def scratch():
    """The directory of the running command, removed at its end."""
    return os.environ[SCRATCH_ENV]


def enter(arguments):
    """Runs this command again inside; returns its exit status."""
    if os.geteuid() != 0:
        print("jepsen: needs root, for namespaces of its own", file=sys.stderr)
        return 255
    child, told = None, []

    def end(number, _):
        """Ctrl-C reaches the inner process too, which then ends in order; a bit later, and with
        any other signal at once, the namespaces' first process is killed, and all with it."""
        told.append(number)
        if child is not None and number == signal.SIGINT:
            signal.alarm(INTERRUPTED_WAIT_S)
        elif child is not None:
            child.kill()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, end)
    directory = tempfile.mkdtemp(prefix=PREFIX, dir="/tmp")
    _remove_stale(directory)
    links = set(os.listdir("/sys/class/net"))
    if not told:
        child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork",
             "--kill-child", "--mount-proc", "--propagation", "private",
             "/usr/bin/python3", paths.RUN, *arguments],
            env={**os.environ, SCRATCH_ENV: directory, "PYTHONDONTWRITEBYTECODE": "1"})
        if told:
            child.kill()
    status = child.wait() if child is not None else 255
    signal.alarm(0)
    left = leftovers(directory, links)
    shutil.rmtree(directory, ignore_errors=True)
    for line in left:
        print(f"jepsen: left behind: {line}", file=sys.stderr)
    return 255 if left or told else status if status >= 0 else 255


def _remove_stale(own):
    """Directories of commands that were killed and could not remove them."""
    for directory in glob.glob(f"/tmp/{PREFIX}*"):
        # Young ones may be about to be used.
        if directory != own and time.time() - os.path.getmtime(directory) > 60 \
                and not list(_leftovers(directory, set(os.listdir("/sys/class/net")))):
            shutil.rmtree(directory, ignore_errors=True)


def prepare():
    """Inside: what the fresh namespaces lack."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(255))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def leftovers(directory, links):
    """What still exists of a run that used this directory: a list of sentences."""
    deadline = time.monotonic() + LEFTOVER_WAIT_S
    while True:
        left = list(_leftovers(directory, links))
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def _leftovers(directory, links):
    for path in glob.glob("/sys/block/loop*/loop/backing_file"):
        text = _read(path)
        if directory in text:
            yield f"loop device {path.split('/')[3]} of {text.strip()}"
    for line in _read("/proc/self/mounts").splitlines():
        if directory in line:
            yield f"mount {line}"
    for name in set(os.listdir("/sys/class/net")) - links:
        yield f"network device {name}"
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid() \
                and f"{SCRATCH_ENV}={directory}" in _read(f"/proc/{entry}/environ"):
            yield f"process {entry}: {_read(f'/proc/{entry}/cmdline')}".replace("\0", " ")


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
