"""Golden histories pass every checker; each way of falsifying one is found by the checker meant for
it."""

import copy
import os
import random
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from jepsen.checkers import ALL, check_all  # noqa: E402
from jepsen.operations import Run  # noqa: E402
from synthetic import NODES, Synthetic, digest_at  # noqa: E402

SEEDS = range(1, 9)


def judge(synthetic, names=None):
    return check_all(Run(synthetic.records, synthetic.settings), names)


def failed(results):
    return {name for name, r in results["checkers"].items() if r["valid"] is not True}


class Golden(unittest.TestCase):
    def test_every_checker_accepts_a_good_history(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                results = judge(Synthetic(seed))
                complaints = {name: (r["errors"], r["doubts"])
                              for name, r in results["checkers"].items() if r["valid"] is not True}
                self.assertEqual(complaints, {})
                self.assertIs(results["valid"], True)

    def test_the_checkers_had_something_to_compare(self):
        checkers = judge(Synthetic(1))["checkers"]
        self.assertGreater(checkers["replay"]["answers_compared"], 2000)
        self.assertGreater(checkers["realtime"]["checked"], 1000)
        self.assertGreater(checkers["linearizable"]["operations"], 200)
        self.assertGreater(checkers["session"]["reads"], 50)
        self.assertGreater(checkers["idempotency"]["mismatches"], 5)
        self.assertGreater(checkers["fate"]["resolved_info"], 3)
        self.assertGreater(checkers["replicas"]["compared_across_nodes"], 10)
        self.assertGreaterEqual(checkers["availability"]["recoveries"], 2)


# --- mutators: each changes the records in place and returns what it changed, or raises LookupError


def completions(records, f, **wanted):
    """Indices of ok completions of kind f whose fields are as wanted."""
    found = [r["index"] for r in records
             if r["f"] == f and r["type"] == "ok" and all(r.get(k) == v for k, v in wanted.items())]
    if not found:
        raise LookupError(f"no {f}")
    return found


def fresh_payments(records):
    return [i for i in completions(records, "transfer", phase="main")
            if "result" in records[i] and not records[i]["result"]["replayed"]]


def final_reads(records, identity):
    return [r for r in records if r["f"] == "read-payment" and r["phase"] == "final"
            and r["value"]["id"] == identity and r["type"] == "ok"]


def not_found(record):
    seq = max((r for r in (record.get("result"), record.get("error")) if r),
              key=lambda r: r["seq"])
    record["error"] = {"code": "not_found", "param": "id", "retryable": False, "recorded": False,
                       "seq": seq["seq"], "term": seq["term"], "time": seq["time"]}
    record.pop("result", None)


def drop_acknowledged(records, chance):
    """An acknowledged payment is not there at the end."""
    identity = records[chance.choice(fresh_payments(records))]["value"]["id"]
    for record in final_reads(records, identity):
        not_found(record)
        record["error"]["seq"] = max(r["result"]["seq"] for r in records
                                     if r["f"] == "info" and "result" in r)


def swap_two_seqs(records, chance):
    """Two payments exchange their places in the order."""
    index = chance.choice(fresh_payments(records)[:-40])
    other = next(i for i in fresh_payments(records) if i > index + 60)
    one, two = records[index]["result"], records[other]["result"]
    swap = {one["seq"]: two["seq"], two["seq"]: one["seq"]}
    ids = {records[index]["value"]["id"], records[other]["value"]["id"]}
    for record in records:
        result = record.get("result")
        if result and result.get("id") in ids and record["type"] == "ok":
            result["seq"] = swap[result["seq"]]


def old_version(records, chance):
    """A read gives the balance of the version before."""
    for index in chance.sample(*both(completions(records, "read-account", phase="main"))):
        result, identity = records[index]["result"], records[index]["value"]["id"]
        if identity.startswith("reg:"):
            continue
        for earlier in reversed(records[:index]):
            older = earlier.get("result") or {}
            if earlier["f"] == "read-account" and older.get("id") == identity \
                    and older["entries"] < result["entries"]:
                records[index]["result"] = {**older, **{k: result[k] for k in (
                    "seq", "term", "time")}}
                return
    raise LookupError


def both(population):
    return population, len(population)


def old_read(records, chance):
    """A linearizable read is answered from an old state, seq included."""
    for index in chance.sample(*both(completions(records, "read-account", phase="main"))):
        if "session" in records[index] or records[index]["value"].get("stale"):
            continue
        for earlier in reversed(records[:max(0, index - 60)]):
            if earlier["f"] == "read-account" and earlier["type"] == "ok" \
                    and earlier["value"]["id"] == records[index]["value"]["id"]:
                records[index]["result"] = earlier["result"]
                return
    raise LookupError


def stale_register(records, chance):
    """A register read is one version old: seen without looking at seq."""
    for index in chance.sample(*both(completions(records, "read-account", phase="main"))):
        identity = records[index]["value"]["id"]
        if not identity.startswith("reg:"):
            continue
        before = [r for r in records[:max(0, index - 40)]
                  if r["f"] == "read-account" and r["type"] == "ok"
                  and r["value"]["id"] == identity]
        now = records[index]["result"]
        if before and all(r["result"]["posted"] != now["posted"] for r in before[-2:]):
            old = before[-2 if len(before) > 1 else -1]["result"]
            # A value that no other moment can explain.
            seen = {r["result"]["posted"] for r in records if r["f"] == "read-account"
                    and r["type"] == "ok" and r["value"]["id"] == identity and r["index"] > index}
            if old["posted"] not in seen:
                now.update(posted=old["posted"])
                return
    raise LookupError


def two_outcomes(records, chance):
    """A replay tells another outcome than the first answer."""
    for index in completions(records, "transfer"):
        result = records[index].get("result")
        if result and result["replayed"]:
            result["seq"] += 1
            return
    raise LookupError


def executed_twice(records, chance):
    """A retried payment is told a second time that it was the first."""
    for index in completions(records, "transfer"):
        result = records[index].get("result")
        if result and result["replayed"]:
            result["replayed"] = False
            return
    raise LookupError


def mismatch_forgotten(records, chance):
    """Other fields under an old id are answered with the old outcome."""
    for index in completions(records, "transfer"):
        error = records[index].get("error")
        if error and error["code"] == "idempotency_mismatch":
            identity = records[index]["value"]["id"]
            first = next((r for r in records if r["type"] == "ok" and r["f"] == "transfer"
                          and r["value"]["id"] == identity and "result" in r), None)
            if first:
                records[index]["result"] = {**first["result"], "replayed": True}
                del records[index]["error"]
                return
    raise LookupError


def info_into_fail(records, chance):
    """A payment whose answer was lost, and which is stored, was said to have failed."""
    for record in records:
        if record["f"] == "transfer" and record["type"] == "info" and isinstance(
                record["process"], int):
            identity = record["value"]["id"]
            attempts = [r for r in records if r["f"] == "transfer" and r["type"] == "invoke"
                        and r["value"]["id"] == identity]
            if len(attempts) == 1 and any("result" in r for r in final_reads(records, identity)):
                record["type"] = "fail"
                record["error"] = {"code": "leadership_lost", "recorded": False,
                                   "retryable": True}
                return
    raise LookupError


def balance_plus_one(records, chance):
    """One balance of one answer is one too high."""
    index = chance.choice([i for i in completions(records, "read-account", phase="main")
                           if not records[i]["value"]["id"].startswith("reg:")])
    result = records[index]["result"]
    for name in ("posted", "available", "credits_posted"):
        result[name] = str(int(result[name]) + 1)


def applied_twice(records, chance):
    """From some moment on all answers about an account count a payment twice."""
    index = chance.choice(fresh_payments(records))
    credit = records[index]["value"].get("credit")
    if credit is None or credit == "bank" or credit.startswith("reg:"):
        raise LookupError
    amount, seq = int(records[index]["value"]["amount"]), records[index]["result"]["seq"]
    changed = 0
    for record in records:
        result = record.get("result") or {}
        rows = result["accounts"] if record["f"] == "list-accounts" and result else \
            [result] if record["f"] == "read-account" else []
        for row in rows:
            if row.get("id") == credit and result["seq"] >= seq:
                changed += 1
                for name in ("posted", "available", "credits_posted"):
                    row[name] = str(int(row[name]) + amount)
                row["entries"] += 1
    if not changed:
        raise LookupError


def session_reversed(records, chance):
    """Two successive answers of a session change places."""
    sessions = {}
    for index in completions(records, "read-account", phase="main"):
        session = records[index].get("session")
        if session is None:
            continue
        before = sessions.get((session, records[index]["value"]["id"]))
        if before is not None:
            one, two = records[before], records[index]
            if one["result"]["seq"] < two["result"]["seq"]:
                one["result"], two["result"] = two["result"], one["result"]
                return
        sessions[session, records[index]["value"]["id"]] = index
    raise LookupError


def one_seq_two_results(records, chance):
    """Two payments were given the same seq."""
    one, two = fresh_payments(records)[20:22]
    identity = records[two]["value"]["id"]
    for record in records:
        result = record.get("result")
        if result and record["f"] in ("transfer", "read-payment") and result["id"] == identity:
            result["seq"] = records[one]["result"]["seq"]


def seq_left_out(records, chance):
    """A seq is missing: everything later is one higher."""
    index = chance.choice(fresh_payments(records))
    limit = records[index]["result"]["seq"]

    def shift(value):
        if isinstance(value, dict):
            for name, inner in value.items():
                if name in ("seq", "min_seq", "opened_seq") and inner > limit:
                    value[name] = inner + 1
                else:
                    shift(inner)
        elif isinstance(value, list):
            for inner in value:
                shift(inner)

    seen = set()
    for record in records:
        for name in ("result", "error"):
            if isinstance(record.get(name), dict) and id(record[name]) not in seen:
                seen.add(id(record[name]))
                shift(record[name])


def digest_diverges(records, chance):
    """One node has another digest at a seq that others have too."""
    sightings = {}
    for record in records:
        if record["f"] == "status":
            row = record["value"]["nodes"][0]
            if row["seq"] in sightings and sightings[row["seq"]] != row["id"]:
                row["digest"] = digest_at(-1)
                return
            sightings.setdefault(row["seq"], row["id"])
    raise LookupError


def ends_unequal(records, chance):
    """At the end one node stands at another seq, with a digest of its own."""
    for record in records:
        if record["f"] in ("info", "digest") and record.get("node") == "n2" and "result" in record:
            record["result"] = {**record["result"], "seq": record["result"]["seq"] - 1,
                                "digest": digest_at(record["result"]["seq"] - 1)}


def totals_unbalanced(records, chance):
    """A sum over all accounts has more debits than credits."""
    index = chance.choice(completions(records, "totals"))
    row = records[index]["result"]["totals"][0]
    row["debits_posted"] = str(int(row["debits_posted"]) + 1)


def below_the_overdraft(records, chance):
    """An account is shown deeper than its overdraft allows."""
    index = chance.choice(completions(records, "read-account", phase="main"))
    result = records[index]["result"]
    result["debits_posted"] = str(int(result["debits_posted"]) + 10**6)
    for name in ("posted", "available"):
        result[name] = str(int(result[name]) - 10**6)


def final_read_dropped(records, chance):
    """One payment was not read at the end."""
    index = next(r["index"] for r in records if r["f"] == "read-payment" and r["phase"] == "final"
                 and r["type"] == "ok")
    identity = records[index]["value"]["id"]
    for record in final_reads(records, identity):
        record["type"] = "fail"
        record["error"] = {"code": "timeout"}
        record.pop("result", None)


def phantom(records, chance):
    """Something is stored that nobody asked for."""
    for record in records:
        if record["f"] == "info" and "result" in record:
            record["result"]["payments"] += 1


def phantom_row(records, chance):
    """A list shows a payment that nobody asked for."""
    for index in completions(records, "list-payments"):
        rows = records[index]["result"]["payments"]
        if rows:
            rows[0] = {**rows[0], "id": "99999999-0000-4000-8000-000000000000"}
            return
    raise LookupError


def two_leaders(records, chance):
    """Two nodes call themselves leader of one term."""
    record = chance.choice([r for r in records if r["f"] == "status"])
    row = record["value"]["nodes"][0]
    other = next(n for n in NODES if n != record["value"]["leader"])
    row.update(role="leader", id=other)
    record["value"].update(node=other, leader=other)


def acknowledged_without_majority(records, chance):
    """A payment is acknowledged while a majority was cut off."""
    begin = next(r["index"] for r in records if r["f"] == "start-partition"
                 and r["value"]["stage"] == "after")
    healing = next(r["index"] for r in records if r["f"] == "stop-partition")
    later = next(r for r in records[healing:] if r["f"] == "transfer" and r["type"] == "ok"
                 and "result" in r and not r["result"]["replayed"]
                 and records_invoke(records, r)["index"] > healing)
    moved = records_invoke(records, later)
    moved["time"] = records[begin]["time"] + 1
    later["time"] = records[begin]["time"] + 2


def records_invoke(records, completion):
    return next(r for r in reversed(records[:completion["index"]])
                if r["process"] == completion["process"] and r["type"] == "invoke")


def slow_recovery(records, chance):
    """Nothing is acknowledged for ten seconds after a fault."""
    begin = next(r for r in records if r["f"] == "start-pause" and r["value"]["stage"] == "after")
    for record in records[begin["index"] + 1:]:
        record["time"] += 10 * 10**9


def unexplained_exit(records, chance):
    """A node aborts without any fault."""
    place = next(r for r in records if r["f"] == "status")
    place.update(f="node-exit", value={"node": "n1", "pid": 101, "status": None, "signal": 6,
                                       "cause": None})


def outcome_difference(records, chance):
    """A node counted an outcome that was not the expected one."""
    next(r for r in records if r["f"] == "status")["value"]["counters"]["outcome_differences"] = 1


def fault_without_effect(records, chance):
    """The faults did not bite."""
    for record in records:
        if record["process"] == "nemesis":
            record["value"]["effective"] = False


def hardly_any_success(records, chance):
    """Most operations of the main phase failed."""
    for record in records:
        if record.get("phase") == "main" and record["type"] == "ok" and record["f"] not in (
                "transfer", "batch"):
            record.update(type="fail", error={"code": "timeout"})
            record.pop("result", None)


def future_read(records, chance):
    """A read reports a seq that a later request still receives."""
    index = chance.choice([i for i in completions(records, "totals", phase="main")
                           if i < len(records) // 4])
    records[index]["result"]["seq"] += 40


def wrong_code(records, chance):
    """A payment that was covered is refused, for ever."""
    index = chance.choice([i for i in fresh_payments(records)
                           if not records[i]["value"].get("debit", "").startswith("reg:")])
    identity = records[index]["value"]["id"]
    for record in records:
        result = record.get("result")
        if not result or result.get("id") != identity or record["type"] != "ok":
            continue
        data = {"code": "insufficient_funds", "recorded": True, "retryable": False,
                "param": "debit", **{k: result[k] for k in ("seq", "term", "time")}}
        if record["f"] == "transfer":
            record["error"] = {**data, "replayed": result["replayed"]}
            del record["result"]
        else:
            result.update(status="refused", error={"code": -32010, "data": data})
            result.pop("balances")
            for leg in result["legs"]:
                for name in ("debit_balance", "credit_balance", "debit_entry", "credit_entry"):
                    leg.pop(name)


MUTATORS = [
    (drop_acknowledged, "fate", False),
    (swap_two_seqs, "realtime", False),
    (old_version, "replay", False),
    (old_read, "realtime", False),
    (stale_register, "linearizable", False),
    (two_outcomes, "idempotency", False),
    (executed_twice, "idempotency", False),
    (mismatch_forgotten, "idempotency", False),
    (info_into_fail, "fate", False),
    (balance_plus_one, "replay", False),
    (applied_twice, "replay", False),
    (session_reversed, "session", False),
    (one_seq_two_results, "sequence", False),
    (seq_left_out, "sequence", False),
    (digest_diverges, "replicas", False),
    (ends_unequal, "replicas", False),
    (totals_unbalanced, "bank", False),
    (below_the_overdraft, "bank", False),
    (final_read_dropped, "vacuity", "unknown"),
    (phantom, "fate", False),
    (phantom_row, "fate", False),
    (two_leaders, "leaders", False),
    (acknowledged_without_majority, "availability", False),
    (slow_recovery, "availability", False),
    (unexplained_exit, "process", False),
    (outcome_difference, "process", False),
    (fault_without_effect, "vacuity", "unknown"),
    (hardly_any_success, "vacuity", "unknown"),
    (future_read, "realtime", False),
    (wrong_code, "replay", False),
]
EXPLAINED = {"fate", "realtime", "replay", "idempotency", "session", "sequence", "linearizable"}


class Mutated(unittest.TestCase):
    def test_each_falsification_is_found_by_its_checker(self):
        for seed in (1, 2):
            golden = Synthetic(seed, operations=900)
            golden.settings["require"]["ok_per_kind"] = 10
            self.assertEqual(failed(judge(golden)), set(), f"seed {seed}")
            for mutate, checker, verdict in MUTATORS:
                with self.subTest(seed=seed, mutator=mutate.__name__):
                    self._mutate(golden, seed, mutate, checker, verdict)

    def _mutate(self, golden, seed, mutate, checker, verdict):
        chance = random.Random(f"{seed} {mutate.__name__}")
        for _ in range(20):
            mutant = copy.copy(golden)
            mutant.records = copy.deepcopy(golden.records)
            try:
                mutate(mutant.records, chance)
                break
            except LookupError:
                continue
        else:
            self.fail("the history has no place for this falsification")
        result = judge(mutant, [checker])["checkers"][checker]
        self.assertEqual(result["valid"], verdict, mutate.__doc__)
        if verdict is False and checker in EXPLAINED:
            first = result["errors"][0]
            self.assertTrue(first["ops"], first)
            self.assertTrue(first["text"])

    def test_every_checker_has_a_falsification(self):
        self.assertEqual(set(ALL) - {checker for _, checker, _ in MUTATORS}, set())


if __name__ == "__main__":
    unittest.main()
