"""What a round asks of a system."""

import dataclasses

# PostgreSQL's pgbench takes no exponent up to 1, so all systems get one above.
ZIPF_EXPONENT = 1.1
AMOUNT_MINOR = 100
ID_KINDS = ("v7", "random")


@dataclasses.dataclass(frozen=True)
class Workload:
    clients: int = 64
    in_flight: int = 1  # requests of one client: only where the protocol has pipelining
    payments: int = 1  # of one request or transaction
    accounts: int = 10_000
    distribution: str = "uniform"  # uniform, zipf, hot
    seconds: int = 10
    warmup: int = 2
    rate: int = 0  # open loop, payments/s; 0: closed loop
    ids: str = "v7"  # v7, random
    more: tuple = ()  # further options, of payledger's bench only

    def key(self):
        """What identifies it in results, apart from how long it took."""
        return {"clients": self.clients, "in_flight": self.in_flight, "payments": self.payments,
                "accounts": self.accounts, "distribution": self.distribution, "ids": self.ids}


def result(rate, latency_us, **more):
    """What a round gives: payments/s, the latencies of requests, whether the book was right."""
    return {"payments_per_s": rate, "latency_us": latency_us, **more}
