"""How a large cluster with preemptions fares, on paper: the driver's own rules, no network.

    python experiments/simulate_cluster.py

Takes seconds. The leases are dealt by `jaxmem.running.leases`, under a clock that jumps
from event to event: 256 GPUs, of which 5 % are taken away an hour and come back after five
minutes. Two kinds of work: trials of 2 s, in leases of 20 s, and blocks that train for an
hour, whose states are kept every two minutes where another worker finds them. Writes
results/simulate_cluster.json.
"""

import argparse
import heapq
import random

from experiment import command, save

from jaxmem.running.leases import Lease, Leases
from jaxmem.storage.checkpoints import SECONDS as KEPT_EVERY

BACK_AFTER = 300.0  # seconds until a worker is back
LOOK_AGAIN = 10.0  # seconds, where there is no lease


def simulate(
    workers: int, preempted: float, block: float, size: int, trials: int, seed: int = 0
) -> dict:
    """Train so many trials, in leases of `size` that take a worker `block` seconds.

    preempted: the share of the workers that is taken away an hour.
    """
    draw, dealt = random.Random(seed), Leases(range(trials))
    free = [(0.0, worker) for worker in range(workers)]  # when a worker wants a lease
    at_work: dict[int, tuple[Lease, float, bool]] = {}  # its lease, since when, survived
    kept: dict[tuple[int, ...], float] = {}  # seconds of training in flight, by lease
    leases, losses, lost, busy, now = 0, 0, 0.0, 0.0, 0.0
    while not dealt.over:
        now, worker = heapq.heappop(free)
        if worker in at_work:
            lease, since, survived = at_work.pop(worker)
            busy += now - since
            if survived:
                dealt.returned(worker, now)
            else:
                losses += 1
                saved = (now - since) // KEPT_EVERY * KEPT_EVERY
                kept[lease.trials] = kept.get(lease.trials, 0.0) + saved
                lost += now - since - saved
                dealt.lost(worker, "preempted")
                heapq.heappush(free, (now + BACK_AFTER, worker))
                continue
        dealt_now = dealt.take(worker, size, now)
        if dealt_now is None:
            heapq.heappush(free, (now + LOOK_AGAIN, worker))
            continue
        leases += 1
        left = block - kept.get(dealt_now.trials, 0.0)
        until = draw.expovariate(preempted / 3600)
        at_work[worker] = dealt_now, now, left <= until
        heapq.heappush(free, (now + min(left, until), worker))
    return {
        "workers": workers,
        "preempted_an_hour": preempted,
        "seconds_a_lease": block,
        "trials": trials,
        "hours": now / 3600,
        "preemptions": losses,
        "lost_share_of_work": lost / busy,
        "trials_set_aside": sum(len(lease.trials) for lease in dealt.aside),
        "leases_a_second": leases / now,
        "trials_an_hour": trials / now * 3600,
        "working_share": busy / (workers * now),
    }


def main(argv: list[str] | None = None) -> None:
    """Simulate, and write results/simulate_cluster.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=256, help="default: 256")
    parser.add_argument("--preempted", type=float, default=0.05, help="default: 0.05")
    args = parser.parse_args(argv)
    shared = args.workers, args.preempted
    numbers = {
        "short": simulate(*shared, block=20.0, size=10, trials=1_000_000),
        "long": simulate(*shared, block=3600.0, size=4, trials=20_000),
    }
    print(numbers)
    print(save("simulate_cluster", numbers))


if __name__ == "__main__":
    command(main)
