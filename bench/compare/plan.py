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
    fresh: bool = False  # systems that hold nothing yet


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything. Sizes differ in this only; a report names its own."""
    size: str
    rounds: int
    seconds: int
    warmup: int
    clients: tuple
    accounts: tuple
    stored: tuple
    # The targets.
    payments: int  # stored by growth and recovery
    many_accounts: int  # of growth and recovery
    fill_s: int  # storing ends there, however much is stored
    idle: int  # connections that do nothing
    trace_s: int  # of half_rate
    systems: tuple = SYSTEMS

    def estimate_s(self):
        """About how long the comparison takes."""
        rounds = sum(len(point.loads) for point in points(self)) * self.rounds
        filling = sum(self.stored) / FILL_PER_S + max(self.accounts) / OPEN_PER_S
        return int(rounds * (self.seconds + self.warmup + ROUND_MORE_S) + filling + START_S)


# What an estimate reckons with, on two cores.
ROUND_MORE_S = 2.5
FILL_PER_S = 25_000
OPEN_PER_S = 20_000
START_S = 30


def full():
    return Settings(size="full", rounds=3, seconds=10, warmup=2, clients=CLIENTS,
                    accounts=(100, ACCOUNTS, 1_000_000), stored=(0, 1_000_000, 10_000_000),
                    payments=10_000_000, many_accounts=1_000_000, fill_s=1800, idle=10_000,
                    trace_s=300)


def medium():
    """The main figures of the full size, in shorter rounds: 45 minutes with the targets."""
    return dataclasses.replace(full(), size="medium", seconds=5, warmup=1,
                               stored=(0, 1_000_000, 3_000_000), fill_s=480)


def quick():
    return Settings(size="quick", rounds=1, seconds=3, warmup=1, clients=CLIENTS,
                    accounts=(100, ACCOUNTS), stored=(0, 200_000), payments=200_000,
                    many_accounts=100_000, fill_s=120, idle=1_000, trace_s=10)


SIZES = {"quick": quick, "medium": medium, "full": full}


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
    """All points in the order in which they are measured: accounts and payments only grow, but for
    the fresh start of those that count what is stored."""
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
    made += [Point(("accounts",), single(settings, n)) for n in settings.accounts if n > ACCOUNTS]
    for payments in settings.stored:
        loads = single(settings, ACCOUNTS)
        # It has no form of many payments at once: storing them would take an hour.
        del loads["etcd"]
        made.append(Point(("stored",), loads, fill=payments, fresh=payments == 0))
    return [dataclasses.replace(point, loads={system: load for system, load in point.loads.items()
                                              if system in settings.systems})
            for point in made]


def groups(settings):
    """Points that are repeated together: a new group begins where something is stored first."""
    made = [[]]
    for point in points(settings):
        grows = point.fresh or point.fill > 0 or max(
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
