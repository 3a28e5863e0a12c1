"""How fast jaxmem trains, against three ways to train one model after another.

    python experiments/benchmark_training.py --data-dir=../shared/tfds

For the digits recipe and the MNIST demo protocol (PAPER: 784-512-256-10, batch 128), in
included examples a second, all interleaved in one run, since machines are noisy:

jaxmem  `Ensemble.programs`, at the width that `make_plan` chooses
host    the same step, jitted, called from a Python loop over batches
scan    the same training of one model after another in one `lax.map`, one device
torch   PyTorch, one model after another, with one thread or all, whichever is faster (pip
        install torch==2.13.0; left out if absent)

Each ratio is the median over turns of jaxmem's rate over the other's in the same turn. The
fraction of the peak compares multiply-adds of the layers alone (no gradient for the input)
with a float32 product of two 2048 x 2048 matrices timed in the same turn. Takes about six
minutes on two cores; writes experiments/results/benchmark_training_<device>.json.
"""

import argparse
import itertools
import os
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from experiment import save

from jaxmem import load_dataset
from jaxmem._shared.devices import use_all_cores
from jaxmem.models import Spec, make_model
from jaxmem.running.planning import make_plan
from jaxmem.training.batches import epoch_batches
from jaxmem.training.ensemble import make_ensemble
from jaxmem.training.fitting import train_step
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.recipes import recipe_for
from jaxmem.training.subsets import (
    Subset,
    SubsetRule,
    draw_subset,
    inclusion_mask,
    subset_size,
)
from jaxmem.training.trial import advance_trial, init_trial

MODELS = {"digits": 32, "mnist": 2}  # that jaxmem trains in one turn, about


def make(name: str, data_dir: str | None):
    """The ensemble of a dataset's own recipe."""
    data = load_dataset(name, data_dir)
    recipe = recipe_for(data.recipes, "mlp", m=1)  # both have one of their own
    n = data.train.labels.size
    model = make_model("mlp", Spec(data.num_classes, recipe.hidden))
    job = make_job(model, recipe, "packed", SubsetRule(n, subset_size(n, 0.7)), 10)
    return make_ensemble(job, data, root_key(0))


