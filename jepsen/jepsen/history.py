"""The history of a run: what the clients asked, what they were told, what was done to the cluster.

A run's directory, store/NAME/TIME/, holds

    history.jsonl   one operation per line as JSON; what the checkers read
    history.edn     the same lines in Jepsen's form, for Knossos and Elle
    test.json       the run's settings, see TEST_SETTINGS
    NODE/           the node's files: node.log (of all its lives), core files

Use

    with Writer(directory) as history:
        history.invoke(process, "transfer", params, node="n2", phase="main")
        history.complete(process, result=reply["result"])             # or
        history.complete(process, error=reply["error"]["data"])       # or
        history.complete(process, error={"code": "timeout"})          # see CLIENT_ERRORS

`invoke` is called before the bytes go out, `complete` after the answer came in. `complete` finds
the type by itself (`classify`), and repeats f, value and the other fields of the invocation.

An operation
------------
    index    0, 1, 2 ..., dense
    time     nanoseconds since the start of the run, on one monotonic clock
    type     invoke; ok: it took effect or was answered from the ledger's state, a recorded refusal
             included; fail: it certainly never takes effect; info: nobody knows, perhaps later
    process  an integer for clients; "nemesis", "cluster" for the others
    f        the kind, see KINDS
    value    the `params` of the request, verbatim
    node     the node that was asked
    phase    "setup" (currencies, accounts, money), "main", "final" (after healing and a pause)
    session  optional: whoever carries `min_seq` from one operation to the next, across nodes and
             processes; a session's operations follow one another
    result   completion: the JSON-RPC result verbatim (seq, term, time, replayed, balances ...)
    error    completion: the JSON-RPC error's `data` verbatim (code, param, recorded, retryable,
             seq, term, time, replayed), or {"code": one of CLIENT_ERRORS}

Processes: the thread of a process is process % concurrency. A process has one operation in flight
and never acts again after an info: its thread goes on as process + concurrency, on a new connection
(`Threads` does this). Operations still open at `close` become info.

Kinds by workload
-----------------
    all          setup: create-currency, open-account, transfer (the first money).
                 Settlement accounts have overdraft "unlimited".
    transfer     transfer (payment.create, one leg or several), batch (payment.batch, both modes),
                 read-account, read-payment, totals; on all nodes; a part with `stale` or `min_seq`.
    bank         transfer; list-accounts in one page (limit 1000); totals.
    register     transfer between one register account (id "reg:K") and a settlement account of
                 unlimited overdraft; read-account of "reg:K". The amount is the step of the
                 register, the balance after (result.balances) its new value. At most 200 operations
                 per key.
    idempotency  transfer and batch under ids used before, on other nodes, with the same fields or
                 other ones; read-payment.
    set          transfer into one account, each with an id of its own; list-payments.
    session      transfer, read-account, read-payment, list-accounts with `session` set; reads with
                 `min_seq` = the largest seq that the session has seen, mostly on another node.

The final phase, every workload: read-payment of every id attempted, on any one node, linearizable,
again until it is answered; then on every node list-accounts (all pages), totals, info and digest.
A run without them is `unknown`.

Nemesis
-------
process "nemesis", type info, two records each: stage "before" the deed, then "after" it.
    f      start-FAULT, stop-FAULT; FAULT is one of FAULTS
    value  window          number of the window; start and stop carry the same one. One deed without
                           duration (clock jump, bit flip) has a stop as soon as it is over.
           stage           "before" | "after"
           fault           FAULT
           plan            what is meant: "majority", "leader" ...
           targets         the nodes concerned
           cut             partitions: {node: [nodes it does not hear]}
           majority        a majority of nodes is meant to be alive, connected both ways and fast
                           enough
           leader_targeted the leader of the moment is among the targets
         and in stage "after" of the start or of the stop (the later one stands):
           effective       whether the effect was measured
           proof           a sentence that says what was measured
           leader_before, leader_after, term_before, term_after

Cluster
-------
process "cluster", type info.
    f = node-start  value {node, pid}
    f = node-exit   value {node, pid, status: int or null, signal: int or null,
                           cause: "kill", "power-cut", "stop" ... or null where nobody asked for it}
    f = status      value {node: who was asked, ok: bool} and where ok the fields of cluster.status:
                           leader, term, nodes [{id, role, term, seq, digest ...}], counters.
                    A few per second and node; `nodes` may be cut down to the fields named.
    f = digest      value {node, seq, digest}: ledger.digest of that node
    f = phase       value "main" | "heal" | "final" | "end": the phase begins
    f = problem     value: text; something in the harness went wrong: makes the run unknown
"""

import json
import os
import threading
import time

from . import edn

# f -> (method, whether it changes the ledger)
KINDS = {
    "create-currency": ("currency.create", True),
    "open-account": ("account.open", True),
    "transfer": ("payment.create", True),
    "batch": ("payment.batch", True),
    "read-account": ("account.get", False),
    "read-payment": ("payment.get", False),
    "list-currencies": ("currency.list", False),
    "list-accounts": ("account.list", False),
    "list-payments": ("payment.list", False),
    "totals": ("ledger.totals", False),
    "info": ("ledger.info", False),
    "digest": ("ledger.digest", False),
}

