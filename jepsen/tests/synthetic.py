"""Histories without a cluster: the model behind simulated nodes, in virtual time, from a seed.

Every kind of operation and of fault occurs: concurrent clients, lost answers, retries, batches,
stale replicas, registers, sessions, a fault with and one without a majority, and the final reads.
"""

import datetime
import hashlib
import heapq
import itertools
import json
import os
import random

from jepsen.history import classify, to_edn
from jepsen.model import Ledger, payment_fields

NODES = ["n1", "n2", "n3"]
MS = 1_000_000
EPOCH = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)


def iso(nanoseconds):
    whole = EPOCH + datetime.timedelta(seconds=nanoseconds // 1_000_000_000)
    return whole.strftime("%Y-%m-%dT%H:%M:%S") + f".{nanoseconds % 1_000_000_000:09d}Z"


def digest_at(seq):
    return hashlib.sha256(str(seq).encode()).hexdigest()


def account_row(ledger, identity):
    account = ledger.accounts[identity]
    available = account.available
    return {
        "id": identity, "currency": account.currency, "scale": 2, "normal": account.normal,
        "overdraft": "unlimited" if account.overdraft is None else str(account.overdraft),
        "posted": str(account.posted), "held": "0",
        "available": None if available is None else str(available),
        "debits_posted": str(account.debits), "credits_posted": str(account.credits),
        "debits_held": "0", "credits_held": "0", "entries": account.entries,
        "opened_seq": account.opened_seq, "opened_at": iso(0),
    }


class Synthetic:
    """records and settings of one run; `threads` clients, about `operations` in the main phase."""

    def __init__(self, seed, operations=1500, threads=8, accounts=6, registers=4,
                 think_ms=20, faults=True):
        self.random = random.Random(seed)
        self.records, self.now = [], 0
        self.leader_ledger = Ledger()
        self.log, self.stamps = [], {}
        self.replicas = {node: [Ledger(), 0] for node in NODES}
        self.term, self.leader, self.stalled_until = 1, "n1", 0
        self.threads, self.operations, self.think_ms = threads, operations, think_ms
        self.processes = list(range(threads))
        self.events, self.ties = [], itertools.count()
        self.ids, self.attempted = itertools.count(1), {}
        self.sessions = {}
        self.customers = [f"c{k}" for k in range(accounts)]
        self.registers = [f"reg:{k}" for k in range(registers)]
        self.minority_only = False
        self.windows = itertools.count(1)
        self._setup()
        self._main(faults)
        self._final()
        self.settings = {
            "name": "synthetic", "workload": "transfer", "seed": seed, "nodes": NODES,
            "concurrency": threads, "faults": ["pause", "partition"] if faults else [],
            "rate": 400, "time_limit_s": 10, "started": "2026-11-23T00:00:00Z",
            "command": f"synthetic --seed {seed}", "kernel": "none",
            "versions": {"payledgerd": "none"},
            "require": {"windows_per_fault": 1, "ok_per_kind": 20, "ok_writes_in_window": 5,
                        "forwards_per_node": 0},
        }

    def save(self, directory):
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "history.jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in self.records)
        with open(os.path.join(directory, "history.edn"), "w", encoding="utf-8") as file:
            file.writelines(to_edn(record) + "\n" for record in self.records)
        with open(os.path.join(directory, "test.json"), "w", encoding="utf-8") as file:
            json.dump(self.settings, file, indent=1)

    # --- recording

    def _record(self, **fields):
        record = {"index": len(self.records), "time": self.now, **fields}
        self.records.append(record)
        return record

    def _cluster(self, f, value):
        self._record(type="info", process="cluster", f=f, value=value)

    def _nemesis(self, f, **value):
        self._record(type="info", process="nemesis", f=f, value=value)

    def _at(self, delay_ms, action):
        when = self.now + int(delay_ms * MS)
        heapq.heappush(self.events, (when, next(self.ties), action))

    def _drain(self):
        while self.events:
            self.now, _, action = heapq.heappop(self.events)
            action()

    # --- the ledger

    def _execute(self, command):
        """On the leader; each seq it takes gets the stamp of its entry."""
        before = self.leader_ledger.seq
        outcome = command(self.leader_ledger)
        self.log.append((self.leader_ledger.seq, command))
        for seq in range(before + 1, self.leader_ledger.seq + 1):
            self.stamps[seq] = {"seq": seq, "term": self.term, "time": iso(self.now)}
        return outcome

    def _state(self, node, params):
        """The ledger that a read on this node sees."""
        replica = self.replicas[node]
        newest = len(self.log)
        if params.get("stale"):
            target = min(newest, replica[1] + self.random.randint(0, 30))
        elif "min_seq" in params:
            target = replica[1]
            while target < newest and (not target or self.log[target - 1][0] < params["min_seq"]):
                target += 1
        else:
            target = newest
        while replica[1] < target:
            self.log[replica[1]][1](replica[0])
            replica[1] += 1
        return replica[0]

    def _payment_answer(self, identity, outcome, params):
        """(result, error) of payment.create."""
        if outcome.code == "idempotency_mismatch":
            return None, {"code": outcome.code, "param": "amount", "retryable": False,
                          "recorded": False, **self.stamps[self.leader_ledger.seq]}
        payment = outcome.payment
        stamp = {**self.stamps[payment.seq], "replayed": outcome.replayed}
        if payment.code != "posted":
            return None, {"code": payment.code, "param": "debit", "retryable": False,
                          "recorded": True, **stamp}
        balances = []
        for account, (posted, available) in payment.balances.items():
            row = {"account": account, "posted": str(posted)}
            if not outcome.replayed:
                row.update(held="0", available=None if available is None else str(available))
            balances.append(row)
        return {"id": identity, "status": "posted", **stamp, "balances": balances}, None

    def _stored(self, ledger, identity):
        payment = ledger.payments[identity]
        answer = {"id": identity, "status": "posted", **self.stamps[payment.seq], "legs": []}
        for k, leg in enumerate(payment.fields.legs):
            row = {"debit": leg.debit, "credit": leg.credit, "amount": str(leg.amount),
                   "currency": leg.currency or "EUR"}
            if payment.rows:
                debit, credit, debit_entry, credit_entry = payment.rows[k]
                row.update(debit_balance=str(debit), credit_balance=str(credit),
                           debit_entry=debit_entry, credit_entry=credit_entry)
            answer["legs"].append(row)
        for name in ("reference",):
            if getattr(payment.fields, name) is not None:
                answer[name] = getattr(payment.fields, name)
        if payment.fields.valid_until is not None:
            answer["valid_until"] = self.attempted[identity]["valid_until"]
        if payment.code == "posted":
            answer["balances"] = [{"account": a, "posted": str(p)}
                                  for a, (p, _) in payment.balances.items()]
        else:
            answer["status"] = "refused"
            answer["error"] = {"code": -32010, "message": "", "data": {"code": payment.code}}
        return answer

    def _perform(self, f, params, node):
        """(result, error) as the cluster gives it at this moment."""
        if f == "transfer":
            identity, fields, now = params["id"], payment_fields(params), self._log_time()
            outcome = self._execute(lambda l: l.create_payment(identity, fields, now))
            return self._payment_answer(identity, outcome, params)
        if f == "batch":
            return self._batch(params), None
        if f == "create-currency":
            outcome = self._execute(lambda l: l.create_currency(params["code"], params["scale"]))
            return {**params, **self.stamps[self.leader_ledger.seq],
                    "replayed": outcome.replayed}, None
        if f == "open-account":
            self._execute(lambda l: l.open_account(params))
            return {**account_row(self.leader_ledger, params["id"]),
                    **self.stamps[self.leader_ledger.seq], "replayed": False}, None
        return self._read(f, params, node)

    def _log_time(self):
        return int((EPOCH - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc))
                   .total_seconds()) * 1_000_000_000 + self.now

    def _batch(self, params):
        items = [(item["id"], payment_fields(item)) for item in params["items"]]
        now = self._log_time()
        if params["mode"] == "atomic":
            outcomes = self._execute(lambda l: l.atomic(items, now))
        else:
            outcomes = [self._execute(lambda l, i=i, f=f: l.create_payment(i, f, now))
                        for i, f in items]
        results = []
        for item, outcome in zip(params["items"], outcomes):
            result, error = self._payment_answer(item["id"], outcome, item)
            results.append({"result": result} if error is None else
                           {"error": {"code": -32010, "message": "", "data": error}})
        return {"results": results, **self.stamps[self.leader_ledger.seq]}

    def _read(self, f, params, node):
        ledger = self._state(node, params)
        stamp = self.stamps.get(ledger.seq, {"seq": 0, "term": 0, "time": iso(0)})
        absent = {"code": "not_found", "param": "id", "retryable": False, "recorded": False,
                  **stamp}
        if f == "read-account":
            return {**account_row(ledger, params["id"]), **stamp}, None
        if f == "read-payment":
            if params["id"] not in ledger.payments:
                return None, absent
            return self._stored(ledger, params["id"]), None
        if f == "list-accounts":
            rows = [account_row(ledger, identity) for identity in ledger.accounts]
            start = int(params.get("cursor") or 0)
            end = start + params.get("limit", 100)
            cursor = str(end) if end < len(rows) else None
            return {"accounts": rows[start:end], "cursor": cursor, **stamp}, None
        if f == "list-payments":
            ids = ledger.accounts[params["account"]].payments[::-1][:params.get("limit", 100)]
            full = len(ledger.accounts[params["account"]].payments) > len(ids)
            rows = [self._stored(ledger, identity) for identity in ids]
            return {"payments": rows, "cursor": "x" if full else None, **stamp}, None
        if f == "totals":
            return {"totals": [
                {"currency": code, "scale": 2, "debits_posted": str(total),
                 "credits_posted": str(total), "debits_held": "0", "credits_held": "0",
                 "accounts": ledger.accounts_of[code]}
                for code, total in ledger.totals.items()], **stamp}, None
        counts = {} if f == "digest" else {
            "accounts": len(ledger.accounts), "payments": len(ledger.payments),
            "currencies": len(ledger.currencies)}
        return {**counts, "digest": digest_at(ledger.seq), **stamp}, None

    # --- clients

    def _call(self, thread, f, params, node, phase, then=None, session=None):
        process = self.processes[thread]
        begun = {"process": process, "f": f, "value": params, "node": node, "phase": phase}
        if session is not None:
            begun["session"] = session
        self._record(type="invoke", **begun)
        draw = self.random
        answered = {}

        def finish():
            kind = classify(f, **answered)
            answer = {name: value for name, value in answered.items() if value is not None}
            self._record(**{**begun, "type": kind}, **answer)
            if kind == "info":
                self.processes[thread] += self.threads
            if then:
                then(answered)

        def effect():
            lost = self.now < self.stalled_until or self.minority_only
            if lost and draw.random() < 0.2:
                answered.update(result=None, error={"code": "no_leader", "retryable": True,
                                                    "recorded": False})
            elif self.minority_only:
                answered.update(result=None, error={"code": "timeout"})
                self._at(300, finish)
                return
            elif lost:
                self._at((self.stalled_until - self.now) / MS + draw.random() * 20, effect)
                return
            else:
                fate = draw.random()
                if phase == "main" and fate < 0.004:
                    answered.update(result=None, error={"code": "timeout"})
                    self._at(300, finish)
                    return
                result, error = self._perform(f, params, node)
                answered.update(result=result, error=error)
                if phase == "main" and fate > 0.992 and f in ("transfer", "batch"):
                    answered.update(result=None, error={"code": "closed"})
            self._at(draw.expovariate(1) + 0.2, finish)

        self._at(draw.expovariate(1) + 0.2, effect)

    def _payment(self, debit=None, credit=None):
        identity = f"00000000-0000-4000-8000-{next(self.ids):012x}"
        one, other = self.random.sample(self.customers + ["bank"], 2)
        amount = str(self.random.randint(1, 60))
        params = {"id": identity, "debit": debit or one, "credit": credit or other,
                  "amount": amount}
        if debit is None:
            shape = self.random.random()
            if shape < 0.1:
                params["currency"] = "EUR"
            elif shape < 0.2:
                params = {"id": identity, "legs": [
                    {"debit": one, "credit": other, "amount": amount},
                    {"debit": "bank", "credit": one, "amount": "5", "currency": "EUR"}]}
            elif shape < 0.3:
                params["reference"] = f"ref {self.random.randint(1, 400)}"
            elif shape < 0.4:
                params["valid_until"] = iso(self.now + self.random.randint(0, 4) * MS)
        self.attempted[identity] = params
        return params

    def _next(self, thread):
        draw = self.random.random()
        node = self.random.choice(NODES)
        mode = {}
        if self.random.random() < 0.2:
            mode = {"stale": True}
        if draw < 0.30:
            return "transfer", self._payment(), node, None
        if draw < 0.36 and self.attempted:
            known = dict(self.random.choice(list(self.attempted.values())[-200:]))
            if self.random.random() < 0.3 and "amount" in known:
                known["amount"] = str(int(known["amount"]) + 1)
            return "transfer", known, node, None
        if draw < 0.42:
            items = [self._payment() for _ in range(self.random.randint(1, 5))]
            return "batch", {"mode": self.random.choice(["atomic", "independent"]),
                             "items": items}, node, None
        if draw < 0.55:
            key = self.random.choice(self.registers)
            sides = ["bank", key] if self.random.random() < 0.6 else [key, "bank"]
            return "transfer", self._payment(*sides), node, None
        if draw < 0.65:
            return "read-account", {"id": self.random.choice(self.registers)}, node, None
        if draw < 0.80:
            session = f"s{thread}"
            if self.random.random() < 0.4:
                return "transfer", self._payment(), node, session
            params = {"id": self.random.choice(self.customers)}
            if session in self.sessions:
                params["min_seq"] = self.sessions[session]
            return "read-account", params, node, session
        if draw < 0.86:
            return "read-account", {"id": self.random.choice(self.customers), **mode}, node, None
        if draw < 0.90 and self.attempted:
            return "read-payment", {"id": self.random.choice(list(self.attempted)), **mode}, \
                node, None
        if draw < 0.94:
            return "list-accounts", {"limit": 1000, **mode}, node, None
        if draw < 0.97:
            return "list-payments", {"account": self.random.choice(self.customers), "limit": 10,
                                     **mode}, node, None
        return "totals", mode, node, None

    def _client(self, thread):
        if self.operations <= 0:
            return
        self.operations -= 1
        f, params, node, session = self._next(thread)

        def then(answered):
            answer = answered.get("result") or answered.get("error")
            if session is not None and "seq" in answer:
                self.sessions[session] = max(self.sessions.get(session, 0), answer["seq"])
            self._at(self.random.expovariate(1 / self.think_ms), lambda: self._client(thread))

        self._call(thread, f, params, node, "main", then, session)

    # --- the course of the run

    def _sequential(self, calls, phase):
        """One after the other, on thread 0."""
        pending = iter(calls)

        def following(_=None):
            call = next(pending, None)
            if call is not None:
                self._call(0, *call, phase, following)

        following()
        self._drain()

    def _setup(self):
        calls = [("create-currency", {"code": "EUR", "scale": 2}, "n1"),
                 ("open-account", {"id": "bank", "currency": "EUR", "overdraft": "unlimited"},
                  "n2")]
        for k, identity in enumerate(self.customers + self.registers):
            params = {"id": identity, "currency": "EUR"}
            if k % 3 == 1:
                params["overdraft"] = "100"
            calls.append(("open-account", params, "n3"))
        for identity in self.customers:
            calls.append(("transfer", self._payment("bank", identity), "n1"))
        self._sequential(calls, "setup")

    def _main(self, faults):
        self._cluster("phase", "main")
        for node in NODES:
            self._cluster("node-start", {"node": node, "pid": 100 + int(node[1])})
        for thread in range(self.threads):
            self._at(self.random.random() * 10, lambda t=thread: self._client(t))
        self._at(1, self._sample)
        if faults:
            span = self.operations * (self.think_ms + 3) / self.threads
            self._at(span * 0.2, lambda: self._fault("pause", True, span * 0.25))
            self._at(span * 0.6, lambda: self._fault("partition", False, span * 0.05))
        self._drain()

    def _sample(self):
        for node in NODES:
            ledger = self.replicas[node][0]
            self._state(node, {"stale": True})
            row = {"id": node, "role": "leader" if node == self.leader else "follower",
                   "term": self.term, "seq": ledger.seq, "digest": digest_at(ledger.seq)}
            self._cluster("status", {"node": node, "ok": True, "leader": self.leader,
                                     "term": self.term, "nodes": [row],
                                     "counters": {"forwards": 5, "snapshots_taken": 1}})
        if self.operations > 0:
            self._at(100, self._sample)

    def _fault(self, fault, majority, span_ms):
        number, before, term = next(self.windows), self.leader, self.term
        common = {"window": number, "fault": fault, "plan": "leader" if majority else "all",
                  "targets": [self.leader] if majority else NODES, "majority": majority,
                  "leader_targeted": True, "leader_before": before, "term_before": term}
        self._nemesis("start-" + fault, stage="before", **common)
        if majority:
            self.stalled_until = self.now + 900 * MS
            self.leader = self.random.choice([n for n in NODES if n != before])
            self.term += 1
        else:
            self.minority_only = True
        self.now += MS
        self._nemesis("start-" + fault, stage="after", **common)
        self._at(span_ms, lambda: self._heal(fault, common))

    def _heal(self, fault, common):
        self._nemesis("stop-" + fault, stage="before", **common)
        self.minority_only = False
        self.term += not common["majority"]
        self._nemesis("stop-" + fault, stage="after", **{
            **common, "effective": True, "proof": "it is a simulation",
            "leader_after": self.leader, "term_after": self.term})

    def _final(self):
        self._cluster("phase", "heal")
        self.now += 1000 * MS
        for node in NODES:
            seq = self._state(node, {}).seq
            self._cluster("digest", {"node": node, "seq": seq, "digest": digest_at(seq)})
        self._cluster("phase", "final")
        calls = [("read-payment", {"id": identity}, self.random.choice(NODES))
                 for identity in self.attempted]
        for node in NODES:
            calls += [("list-accounts", {"limit": 7}, node),
                      ("list-accounts", {"limit": 1000, "cursor": "7"}, node),
                      ("totals", {}, node), ("info", {}, node), ("digest", {}, node)]
        self._sequential(calls, "final")
        self._cluster("phase", "end")
