"""Which rounds a comparison consists of."""

import dataclasses

from .workload import Workload

SYSTEMS = ("payledger", "postgres", "etcd")
CLIENTS = (1, 16, 64, 200)
ACCOUNTS = 10_000
BATCH = 1000
BATCH_CLIENTS = (1, 2, 4)
# payledger's protocol has requests in flight on one connection; the others' clients wait.
PIPELINE = 16


@dataclasses.dataclass(frozen=True)
class Point:
    """One load for each system, measured in turn; `sweeps` are the tables that it stands in."""
    sweeps: tuple
    loads: dict  # system: Workload
    fill: int = 0  # payments that are stored before


@dataclasses.dataclass(frozen=True)
class Settings:
    rounds: int
    seconds: int
    warmup: int
    clients: tuple
    accounts: tuple
    stored: tuple
    stored_etcd_max: int  # etcd fills one payment at a time: it is not waited for beyond that
    systems: tuple = SYSTEMS

    def estimate_s(self):
        """About how long it takes, without the filling."""
        rounds = sum(len(point.loads) for point in points(self)) * self.rounds
        return rounds * (self.seconds + self.warmup + 4) + 60


def full():
    return Settings(rounds=3, seconds=10, warmup=2, clients=CLIENTS,
                    accounts=(100, ACCOUNTS, 1_000_000), stored=(1_000_000, 10_000_000),
                    stored_etcd_max=1_000_000)


def quick():
    return Settings(rounds=1, seconds=3, warmup=1, clients=CLIENTS, accounts=(100, ACCOUNTS),
                    stored=(200_000,), stored_etcd_max=0)


def single(settings, accounts, distribution="uniform"):
    """One payment per request, as many clients as serve each system well."""
    load = Workload(clients=64, accounts=accounts, distribution=distribution,
                    seconds=settings.seconds, warmup=settings.warmup)
    return {"payledger": dataclasses.replace(load, in_flight=PIPELINE), "postgres": load,
            "etcd": load}


def batches(settings, clients, distribution="uniform"):
    """Many payments in one request or transaction; etcd has no form of it."""
    load = Workload(clients=clients, payments=BATCH, accounts=ACCOUNTS,
                    distribution=distribution, seconds=settings.seconds, warmup=settings.warmup)
    return {"payledger": dataclasses.replace(load, in_flight=4), "postgres": load}


def points(settings):
    """All points in the order in which they are measured: accounts and payments only grow."""
    base = Workload(accounts=ACCOUNTS, seconds=settings.seconds, warmup=settings.warmup)
    made = [Point(("accounts",), single(settings, n)) for n in settings.accounts if n < ACCOUNTS]
    for clients in settings.clients:
        load = dataclasses.replace(base, clients=clients)
        made.append(Point(("clients",), {system: load for system in SYSTEMS}))
    made.append(Point(("clients", "contention", "accounts"), single(settings, ACCOUNTS)))
    for distribution in ("zipf", "hot"):
        made.append(Point(("contention",), single(settings, ACCOUNTS, distribution)))
    made += [Point(("batch",), batches(settings, clients)) for clients in BATCH_CLIENTS]
    made.append(Point(("batch",), batches(settings, 1, "hot")))
    for payments in settings.stored:
        loads = single(settings, ACCOUNTS)
        if payments > settings.stored_etcd_max:
            del loads["etcd"]
        made.append(Point(("stored",), loads, fill=payments))
    made += [Point(("accounts",), single(settings, n)) for n in settings.accounts if n > ACCOUNTS]
    return [dataclasses.replace(point, loads={system: load for system, load in point.loads.items()
                                              if system in settings.systems})
            for point in made]


def groups(settings):
    """Points that are repeated together: a new group begins where something is stored first."""
    made = [[]]
    for point in points(settings):
        grows = point.fill > 0 or max(
            (load.accounts for load in point.loads.values()), default=0) > ACCOUNTS
        if grows and made[-1]:
            made.append([])
        made[-1].append(point)
    return [group for group in made if group]


def order(systems, number):
    """A B C, B C A, C A B: nobody always follows the same one."""
    systems = list(systems)
    shift = number % len(systems) if systems else 0
    return systems[shift:] + systems[:shift]