FAULTS = (
    "partition",  # also one-way, ring, bridge: see `plan` and `cut`
    "packet",  # loss, delay, duplication, reordering: see `plan`
    "kill",
    "pause",
    "power-cut",
    "disk-full",
    "io-error",
    "slow-disk",
    "bit-flip",
    "clock",
)

# What a client says itself. `connect`: no byte of the request left. The others: it was sent.
CLIENT_ERRORS = ("connect", "timeout", "closed")

# Answers that rest on the ledger's state although nothing was recorded.
STATE_CODES = (
    "idempotency_mismatch",
    "already_exists",
    "not_found",
    "currency_not_found",
    "too_many_currencies",
)

TEST_SETTINGS = """test.json:
    name, workload, faults [..], seed, nodes [ids], concurrency, rate, time_limit_s,
    started (RFC 3339), command (repeats the run), versions {payledgerd, python, raft ..}, git,
    kernel,
    limits    optional {recover_p95_s, recover_max_s, catch_up_max_s, digests_equal_s}
    require   optional, overrides of checkers/vacuity.py DEFAULTS"""


def classify(f, result=None, error=None):
    """The type of a completion: ok, fail or info. Nobody else decides this."""
    if result is not None:
        return "ok"
    writes = KINDS[f][1]
    code = error["code"]
    if code in CLIENT_ERRORS:
        return "info" if writes and code != "connect" else "fail"
    if error.get("recorded") or code in STATE_CODES:
        return "ok"
    if error.get("recorded", None) is None:
        return "info" if writes else "fail"
    return "fail"


class Threads:
    """Which process each thread of the clients is at the moment."""

    def __init__(self, concurrency):
        self.concurrency = concurrency
        self._processes = list(range(concurrency))

    def process(self, thread):
        return self._processes[thread]

    def crashed(self, thread):
        """After an info: the thread goes on as a new process. Returns it."""
        self._processes[thread] += self.concurrency
        return self._processes[thread]


class Writer:
    """Appends to history.jsonl and history.edn; each line is flushed before the call returns."""

    def __init__(self, directory, clock=time.monotonic_ns):
        os.makedirs(directory, exist_ok=True)
        self._json = open(os.path.join(directory, "history.jsonl"), "x", encoding="utf-8")
        self._edn = open(os.path.join(directory, "history.edn"), "x", encoding="utf-8")
        self._clock = clock
        self._start_ns = clock()
        self._index = 0
        self._open = {}
        self._dead = set()
        self._lock = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _append(self, fields):
        op = {"index": self._index, "time": self._clock() - self._start_ns, **fields}
        self._json.write(json.dumps(op, separators=(",", ":"), ensure_ascii=False) + "\n")
        self._edn.write(to_edn(op) + "\n")
        self._json.flush()
        self._edn.flush()
        self._index += 1
        return op

    def invoke(self, process, f, value, **fields):
        """Writes an invocation, before the request is sent; returns the operation."""
        if f not in KINDS:
            raise ValueError(f"unknown kind {f}")
        with self._lock:
            if process in self._open or process in self._dead:
                raise ValueError(f"process {process} may not begin an operation")
            op = {"type": "invoke", "process": process, "f": f, "value": value, **fields}
            self._open[process] = op
            return self._append(op)

    def complete(self, process, result=None, error=None):
        """Writes the completion of the process's operation; returns the operation."""
        if (result is None) == (error is None):
            raise ValueError("a completion has a result or an error")
        with self._lock:
            begun = self._open.pop(process)
            kind = classify(begun["f"], result, error)
            if kind == "info":
                self._dead.add(process)
            answer = {"error": error} if result is None else {"result": result}
            return self._append({**begun, "type": kind, **answer})

    def nemesis(self, f, value):
        """Writes one record of a fault; see Nemesis above."""
        with self._lock:
            return self._append({"type": "info", "process": "nemesis", "f": f, "value": value})

    def cluster(self, f, value):
        """Writes what was seen of the cluster; see Cluster above."""
        with self._lock:
            return self._append({"type": "info", "process": "cluster", "f": f, "value": value})

    def close(self):
        """Operations that are still open become info; closing twice is fine."""
        with self._lock:
            if self._json.closed:
                return
            for begun in list(self._open.values()):
                self._append({**begun, "type": "info", "error": {"code": "timeout"}})
            self._open.clear()
            self._json.close()
            self._edn.close()


def to_edn(op):
    """One operation in Jepsen's form: type, f and non-client processes are keywords."""
    process = op["process"]
    return edn.dumps(
        {
            **op,
            "type": edn.Keyword(op["type"]),
            "process": edn.Keyword(process) if isinstance(process, str) else process,
            "f": edn.Keyword(op["f"]),
        }
    )


def read(directory):
    """The records of a run, in order. A torn last line (the harness died) is left out."""
    records = []
    with open(os.path.join(directory, "history.jsonl"), encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                records.append(json.loads(line))
    for expected, record in enumerate(records):
        if record["index"] != expected:
            raise ValueError(f"history.jsonl: index {record['index']} in line {expected + 1}")
    return records


def read_settings(directory):
    with open(os.path.join(directory, "test.json"), encoding="utf-8") as file:
        return json.load(file)
