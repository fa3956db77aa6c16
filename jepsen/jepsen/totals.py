"""What many runs prove together: the figures over a matrix, and what has to be reached.

A row is report.summary's, with what matrix.py adds.
"""

from .checkers.availability import LIMITS, P95_TIMES_MIN, percentile
from .checkers.finding import worst

NEVER = "never"  # as JSON has an infinite time

# A full matrix has to reach these.
WANTED = {"acknowledged": 100_000, "effective_windows": 60, "leader_changes": 20,
          "state_transfers": 5, "power_cuts": 10}
NAMES = {"acknowledged": "payments acknowledged", "effective_windows": "proved fault windows",
         "leader_changes": "leader changes", "state_transfers": "state transfers",
         "power_cuts": "power cuts", "operations": "operations"}


class Totals:
    def __init__(self, rows):
        self.rows = rows
        self.sums = {name: sum(row.get(name) or 0 for row in rows) for name in NAMES}
        self.times = sorted(float("inf") if t == NEVER else t
                            for row in rows for t in row.get("leader_times_s") or ())
        self.p95_s = percentile(self.times, 95)
        self.max_s = self.times[-1] if self.times else None
        caught_up = [float("inf") if t == NEVER else t
                     for row in rows for t in row.get("caught_up_s") or ()]
        self.caught_up = len(caught_up)
        self.caught_up_s = max(caught_up, default=None)
        words = [row["valid"] for row in rows]
        self.valid, self.invalid, self.unknown = (
            words.count(word) for word in (True, False, "unknown"))

    def shortfalls(self, full):
        """Sentences: what the runs together do not reach. `full`: of a full matrix more is
        wanted than that no limit is broken."""
        found = []
        for name, wanted in WANTED.items() if full else ():
            if self.sums[name] < wanted:
                found.append(f"{NAMES[name]}: wanted >= {wanted:,}, got {self.sums[name]:,}")
        if full and len(self.times) < P95_TIMES_MIN:
            found.append(f"recoveries from the loss of a leader: wanted >= {P95_TIMES_MIN}, got "
                         f"{len(self.times)}")
        if full and not self.caught_up:
            found.append("no partition of 20 s was healed")
        limits = [("95th percentile", self.p95_s, LIMITS["recover_p95_s"],
                   len(self.times) >= P95_TIMES_MIN),
                  ("longest", self.max_s, LIMITS["recover_max_s"], bool(self.times))]
        for what, got, limit, judged in limits:
            if judged and got > limit:
                found.append(f"{what} recovery from the loss of a leader: allowed are {limit} s, "
                             f"seen {got:.2f} s")
        return found

    def verdict(self, full):
        """True, "unknown" or False, as of one run."""
        words = [row["valid"] for row in self.rows]
        if self.shortfalls(full):
            words.append(False)
        return worst(words) if self.rows else "unknown"

    def sentence(self):
        """The figures on one line."""
        parts = [f"{self.sums[name]:,} {NAMES[name]}" for name in NAMES]
        if self.times:
            parts.append(f"payments went on after the loss of a leader within {self.p95_s:.2f} s "
                         f"(p95), {self.max_s:.2f} s (max) of {len(self.times)}")
        if self.caught_up:
            parts.append(f"all nodes caught up within {self.caught_up_s:.2f} s after "
                         f"{self.caught_up} partitions of 20 s")
        parts.append(f"{self.valid} valid, {self.invalid} invalid, {self.unknown} unknown")
        return "; ".join(parts)
