"""When which fault comes: a schedule from a seed, and the one who carries it out."""

import asyncio
import random
import traceback

from . import faults

QUIET_S = 3.0  # without faults at the beginning
WINDOW_S = 5.0
PAUSE_MIN_S = 5.0  # from the end of a fault to the next: as long as a recovery may take
PAUSE_S = PAUSE_MIN_S + 0.5  # with the time that ending it takes

COMPANION_AFTER_S = 1.0  # after its fault has begun; it ends before that one does
COMPANION_S = 2.5


def schedule(names, time_s, seed, window_s=WINDOW_S, pause_s=PAUSE_S):
    """[{window, at_s, duration_s, fault, plan, seed, companion}]: the faults take turns, and of
    each
    its plans. Where all faults are wanted, each has a companion of another kind in its midst."""
    together = set(names) >= set(faults.PLANS)
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
        number = sum(1 + bool(w["companion"]) for w in windows) + 1
        plan = bags[name].pop()
        companion = None
        # Where nothing goes on, a second fault would change nothing.
        if together and plan not in ("all", "majority"):
            other = rng.choice(faults.COMPANIONS[name])
            companion = {"window": number + 1, "fault": other,
                         "plan": "storm" if other == "packet" else "one",
                         "seed": rng.randrange(1 << 32)}
        windows.append({"window": number, "at_s": round(at_s, 3), "duration_s": window_s,
                        "fault": name, "plan": plan, "seed": rng.randrange(1 << 32),
                        "companion": companion})
        at_s += window_s + pause_s
    return windows


class Nemesis:
    def __init__(self, cluster, history, windows, end_s, say=None):
        """end_s: when the load ends; no fault begins that could not last its time."""
        self.cluster = cluster
        self.history = history
        self.windows = windows
        self.end_s = end_s
        self.active = []  # faults in force, the newest last
        self.say = say or (lambda text: None)

    async def run(self):
        """Carries out the schedule; whatever happens, nothing stays in force."""
        now = asyncio.get_running_loop().time
        begin, healed = now(), 0.0
        for window in self.windows:
            at = max(begin + window["at_s"], healed + PAUSE_MIN_S)
            if at + window["duration_s"] > begin + self.end_s:
                self.say(f"window {window['window']}: left out, there is no time left")
                continue
            await asyncio.sleep(at - now())
            try:
                await self._one(window)
            except asyncio.CancelledError:
                raise
            except Exception:  # noqa: BLE001: a broken injector makes the run unknown, not undone
                self.history.cluster("problem", f"window {window['window']} ({window['fault']} "
                                     f"{window['plan']}):\n{traceback.format_exc()}")
                await self.heal()
            healed = now()

    async def _one(self, window):
        fault, value, done = await self._start(window)
        if window.get("companion"):
            await asyncio.sleep(COMPANION_AFTER_S)
            other = await self._start(window["companion"], fault)
            await asyncio.sleep(COMPANION_S)
            await self._stop(*other)
            await asyncio.sleep(COMPANION_AFTER_S)
        else:
            await asyncio.sleep(window["duration_s"])
        await self._stop(fault, value, done)

    async def _start(self, window, within=None):
        """within: the fault in whose midst this one begins."""
        fault = faults.ALL[window["fault"]](self.cluster, random.Random(window["seed"]),
                                            window["plan"])
        leader, term = self.cluster.leader()
        value = {"window": window["window"], "fault": window["fault"], "plan": window["plan"],
                 **(fault.aim_within(within) if within else fault.aim())}
        fault.majority = value["majority"]
        self.active.append(fault)
        self.history.nemesis(f"start-{fault.name}", {**value, "stage": "before"})
        done = {"leader_before": leader, "term_before": term, **await fault.start()}
        self.history.nemesis(f"start-{fault.name}", {**value, "stage": "after", **done})
        return fault, value, done

    async def _stop(self, fault, value, done):
        self.history.nemesis(f"stop-{fault.name}", {**value, "stage": "before"})
        effective = done.get("effective", True)
        done.update(await fault.stop())
        self.active.remove(fault)
        leader, term = self.cluster.leader()
        done.update({"effective": effective and done.get("effective", True),
                     "leader_after": leader, "term_after": term})
        self.history.nemesis(f"stop-{fault.name}", {**value, "stage": "after", **done})
        self.say(f"window {value['window']}: {fault.name} {fault.plan} "
                 f"({', '.join(value['targets'])}): "
                 f"{'effective' if done['effective'] else 'WITHOUT EFFECT'}: {done.get('proof')}")

    async def heal(self):
        """Ends whatever is in force and gets every node running."""
        for fault in reversed(self.active):
            try:
                await fault.stop()
            except Exception:  # noqa: BLE001: the rest must be healed all the same
                self.history.cluster("problem", f"healing:\n{traceback.format_exc()}")
        self.active.clear()
        self.cluster.network.heal()
        self.cluster.faults_on.clear()
        for node in self.cluster.nodes:
            if node.paused:
                self.cluster.resume(node)
            if node.clock:
                node.clock.shift(0)
            if node.held and node.ended_for_good is None:
                self.cluster.release(node)
