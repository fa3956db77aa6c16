"""What jepsen/store keeps. Old runs go, so that it does not fill the disk.

Of each name the newest VALID_KEPT valid runs stay, and the newest OTHERS_KEPT of those that were
not valid or never ended. If all is larger than BYTES_MAX, the oldest valid runs go first, then
the oldest others; the newest run of each name and what is younger than YOUNG_S stay in any case: it
may be running.
"""

import os
import json
import re
import shutil
import time

from . import paths

VALID_KEPT = 10
OTHERS_KEPT = 30
BYTES_MAX = 8 << 30
YOUNG_S = 3600
STAMP = re.compile(r"\d{8}T\d{6}\.\d{3}Z\Z")


class Stored:
    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        self.stamp = os.path.basename(directory)
        self.valid = _valid(directory)
        self.age_s = time.time() - os.path.getmtime(directory)

    def bytes(self):
        return sum(os.lstat(os.path.join(folder, file)).st_blocks * 512
                   for folder, _, files in os.walk(self.directory) for file in files)


def _valid(directory):
    try:
        with open(os.path.join(directory, "results.json"), encoding="utf-8") as file:
            return json.load(file)["valid"] is True
    except (OSError, ValueError, KeyError):
        return False


def runs(base):
    """All stored runs, the newest first."""
    found = []
    for name in os.listdir(base) if os.path.isdir(base) else ():
        folder = os.path.join(base, name)
        if os.path.isdir(folder) and not os.path.islink(folder):
            found += [Stored(name, os.path.join(folder, stamp)) for stamp in os.listdir(folder)
                      if STAMP.match(stamp)]
    return sorted(found, key=lambda run: run.stamp, reverse=True)


def superfluous(found, bytes_max=None):
    """Those of the runs (newest first) that are to go."""
    counts, newest, kept, gone = {}, set(), [], []
    for run in found:
        key = (run.name, run.valid)
        counts[key] = counts.get(key, 0) + 1
        limit = VALID_KEPT if run.valid else OTHERS_KEPT
        protected = run.name not in newest or run.age_s < YOUNG_S
        newest.add(run.name)
        if counts[key] > limit and not protected:
            gone.append(run)
        else:
            kept.append((run, protected))
    size = sum(run.bytes() for run, _ in kept)
    bytes_max = BYTES_MAX if bytes_max is None else bytes_max
    for run, protected in sorted(kept, key=lambda pair: (not pair[0].valid, pair[0].stamp)):
        if size <= bytes_max:
            break
        if not protected:
            size -= run.bytes()
            gone.append(run)
    return gone


def prune(base=paths.STORE):
    """Removes what is superfluous; returns how many runs."""
    gone = superfluous(runs(base))
    for run in gone:
        shutil.rmtree(run.directory, ignore_errors=True)
    return len(gone)
