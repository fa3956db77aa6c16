"""What a checker has to say."""

WORST = {True: 0, "unknown": 1, False: 2}
ERRORS_KEPT = 10


class Findings:
    """Collects the errors of one checker; the first is explained, the others are counted."""

    def __init__(self):
        self.count = 0
        self.slow = 0  # how many of them only say that something took too long
        self.errors = []
        self.doubts = []

    def error(self, text, ops=(), seqs=(), expected=None, seen=None, slow=False):
        """ops: the operations concerned, the guilty one last. slow: nothing is wrong but the
        time it took, which a busy machine may have caused."""
        self.count += 1
        self.slow += slow
        if len(self.errors) < ERRORS_KEPT:
            self.errors.append({
                "text": text,
                "ops": [op.index for op in ops],
                "operations": [str(op) for op in ops],
                "time": ops[-1].begin if ops else None,
                "seqs": list(seqs),
                "expected": expected,
                "seen": seen,
            })

    def doubt(self, text):
        """A reason why the checker cannot say: the result is unknown unless there is an error."""
        if len(self.doubts) < ERRORS_KEPT:
            self.doubts.append(text)

    def result(self, **figures):
        valid = False if self.count else "unknown" if self.doubts else True
        return {"valid": valid, "error_count": self.count, "slow_count": self.slow,
                "errors": self.errors,
                "doubts": self.doubts, **figures}


def worst(values):
    return max(values, key=WORST.__getitem__, default=True)
