"""The checkers, one concept each. A module's `check(run)` returns a map:

valid        True, False, or "unknown", which counts as failed
error_count  how many errors were seen (a checker may stop after ten)
errors       the first ten, explained: text, ops (indices; the guilty one last), operations (the
             same as text), time, seqs, expected, seen
doubts       why it is unknown
and figures of its own.
"""

import time
import traceback

from . import (
    availability,
    bank,
    fate,
    idempotency,
    leaders,
    linearizable,
    process,
    realtime,
    replay,
    replicas,
    sequence,
    session,
    vacuity,
)
from .finding import worst
from ..operations import without_collector

ALL = {
    "replay": replay,
    "realtime": realtime,
    "sequence": sequence,
    "fate": fate,
    "bank": bank,
    "idempotency": idempotency,
    "linearizable": linearizable,
    "session": session,
    "replicas": replicas,
    "leaders": leaders,
    "availability": availability,
    "process": process,
    "vacuity": vacuity,
}


def check_all(run, names=None):
    """{"valid": the worst, "checkers": {name: result}}; a checker that breaks is unknown."""
    with without_collector():
        results = {name: _check(run, name) for name in names or ALL}
    return {"valid": worst(r["valid"] for r in results.values()), "checkers": results}


def _check(run, name):
    begin = time.monotonic()
    try:
        result = ALL[name].check(run)
    except Exception:  # noqa: BLE001: a broken checker must not hide the others
        result = {"valid": "unknown", "error_count": 0, "errors": [],
                  "doubts": ["the checker broke:\n" + traceback.format_exc()]}
    result["seconds"] = round(time.monotonic() - begin, 3)
    return result
