"""What clients ask for. A workload is seeded: the same seed makes the same requests, as far as the
answers, on which some depend, are the same."""

from . import bank, idempotency, register, session, set, transfer

ALL = {module.NAME: module.Load for module in (transfer, bank, register, idempotency, set, session)}
