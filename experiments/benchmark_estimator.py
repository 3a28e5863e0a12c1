"""How fast all influences are found: against plain products, and at ImageNet's size.

    python experiments/benchmark_estimator.py              # 10 minutes on two cores
    python experiments/benchmark_estimator.py --scale=0.1  # a tenth of the rows

MNIST's size (N = 60,000, E = 10,000, T = 4,000), in turns: our search (pairs at
infl >= 0.15, alone and with the 10 highest of each row and column); the release's two
float32 NumPy products, of the mask and its complement; and one float32 JAX product, the
complement from totals. The products take a slice of the training examples, and are
extrapolated to all. Before that, ImageNet's size (N = 1,281,167, E = 50,000, T = 2,000): 64
billion pairs, random bits with 70 % inclusion and accuracies from a Beta distribution, and
planted pairs, all of which must be found; and the cost at parts of N, E and T.
"""

import argparse
import resource
import time

import jax
import numpy as np
from experiment import RESULTS, command, write

from jaxmem.estimates.bits import Bits
from jaxmem.estimates.search import search

TOP = 10
PLANTED = 200  # pairs with infl about 0.6
MEMORY = 2.0  # GiB that the search of ImageNet's size may take
SLICE = 6_000  # training examples that the plain products take


def random_bits(rng, rates: np.ndarray, trials: int) -> Bits:
    """Bits [T, n], each example's set at its rate (to 1/256)."""
    rows = []
    level = np.round(256 * rates).astype(np.uint16)
    for _ in range(trials):
        drawn = rng.integers(0, 256, rates.size, np.uint8)
        rows.append(np.packbits(drawn < level))
    return Bits(np.stack(rows), rates.size)


def make(n: int, e: int, trials: int, seed: int = 0):
    """Inclusion and outcome bits, and the planted pairs (rows, columns)."""
    rng = np.random.default_rng(seed)
    included = random_bits(rng, np.full(n, 0.7), trials)
    correct = random_bits(rng, rng.beta(3, 1, e), trials)
    rows = rng.choice(n, PLANTED, replace=False)
    columns = rng.choice(e, PLANTED, replace=False)
    for row, column in zip(rows, columns, strict=True):
        inside = included.columns(np.array([row])).mask()[:, 0]
        planted = rng.random(trials) < np.where(inside, 0.8, 0.2)
        byte, bit = correct.packed[:, column // 8], np.uint8(128 >> column % 8)
        byte[:] = np.where(planted, byte | bit, byte & ~bit)
    return included, correct, (rows, columns)


def unpack(bits: Bits) -> np.ndarray:
    return bits.mask().astype(np.float32)


def numpy_products(mask: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """As the release does: two products, one of the mask and one of its complement."""
    out = 1 - mask
    inside = mask.T @ correct / mask.sum(axis=0)[:, None]
    return inside - out.T @ correct / out.sum(axis=0)[:, None]


@jax.jit
def jax_product(mask: jax.Array, correct: jax.Array) -> jax.Array:
    """One float32 product; the excluded side from totals."""
    hits_in, hits = mask.T @ correct, correct.sum(axis=0)
    n_in = mask.sum(axis=0)[:, None]
    return hits_in / n_in - (hits[None, :] - hits_in) / (len(mask) - n_in)


def seconds(f) -> float:
    start = time.perf_counter()
    jax.block_until_ready(f())
    return time.perf_counter() - start


def mnist_size(n: int, e: int, trials: int, turns: int) -> dict:
    """All ways in turns, the best of each; the plain products extrapolated from a slice."""
    included, correct, _ = make(n, e, trials)
    part = min(SLICE, n) // 8 * 8
    mask, outcomes = unpack(included.part(0, part)), unpack(correct)
    placed = jax.device_put((mask, outcomes))
    ways = {
        "search": (lambda: search(included, correct, 0.15), 1),
        "search_with_top": (lambda: search(included, correct, 0.15, TOP), 1),
        "numpy_two_products": (lambda: numpy_products(mask, outcomes), n / part),
        "jax_one_product": (lambda: jax_product(*placed), n / part),
    }
    times = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, (way, factor) in ways.items():
            taken = factor * seconds(way)
            if turn:  # the first compiles
                times[name].append(taken)
    best = {name: min(taken) for name, taken in times.items()}
    flop = 2 * n * e * trials
    return {
        "n": n,
        "e": e,
        "trials": trials,
        "seconds": {name: round(value, 3) for name, value in best.items()},
        "seconds_of_turns": {k: [round(t, 3) for t in v] for k, v in times.items()},
        "giga_operations_per_second": {k: round(flop / v / 1e9) for k, v in best.items()},
        "search_is_times_numpy": round(best["numpy_two_products"] / best["search"], 1),
        "search_is_times_jax": round(best["jax_one_product"] / best["search"], 1),
        "search_with_top_is_times_numpy": round(
            best["numpy_two_products"] / best["search_with_top"], 1
        ),
        "search_with_top_is_times_jax": round(
            best["jax_one_product"] / best["search_with_top"], 1
        ),
    }


def imagenet_size(n: int, e: int, trials: int) -> dict:
    """Thresholds and top 10 over all pairs; every planted one must be found."""
    included, correct, (rows, columns) = make(n, e, trials)
    before = peak_gib()
    start = time.perf_counter()
    found = search(included, correct, 0.25, TOP, memory=MEMORY)
    taken = time.perf_counter() - start
    pairs = set(zip(found.rows.tolist(), found.columns.tolist(), strict=True))
    planted = list(zip(rows.tolist(), columns.tolist(), strict=True))
    return {
        "n": n,
        "e": e,
        "trials": trials,
        "seconds": round(taken, 1),
        "giga_operations_per_second": round(2 * n * e * trials / taken / 1e9),
        "pairs_found": len(pairs),
        "planted": len(planted),
        "planted_found": sum(pair in pairs for pair in planted),
        "planted_first_of_row": int((found.of_rows.index[rows, 0] == columns).sum()),
        "planted_first_of_column": int((found.of_columns.index[columns, 0] == rows).sum()),
        "memory_gib": MEMORY,
        "peak_gib_before": before,
        "peak_gib": peak_gib(),
    }


def peak_gib() -> float:
    """Of the whole process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def main(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of rows")
    parser.add_argument("--turns", type=int, default=3, help="timings of each way")
    args = parser.parse_args(argv)

    def rows(n: int) -> int:
        return max(2 * PLANTED, round(args.scale * n))

    n, e, trials = rows(1_281_167), 50_000, 2_000
    sizes = [(n // 4, e // 2, trials), (n // 4, e, trials // 2), (n // 4, e, trials)]
    sizes += [(n // 2, e, trials), (n, e, trials)]
    imagenet = []
    for size in sizes:
        imagenet.append(imagenet_size(*size))
        print(imagenet[-1], flush=True)
    mnist = mnist_size(rows(60_000), 10_000, 4_000, args.turns)
    path = RESULTS / f"benchmark_estimator_{jax.default_backend()}.json"
    write(path, {"imagenet_size": imagenet, "mnist_size": mnist})
    print(path.read_text())


if __name__ == "__main__":
    command(main)
