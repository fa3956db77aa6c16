"""The search of checkers/linearizable.py against all orders of small histories."""

import itertools
import os
import random
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from jepsen.checkers.linearizable import Step, linearize  # noqa: E402
from jepsen.operations import NEVER  # noqa: E402


def by_all_orders(steps, floor):
    """Open steps may be left out; the others appear once, in an order that real time allows."""
    needed = [s for s in steps if s.end != NEVER]
    open_steps = [s for s in steps if s.end == NEVER]
    for count in range(len(open_steps) + 1):
        for extra in itertools.combinations(open_steps, count):
            for order in itertools.permutations(needed + list(extra)):
                if _allowed(order) and _explains(order, floor):
                    return True
    return False


def _allowed(order):
    """Nothing stands before what was over when it began."""
    return not any(later.end < earlier.begin
                   for j, earlier in enumerate(order) for later in order[j + 1:])


def _explains(order, floor):
    state = 0
    for step in order:
        state = step.apply(state, floor)
        if state is None:
            return False
    return True


def random_history(chance, count, floor):
    """Concurrent steps on a real register; some answers are then falsified."""
    moments = chance.sample(range(1000), 2 * count)
    steps, spans = [], []
    for k in range(count):
        begin, end = sorted(moments[2 * k:2 * k + 2])
        spans.append((begin, min(end, begin + chance.choice([30, 200, 1000]))))
    ends = {}
    for k, (begin, end) in enumerate(spans):
        while end in ends or any(end == b for b, _ in spans):
            end += 1
        ends[end] = k
        spans[k] = (begin, end)
    placed = sorted((chance.uniform(b, e), k) for k, (b, e) in enumerate(spans))
    state, answers = 0, {}
    for _, k in placed:
        if chance.random() < 0.45:
            answers[k] = ("read", 0, state)
            continue
        step = chance.choice([1, 2, -1, -2])
        if floor is not None and step < 0 and state + step < floor:
            answers[k] = ("refused", step, None)
        else:
            state += step
            answers[k] = ("add", step, state)
    for k, (begin, end) in enumerate(spans):
        kind, step, value = answers[k]
        if kind == "add" and chance.random() < 0.2:
            value = None
            end = NEVER if chance.random() < 0.7 else end
        elif value is not None and chance.random() < 0.12:
            value += chance.choice([1, -1, 2])
        steps.append(Step(None, begin, end, kind, step, value))
    return steps


class AgainstAllOrders(unittest.TestCase):
    def test_the_search_agrees_with_all_orders(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        verdicts = {True: 0, False: 0}
        for number in range(1500):
            floor = chance.choice([None, 0, -1])
            steps = random_history(chance, chance.randint(1, 6), floor)
            expected = by_all_orders(steps, floor)
            seen, _, _ = linearize(steps, floor)
            verdicts[expected] += 1
            self.assertIs(seen, expected, f"seed {seed}, history {number}: "
                          + "; ".join(f"{s} [{s.begin}..{s.end}]" for s in steps))
        self.assertGreater(min(verdicts.values()), 200, verdicts)

    def test_it_gives_up_rather_than_guess(self):
        steps = [Step(None, k, NEVER, "add", 1 << k, None) for k in range(20)]
        steps.append(Step(None, 30, 31, "read", 0, -5))
        verdict, explored, _ = linearize(steps, limit=5000)
        self.assertEqual(verdict, "unknown")
        self.assertLessEqual(explored, 5001)

    def test_many_operations_take_little_time(self):
        chance = random.Random(1)
        steps, state, now = [], 0, 0
        for _ in range(5000):
            now += 2
            step = chance.choice([1, -1])
            state += step
            open_end = chance.random() < 0.002
            steps.append(Step(None, now, NEVER if open_end else now + chance.randint(0, 3) * 2 + 1,
                              "add", step, None if open_end else state))
        self.assertNotEqual(linearize(steps)[0], False)


if __name__ == "__main__":
    unittest.main()
