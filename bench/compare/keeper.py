"""Two processes that look after each other: the keeper starts the run as its child.

Orphans of the run become the keeper's children (PR_SET_CHILD_SUBREAPER), so that it finds and ends
what a killed run left, stopped backends too. When the keeper is killed, the run gets SIGTERM and
ends in order. Only both at once leave something; the next run removes the directory then.
"""

import contextlib
import ctypes
import os
import signal
import sys

from . import workspace

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def prctl(option, value):
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def kept(work, base):
    """Runs work() in a child; returns its exit status when everything that it started is gone, and
    its directories under `base` with it."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    sys.stdout.flush()
    sys.stderr.flush()
    keeper = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if child == 0:
        os._exit(_work(work, keeper))
    for which in SIGNALS:
        # From a terminal the run has it already; a second one does it no harm.
        signal.signal(which, lambda number, _frame: _send(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _end_descendants()
    workspace.remove_of(base, child)
    return status if status >= 0 else 128 - status


def _work(work, keeper):
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    workspace.interrupt_as_exit()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    status = 1
    try:
        if os.getppid() == keeper:  # else it died before it could be watched
            status = work()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: B902: what is not caught here would run the keeper's part
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
    return status


def _send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _end_descendants():
    """Kills all that descends from this process, those that come to it meanwhile too."""
    while True:
        for pid in workspace.tree([os.getpid()])[1:]:
            _send(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