def jaxmem_way(ensemble, models: int):
    """(models a call, the call, the plan)."""
    plan = make_plan(ensemble)
    count = plan.devices * plan.width * max(1, models // (plan.devices * plan.width))
    programs = ensemble.programs(plan.width)
    trials = ensemble.place(np.arange(count, dtype=np.int32))
    last = ensemble.job.learner.recipe.epochs * ensemble.job.steps
    train = lambda: programs.advance(trials, programs.init(trials), 0, last)  # noqa: E731
    return count, train, plan


def scan_way(ensemble, models: int):
    """One model after another inside one program, on one device."""
    job, _, data, root = ensemble[:4]
    first = jax.local_devices()[0]
    data, root = jax.device_put((jax.tree.map(np.asarray, data), root), first)

    @jax.jit
    def program(data, root, trials):
        def one(trial):
            state = init_trial(job, data, root, trial)
            epochs = job.learner.recipe.epochs
            return advance_trial(job, data, root, trial, state, 0, epochs).params

        return jax.lax.map(one, trials)

    return models, lambda: program(data, root, jnp.arange(models))


def host_way(ensemble, models: int):
    """One model after another, one jitted step a batch."""
    job, _, data, root = ensemble[:4]
    first = jax.local_devices()[0]
    data, root = jax.device_put((jax.tree.map(np.asarray, data), root), first)
    n = data.train_labels.size

    start = jax.jit(lambda trial: init_trial(job, data, root, trial))
    subset_of = jax.jit(lambda trial: draw_subset(root, trial, n, job.subsets.size))

    @jax.jit
    def batches_of(trial, epoch, subset):
        mask = inclusion_mask(subset, n)
        given = Subset(subset, job.subsets.size)
        made = epoch_batches("packed", root, trial, epoch, given, mask, job.learner.steps)
        return tuple(made.index), tuple(made.weight)

    @jax.jit
    def step(state, images, labels, index, weight):
        batch = images[index], labels[index], weight
        return train_step(job.learner, state, *batch)[0]

    def run():
        finished = []
        for trial in range(models):
            state, subset = start(trial), subset_of(trial)
            for epoch in range(job.learner.recipe.epochs):
                for index, weight in zip(*batches_of(trial, epoch, subset), strict=True):
                    state = step(state, data.train_images, data.train_labels, index, weight)
            finished.append(state.params)
        return finished

    return models, run


def torch_way(ensemble, models: int):
    """The same protocol in PyTorch, one model after another."""
    import torch

    job, _, data, _ = ensemble
    recipe, m = job.learner.recipe, job.subsets.size
    images = np.asarray(data.train_images, np.float32).reshape(data.train_labels.size, -1)
    images = torch.tensor(images / (255 if data.train_images.dtype == np.uint8 else 1))
    labels = torch.tensor(np.asarray(data.train_labels), dtype=torch.long)
    widths = [images.shape[1], *recipe.hidden, 10]

    def run(models=models):
        for _ in range(models):
            layers = []
            for a, b in itertools.pairwise(widths):
                layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
            net = torch.nn.Sequential(*layers[:-1])
            loss = torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
            sgd = torch.optim.SGD(net.parameters(), recipe.learning_rate, recipe.momentum)
            total = recipe.epochs * job.learner.steps
            decay = torch.optim.lr_scheduler.LinearLR(sgd, 1.0, 0.0, total)
            subset = torch.randperm(labels.numel())[:m]
            for _ in range(recipe.epochs):
                for rows in subset[torch.randperm(m)].split(recipe.batch_size):
                    sgd.zero_grad()
                    loss(net(images[rows]), labels[rows]).backward()
                    sgd.step()
                    if recipe.schedule == "linear":
                        decay.step()

    timed = {}
    for threads in (1, os.cpu_count()):
        torch.set_num_threads(threads)
        timed[threads] = min(seconds(lambda: run(1)) for _ in range(2))
    torch.set_num_threads(min(timed, key=timed.get))
    print(f"PyTorch: {torch.get_num_threads()} threads of {sorted(timed)}")
    return models, run


def flop_per_example(ensemble) -> int:
    """Of the matrix products of one training step, an example."""
    images = ensemble.data.train_images
    widths = [int(np.prod(images.shape[1:])), *ensemble.job.learner.recipe.hidden, 10]
    products = [a * b for a, b in itertools.pairwise(widths)]
    return 2 * (3 * sum(products) - products[0])


def peak_way(size: int = 2048):
    """(floating-point operations, one float32 product of all cores)."""
    a = jax.device_put(np.ones((size, size), np.float32), jax.local_devices()[0])
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    return 2 * size**3, lambda: product(a)


def seconds(call) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def compare(name: str, data_dir: str | None, turns: int) -> dict:
    """Time every way `turns` times, in turns."""
    ensemble = make(name, data_dir)
    job = ensemble.job
    models, call, plan = jaxmem_way(ensemble, MODELS[name])
    ways = {"jaxmem": (models, call)}
    ways["host"] = host_way(ensemble, max(1, models // 4))
    ways["scan"] = scan_way(ensemble, max(1, models // 2))
    try:
        ways["torch"] = torch_way(ensemble, max(1, models // 4))
    except ImportError:
        print("PyTorch is not installed: left out")
    flop, product = peak_way()
    for _, call in [*ways.values(), (0, product)]:
        jax.block_until_ready(call())
    examples = job.subsets.size * job.learner.recipe.epochs
    rates: dict[str, list[float]] = {way: [] for way in ways}
    peaks = []
    for _ in range(turns):
        peaks.append(flop / min(seconds(product) for _ in range(5)))
        for way, (count, call) in ways.items():
            rates[way].append(count * examples / seconds(call))
    median = {way: statistics.median(r) for way, r in rates.items()}
    ratios = {
        way: statistics.median(
            ours / theirs for ours, theirs in zip(rates["jaxmem"], rates[way], strict=True)
        )
        for way in ways
    }
    per_example = flop_per_example(ensemble)
    shares = {
        way: statistics.median(
            rate * per_example / peak for rate, peak in zip(r, peaks, strict=True)
        )
        for way, r in rates.items()
    }
    print(f"\n{name}: {plan}, peak {statistics.median(peaks) / 1e9:.0f} GFLOP/s")
    for way, rate in median.items():
        print(
            f"{way:8}{rate:12,.0f} included examples/s   {shares[way]:5.1%} of the peak   "
            f"jaxmem is {ratios[way]:.2f} x"
        )
    return {
        "plan": plan._asdict(),
        "examples_per_second": median,
        "jaxmem_over": ratios,
        "fraction_of_peak": shares,
        "turns": rates,
        "peak_flop_per_second_of_turns": peaks,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where TFDS keeps MNIST")
    parser.add_argument("--datasets", default="digits,mnist")
    parser.add_argument("--turns", type=int, default=7)
    args = parser.parse_args()
    use_all_cores()
    numbers = {
        name: compare(name, args.data_dir, args.turns) for name in args.datasets.split(",")
    }
    backend = jax.default_backend()
    print(save(f"benchmark_training_{backend}", numbers))


if __name__ == "__main__":
    main()
