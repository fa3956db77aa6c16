"""When which fault comes: a schedule from a seed, and the one who carries it out."""

import asyncio
import random
import traceback

from . import faults

QUIET_S = 3.0  # without faults at the beginning
WINDOW_S = 5.0
PAUSE_S = 5.0


def schedule(names, time_s, seed, window_s=WINDOW_S, pause_s=PAUSE_S):
    """[{window, at_s, duration_s, fault, plan, seed}]: the faults take turns, and of each its plans."""
    rng = random.Random(f"{seed} schedule")
    bags, windows, turn = {}, [], []
    at_s = QUIET_S
    while names and at_s + window_s <= time_s:
        if not turn:
            turn = list(names)
            rng.shuffle(turn)
        name = turn.pop()
        if not bags.get(name):
            bags[name] = list(faults.PLANS[name])
            # The first plan is the one worth most; the others come in any order.
            first, rest = bags[name][0], bags[name][1:]
            rng.shuffle(rest)
            bags[name] = [first, *rest][::-1]
        windows.append({"window": len(windows) + 1, "at_s": round(at_s, 3), "duration_s": window_s,
                        "fault": name, "plan": bags[name].pop(), "seed": rng.randrange(1 << 32)})
        at_s += window_s + pause_s
    return windows


class Nemesis:
    def __init__(self, cluster, history, windows, say=None):
        self.cluster = cluster
        self.history = history
        self.windows = windows
        self.active = None
        self.say = say or (lambda text: None)

    async def run(self):
        """Carries out the schedule; whatever happens, nothing stays in force."""
        begin = asyncio.get_running_loop().time()
        for window in self.windows:
            await asyncio.sleep(max(0, begin + window["at_s"]
                                    - asyncio.get_running_loop().time()))
            try:
                await self._one(window)
            except asyncio.CancelledError:
                raise
            except Exception:  # noqa: BLE001: a broken injector makes the run unknown, not undone
                self.history.cluster("problem", f"window {window['window']} ({window['fault']} "
                                     f"{window['plan']}):\n{traceback.format_exc()}")
                await self.heal()

    async def _one(self, window):
        fault = faults.ALL[window["fault"]](self.cluster, random.Random(window["seed"]),
                                            window["plan"])
        leader, term = self.cluster.leader()
        value = {"window": window["window"], "fault": window["fault"], "plan": window["plan"],
                 **fault.aim()}
        self.active = fault
        start, stop = f"start-{window['fault']}", f"stop-{window['fault']}"
        self.history.nemesis(start, {**value, "stage": "before"})
        done = {"leader_before": leader, "term_before": term, **await fault.start()}
        self.history.nemesis(start, {**value, "stage": "after", **done})
        await asyncio.sleep(window["duration_s"])
        self.history.nemesis(stop, {**value, "stage": "before"})
        effective = done.get("effective", True)
        done.update(await fault.stop())
        self.active = None
        leader, term = self.cluster.leader()
        done.update({"effective": effective and done.get("effective", True),
                     "leader_after": leader, "term_after": term})
        self.history.nemesis(stop, {**value, "stage": "after", **done})
        self.say(f"window {window['window']}: {window['fault']} {window['plan']} "
                 f"({', '.join(value['targets'])}): "
                 f"{'effective' if done['effective'] else 'WITHOUT EFFECT'}: {done.get('proof')}")

    async def heal(self):
        """Ends whatever is in force and gets every node running."""
        if self.active is not None:
            try:
                await self.active.stop()
            except Exception:  # noqa: BLE001: the rest must be healed all the same
                self.history.cluster("problem", f"healing:\n{traceback.format_exc()}")
            self.active = None
        self.cluster.network.heal()
        self.cluster.faults_on.clear()
        for node in self.cluster.nodes:
            if node.paused:
                self.cluster.resume(node)
            if node.clock:
                node.clock.shift(0)
            if node.held and node.ended_for_good is None:
                self.cluster.release(node)
