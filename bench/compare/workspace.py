"""A directory for a run, and the processes in it. Both are gone when the run ends; where it is
killed, keeper.py sees to that."""

import contextlib
import glob
import os
import shlex
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

PREFIX = "payledger-bench-"
STOP_WAIT_S = 10
STALE_S = 60


class Failed(Exception):
    """A step that could not be done: the message is for the one who started the run."""

    def __init__(self, message, status=None):
        super().__init__(message)
        self.status = status  # of a program that ended with one


class Wrong(Exception):
    """A book that is not right: nothing is measured any more."""


class Unsupported(Failed):
    """A round that this build can not make: it is left out, and the report says so."""


def interrupt_as_exit():
    """SIGTERM and SIGHUP unwind as Ctrl-C does, and Ctrl-C works in the background too. One is
    enough: what comes while the run unwinds is not heard."""
    def end(number, _frame):
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(which, lambda _number, _frame: None)
        raise KeyboardInterrupt(f"signal {number}")
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, end)


def processes():
    """{pid: (parent, state, cpu ticks with those of ended children, time of start)} of all."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            found[int(entry)] = (int(fields[1]), fields[0], sum(map(int, fields[11:15])),
                                 int(fields[19]))
    return found


def tree(roots, table=None):
    """The processes and all their descendants, parents first."""
    table = processes() if table is None else table
    reached = [pid for pid in roots if pid in table]
    for pid in reached:
        reached += [child for child, row in table.items() if row[0] == pid]
    return reached


def cpu_seconds(roots):
    """CPU time so far of processes, their descendants and those that ended among them."""
    table = processes()
    ticks = sum(table[pid][2] for pid in tree(roots, table))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_bytes(roots):
    """Memory that is not a file's, of processes and their descendants."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                for line in file:
                    if line.startswith("Pss_Anon:") or line.startswith("Pss_Shmem:"):
                        total += int(line.split()[1]) * 1024
    return total


def pause(roots):
    for pid in tree(roots):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)


def resume(roots):
    for pid in reversed(tree(roots)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def unprivileged_user():
    """The user for programs that refuse to run as root; None where this is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Failed("there is no user postgres or nobody to run PostgreSQL as")


# What a step may fail with that the next one need not: a cluster's waiting too.
STEP_FAILURES = (Failed, AssertionError, OSError, subprocess.TimeoutExpired)


class Workspace:
    def __init__(self, base):
        _remove_stale(base)
        self.dir = tempfile.mkdtemp(prefix=PREFIX, dir=base)
        os.chmod(self.dir, 0o711)
        with open(os.path.join(self.dir, "pid"), "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        self.running = []

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def folder(self, name, user=None):
        made = self.path(name)
        os.makedirs(made, mode=0o700, exist_ok=True)
        if user is not None:
            os.chown(made, user.pw_uid, user.pw_gid)
        return made

    def spawn(self, name, *command, user=None, cwd=None, env=None):
        """Starts a process that runs on; what it says goes to NAME.log."""
        with open(self.path(name + ".log"), "ab") as log:
            process = subprocess.Popen(
                [*_guarded(user), *command], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, cwd=cwd or self.dir, start_new_session=True,
                env={**os.environ, **(env or {})})
        self.running.append(process)
        return process

    def call(self, *command, user=None, timeout_s=600, env=None, stdin=None, check=True,
             wrong=None):
        """Runs a program to its end; returns what it printed. wrong: the exit status by which it
        says that a book is not right."""
        process = subprocess.Popen([*_guarded(user), *command], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.dir,
                                   text=True, start_new_session=True,
                                   env={**os.environ, **(env or {})})
        try:
            out, errors = process.communicate(stdin, timeout=timeout_s)
        except BaseException:
            _kill(process)
            raise
        if check and process.returncode != 0:
            text = (f"{os.path.basename(command[0])}: status {process.returncode}: "
                    f"{errors.strip()[-600:]} {out.strip()[-200:]}")
            if process.returncode == wrong:
                raise Wrong(f"after {shlex.join(command)}: {text}")
            raise Failed(text, process.returncode)
        return out

    def log_tail(self, name):
        with contextlib.suppress(OSError):
            with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-8:])
        return ""

    def stop(self, process, which=signal.SIGTERM):
        """Asks a process to end; kills it and its descendants when they do not."""
        table = processes()
        family = {pid: table[pid][3] for pid in tree([process.pid], table)}
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(which)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WAIT_S)
        _kill(process)
        _kill_rest(family)
        if process in self.running:
            self.running.remove(process)

    def close(self):
        for process in list(self.running):
            self.stop(process, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)


def _guarded(user):
    guard = ["setpriv"]
    if user is not None:
        guard += ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
    return [*guard, "--pdeathsig", "KILL"]


def _kill(process):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _kill_rest(family):
    """Kills what is left of {pid: time of its start}, and waits until it is gone."""
    deadline = time.monotonic() + STOP_WAIT_S
    while time.monotonic() < deadline:
        table = processes()
        left = [pid for pid, started in family.items()
                if pid in table and table[pid][3] == started and table[pid][1] != "Z"]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _owners(base):
    """[(directory of a run, the run's process)] of all that are there."""
    for folder in glob.glob(os.path.join(base, PREFIX + "*")):
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(folder, "pid"), encoding="ascii") as file:
                yield folder, int(file.read())


def remove_of(base, pid):
    """Removes what a run that has ended left there."""
    for folder, owner in _owners(base):
        if owner == pid:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(base):
    for folder, owner in _owners(base):
        with contextlib.suppress(OSError):
            if not os.path.exists(f"/proc/{owner}") and \
                    time.time() - os.path.getmtime(folder) > STALE_S:
                shutil.rmtree(folder, ignore_errors=True)
