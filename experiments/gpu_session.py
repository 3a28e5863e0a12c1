"""All figures that need a GPU, in one sitting: correctness, speed, and real trials.

    python experiments/gpu_session.py --data-dir=../shared/tfds
    python experiments/gpu_session.py --data-dir=../shared/tfds --small    # a rehearsal

Where there are no prepared data, they travel as two folders of about 55 MB:

    python experiments/gpu_session.py --data-dir=../shared/tfds --pack=.gpu
    python experiments/gpu_session.py --data=.gpu

Each part is a process of its own, ends within nine minutes and writes
experiments/results/gpu/CARD/PART.json; parts that have one are left out unless named in
--parts.

correct    twice the same bits; alone = beside others = across devices; an excluded example
           leaves no trace; the search is NumPy's; the same bits in another process
speed      ms a step and share of the peak, by network, width and precision
mnist      the demo protocol, 4,000 trials: mem, influence, seconds
cifar100   recipes on 70 % of CIFAR-100, then as many trials as --minutes allow
last_layer one network on all of CIFAR-100, and 4,000 linear models on its features
search     the estimator at MNIST's and at ImageNet's size
placement  rows a second from the host against from the device
torch      PyTorch, one model after another: channels last, bfloat16, compiled, CUDA graphs
"""

import argparse
import contextlib
import functools
import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from experiment import RESULTS, command, write
from PIL import Image

import jaxmem
from jaxmem.models import Spec, convolution, make_model
from jaxmem.training.ensemble import Ensemble, make_ensemble
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.recipes import recipe_for
from jaxmem.training.subsets import SubsetRule, subset_size

STRIP = 500  # images in one lossless WebP
QUANTITIES = "test_correct", "train_accuracy", "test_accuracy"
LIMIT = 540  # seconds a part may take


def pack(folder: Path, data_dir: str) -> None:
    """Write MNIST and CIFAR-100 in two folders of about 55 MB each."""
    for number, spans in enumerate(
        (
            {"cifar100-train": (0, 24_000), "cifar100-test": (0, 10_000)},
            {
                "mnist-train": (0, 60_000),
                "mnist-test": (0, 10_000),
                "cifar100-train": (24_000, 50_000),
            },
        ),
        start=1,
    ):
        (folder / str(number)).mkdir(parents=True, exist_ok=True)
        for what, (first, last) in spans.items():
            name, split = what.split("-")
            data = jaxmem.load_dataset(name, data_dir)
            rows = getattr(data, split)
            images = rows.images[first:last]
            with ThreadPoolExecutor() as pool:
                strips = list(
                    pool.map(_encode, np.split(images, range(STRIP, len(images), STRIP)))
                )
            path = folder / str(number) / f"{what}-{first:05d}.npz"
            np.savez(
                path,
                strips=np.frombuffer(b"".join(strips), np.uint8),
                sizes=np.array([len(strip) for strip in strips]),
                shape=images.shape[1:],
                labels=rows.labels[first:last],
            )
            print(path, path.stat().st_size)


def _encode(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    strip = Image.fromarray(images.reshape(-1, *images.shape[2:]).squeeze())
    strip.save(file, "WEBP", lossless=True)
    return file.getvalue()


def _decode(strip: bytes, channels: int) -> np.ndarray:
    image = Image.open(io.BytesIO(strip)).convert("L" if channels == 1 else "RGB")
    return np.asarray(image)


def load(name: str, args: argparse.Namespace) -> jaxmem.Dataset:
    """MNIST or CIFAR-100, packed or from TFDS; few rows of them in a rehearsal."""
    if args.data is None:
        data = jaxmem.load_dataset(name, args.data_dir)
    else:
        splits = []
        for split in ("train", "test"):
            images, labels = [], []
            for path in sorted(args.data.glob(f"*/{name}-{split}-*.npz")):
                with np.load(path) as file:
                    ends = np.cumsum(file["sizes"])[:-1]
                    strips = [part.tobytes() for part in np.split(file["strips"], ends)]
                    shape, part = file["shape"], file["labels"]
                with ThreadPoolExecutor() as pool:
                    rows = list(
                        pool.map(functools.partial(_decode, channels=shape[2]), strips)
                    )
                images.append(np.concatenate(rows).reshape(-1, *shape))
                labels.append(part)
            splits += [np.concatenate(images), np.concatenate(labels)]
        data = jaxmem.make_dataset(name, *splits)._replace(recipes=name)
    return few(data, 400) if args.small else data


def few(data: jaxmem.Dataset, rows: int) -> jaxmem.Dataset:
    """The first so many examples of each split."""
    train, test = (
        type(split)(*(a[:rows] for a in split)) for split in (data.train, data.test)
    )
    return data._replace(train=train, test=test)


@functools.cache
def random_data(dataset: str, rows: int) -> jaxmem.Dataset:
    """As many images of a data set's shape, and its recipes."""
    shape, classes = {"mnist": ((28, 28, 1), 10), "cifar100": ((32, 32, 3), 100)}[dataset]
    images = np.random.default_rng(0).integers(0, 256, (rows, *shape), np.uint8)
    labels = np.arange(rows) % classes
    splits = images, labels, images[:classes], labels[:classes]
    return jaxmem.make_dataset(dataset, *splits)._replace(recipes=dataset)


def ensemble_of(
    data: jaxmem.Dataset,
    model: str,
    placement="device",
    first_steps=None,
    model_options=None,
    **fields,
) -> Ensemble:
    """What `jaxmem.run` trains, without its outcomes; fields of the recipe that differ."""
    n = data.train.labels.size
    rule = SubsetRule(n, subset_size(n, 0.7))
    recipe = recipe_for(data.recipes, model, rule.size, **fields)
    shape = data.train.images.shape[1:]
    spec = Spec(data.num_classes, recipe.hidden, jnp.dtype(recipe.precision), shape)
    made = make_model(model, spec, model_options)
    job = make_job(made, recipe, "packed", rule, data.num_classes, QUANTITIES)
    return make_ensemble(
        job._replace(first_steps=first_steps), data, root_key(0), placement=placement
    )


def trained(ensemble: Ensemble, width: int, trials: list[int]):
    """The states of some trials, side by side."""
    programs = ensemble.programs(width)
    placed = ensemble.place(np.array(trials, np.int32))
    last = ensemble.job.learner.recipe.epochs * ensemble.job.steps
    states = programs.advance(placed, programs.init(placed), 0, last)
    return jax.tree.map(np.asarray, (states.params, programs.evaluate(placed, states)))


def same(a, b) -> bool:
    """Whether all arrays have the same bits."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)


def apart(a, b) -> float:
    """The norm of the difference of all arrays, over the norm of the first."""
    leaves = list(zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))
    return float(
        np.sqrt(
            sum(np.square(np.float64(x) - y).sum() for x, y in leaves)
            / sum(np.square(np.float64(x)).sum() for x, _ in leaves)
        )
    )


# Of each network that is tried on digits: fields that differ from its recipe's.
CORRECT: dict[str, dict] = {
    "mlp": {"epochs": 4},
    "cnn": {"epochs": 2},
    "airbench": {"epochs": 1, "batch_size": 64, "crop": 2, "precision": "bfloat16"},
}
DETERMINISTIC = "--xla_gpu_exclude_nondeterministic_ops=true"


def digits(side: int) -> jaxmem.Dataset:
    """The embedded digits, their 8 x 8 pixels repeated to so many a side."""
    data = jaxmem.load_dataset("digits")

    def larger(rows):
        block = np.ones((1, side // 8, side // 8, 1), rows.images.dtype)
        return rows._replace(images=np.kron(rows.images, block))

    return data._replace(train=larger(data.train), test=larger(data.test))


def correct(args: argparse.Namespace) -> dict:
    """Digits: whose bits depend on what."""
    devices = jax.local_device_count()
    found: dict = {}
    for model, fields in CORRECT.items():
        data = digits(32 if model == "airbench" else 8)
        data = few(data, 128) if args.small else data
        if args.small:  # a CPU is slow in bfloat16
            fields = {**fields, "first_steps": 2, "precision": "float32"}
        ensemble = ensemble_of(data, model, **fields)
        trials = list(range(4 * devices))
        block = trained(ensemble, 1, trials)
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves(block):
            digest.update(np.asarray(leaf).tobytes())
        alone = trained(ensemble, 1, trials[:1] * devices)
        first = [jax.tree.map(lambda a: a[:1], found) for found in (block, alone)]
        garbage = trained(ensemble_of(poisoned(data, ensemble), model, **fields), 1, trials)
        params = block[0], trained(ensemble, 4, trials)[0]
        found[model] = {
            "sha256": digest.hexdigest()[:16],
            "twice_the_same_bits": same(block, trained(ensemble, 1, trials)),
            "alone_the_same_bits": same(*first),
            "poisoned_the_same_bits": same(
                *(jax.tree.map(lambda a: a[0], p[0]) for p in (block, garbage))
            ),
            "four_side_by_side_apart": apart(*params),
            "test_correct": float(np.unpackbits(block[1]["test_correct"]).mean()),
        }
        print(model, json.dumps(found[model]), flush=True)
    return found if args.again else found | {"search": searched(), "again": again(args)}


def poisoned(data: jaxmem.Dataset, ensemble: Ensemble) -> jaxmem.Dataset:
    """With garbage in what trial 0 does not see."""
    mask = np.asarray(ensemble.job.subsets.draw(root_key(0), jnp.int32(0))[1])
    train, rng = data.train, np.random.default_rng(0)
    images = np.where(
        mask[:, None, None, None], train.images, rng.integers(0, 256, train.images.shape)
    )
    labels = np.where(mask, train.labels, (train.labels + 1) % data.num_classes)
    train = train._replace(
        images=images.astype(train.images.dtype), labels=labels.astype(np.int32)
    )
    return data._replace(train=train)


def searched() -> dict:
    """All pairs above a threshold, against NumPy's product."""
    from benchmark_estimator import make, numpy_products, search, unpack

    included, outcomes, _ = make(3_000, 1_000, 500)
    hits = search(included, outcomes, 0.15)
    influence = numpy_products(
        unpack(included).astype(float), unpack(outcomes).astype(float)
    )
    rows, columns = np.nonzero(influence >= 0.15)
    mine = set(zip(hits.rows.tolist(), hits.columns.tolist(), strict=True))
    return {
        "pairs": len(mine),
        "numpy_has_the_same": mine
        == set(zip(rows.tolist(), columns.tolist(), strict=True)),
    }


def again(args: argparse.Namespace) -> list[dict]:
    """The same trainings in other processes, which compile and tune for themselves."""
    running = []
    for number, flags in enumerate(("", "", DETERMINISTIC, DETERMINISTIC)):
        out = args.results / "again" / str(number)
        # A cache of its own: nothing that another process has tuned.
        own = {"XLA_FLAGS": flags, "JAX_COMPILATION_CACHE_DIR": str(out / "cache")}
        arguments = ["--part=correct", "--again", f"--results={out}"]
        arguments += ["--small"] if args.small else []
        line = [sys.executable, os.path.relpath(__file__), *arguments]
        running.append((flags, out, subprocess.Popen(line, env=os.environ | own)))
    found = []
    for flags, out, process in running:
        code = process.wait()
        numbers = json.loads((out / "correct.json").read_text()) if code == 0 else {}
        hashes = {m: of["sha256"] for m, of in numbers.items() if m in CORRECT}
        found.append({"flags": flags, "code": code, "sha256": hashes})
    return found


# (network, data set, precision, widths): what is timed, the most wanted first.
SPEED = (
    ("resnet9", "cifar100", "bfloat16", (1,)),
    ("airbench", "cifar100", "bfloat16", (1,)),
    ("mlp", "mnist", "float32", (1, 16, 64, 256)),
    ("cnn", "mnist", "bfloat16", (1, 16, 64)),
    ("resnet18", "cifar100", "bfloat16", (1,)),
    ("resnet50", "cifar100", "bfloat16", (1,)),
    ("mlp", "mnist", "bfloat16", (64, 256)),
    ("cnn", "mnist", "float32", (64,)),
    ("resnet9", "cifar100", "float32", (1,)),
    ("resnet9", "cifar100", "bfloat16", (4,)),
)
STEPS = 30  # that are timed


def speed(args: argparse.Namespace) -> dict:
    """Of random images: only their shapes matter."""
    from benchmark_convolution import flop_of

    peaks = {
        kind: peak(jnp.dtype(kind), 512 if args.small else 8192)
        for kind in ("float32", "bfloat16")
    }
    found: dict = {"peak_flop_per_second": peaks}
    print(peaks, flush=True)
    rows = 400 if args.small else 50_000

    def add(key: str, model: str, dataset: str, precision: str, width: int) -> None:
        fields = {"batch_size": 16} if args.small else {}
        ensemble = ensemble_of(
            random_data(dataset, rows),
            model,
            first_steps=2 if args.small else STEPS,
            precision=precision,
            **fields,
        )
        programs = ensemble.programs(width)
        trials = ensemble.place(np.arange(width * ensemble.mesh.size, dtype=np.int32))
        started = time.perf_counter()
        states = programs.advance(trials, programs.init(trials), 0, ensemble.job.steps)
        jax.block_until_ready(states)
        first = time.perf_counter() - started
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            states = programs.advance(trials, states, 0, ensemble.job.steps)
            jax.block_until_ready(states)
            taken.append(time.perf_counter() - started)
        steps = ensemble.job.steps * width
        batch = ensemble.job.subsets.size / ensemble.job.learner.steps
        flop = flop_of(ensemble) * batch * steps / min(taken)
        found[key] = {
            "ms_a_model_step": 1e3 * min(taken) / steps,
            "batch": batch,
            "tflop_per_second": flop / 1e12,
            "share_of_peak": flop / peaks[precision],
            "first_call_seconds": first,
        }
        print(key, {k: round(v, 4) for k, v in found[key].items()}, flush=True)
        write(args.results / "speed.json", found)

    for model, dataset, precision, widths in SPEED[2:8:5] if args.small else SPEED:
        for width in widths[:2] if args.small else widths:
            try:
                add(
                    f"{model}, {precision}, width {width}", model, dataset, precision, width
                )
            except jax.errors.JaxRuntimeError as error:
                found[f"{model}, {precision}, width {width}"] = str(error).splitlines()[0]
    with old_forward():
        key = "resnet9, bfloat16, width 1, float32 results asked for"
        add(key, *SPEED[7 if args.small else 0][:3], 1)
    return found


@contextlib.contextmanager
def old_forward():
    """Forward convolutions as they were: results asked for in float32."""

    def native(g, images, kernel):
        wide = jax.lax.conv_general_dilated(
            images,
            kernel,
            g.strides,
            g.padding,
            dimension_numbers=convolution.DIMENSIONS,
            preferred_element_type=jnp.float32,
        )
        return wide.astype(images.dtype)

    def old_ways(g):
        forward, *gradients = ways(g)
        return forward._replace(native=native), *gradients

    ways, convolution._ways = convolution._ways, old_ways
    convolution._convolution.cache_clear()
    try:
        yield
    finally:
        convolution._ways = ways
        convolution._convolution.cache_clear()


def peak(dtype, side: int) -> float:
    """Operations a second of a product of two matrices."""
    key = jax.random.key(0)
    a, b = (jax.random.normal(k, (side, side), dtype) for k in jax.random.split(key))
    product = jax.jit(lambda a, b: a @ b)
    jax.block_until_ready(product(a, b))
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(10):
            out = product(a, b)
        jax.block_until_ready(out)
        taken.append((time.perf_counter() - started) / 10)
    return 2 * side**3 / min(taken)


def mnist(args: argparse.Namespace) -> dict:
    """The demo protocol in float32, and some of it in bfloat16."""
    from mnist_demo import halves

    data = load("mnist", args)
    fields = {"epochs": 1} if args.small else {}
    trials, fewer = (8, 4) if args.small else (4000, 1000)
    run, seconds = timed_run(data, trials, args, "mnist", model="mlp", **fields)
    rounded, of_rounded = timed_run(
        data, fewer, args, "mnist-bfloat16", model="mlp", precision="bfloat16", **fields
    )
    started = time.perf_counter()
    pairs = run.pairs()
    keep(run, args, "mnist")
    if not args.small:
        from jaxmem.reporting import figures

        figures.save_all(run, data, pairs, mem_threshold=0.25)
        for picture in run.workdir.glob("*.png"):
            shutil.copy(picture, args.results / f"mnist_{picture.name}")
    return summary(run, seconds) | {
        "pairs": int(pairs.infl.size),
        "train_examples_in_pairs": int(np.unique(pairs.tr_idx).size),
        "test_examples_in_pairs": int(np.unique(pairs.tt_idx).size),
        "seconds_of_pairs_and_pictures": round(time.perf_counter() - started, 1),
        "halves": halves(run),
        "bfloat16": summary(rounded, of_rounded),
    }


def timed_run(data, trials: int, args: argparse.Namespace, name: str, **arguments):
    """A run, and the seconds that it took with compiling and planning."""
    started = time.perf_counter()
    run = jaxmem.run_trials(data, trials, args.results / "workdirs" / name, **arguments)
    return run, round(time.perf_counter() - started, 1)


def summary(run: jaxmem.Run, seconds: float) -> dict:
    """How good the models are, and what they memorize."""
    known = run.memorization[np.isfinite(run.memorization)]
    plans = json.loads((run.workdir / "plan.json").read_text())
    return {
        "trials": int(run.trials.size),
        "diverged": int(run.diverged),
        "seconds": seconds,
        "trials_an_hour": round(3600 * run.trials.size / seconds),
        "plans": plans,
        "test_accuracy": [float(run.test_accuracy.mean()), float(run.test_accuracy.std())],
        "train_accuracy": [
            float(run.train_accuracy.mean()),
            float(run.train_accuracy.std()),
        ],
        "memorized_share": float((known >= 0.25).mean()),
        "memorized": int((known >= 0.25).sum()),
        "estimated": int(known.size),
        "median_standard_error": float(np.nanmedian(run.memorization_se)),
    }


def keep(run: jaxmem.Run, args: argparse.Namespace, name: str) -> None:
    """What trials said, as packed bits in xz; their subsets follow from the seed."""
    bits = {
        "train_correct": np.packbits(run.train_correct, axis=1),
        "test_correct": np.packbits(run.test_correct, axis=1),
    }
    file = io.BytesIO()
    np.savez(file, trials=run.trials, **bits)
    path = args.results / f"{name}_outcomes.npz.xz"
    path.write_bytes(lzma.compress(file.getvalue(), preset=1))
    print(path, path.stat().st_size, flush=True)


# Of CIFAR-100's recipes that are tried before one is taken.
CANDIDATES: dict[str, dict] = {
    "airbench, 10 epochs": {"model": "airbench", "epochs": 10, "warmup": 2.0},
    "resnet9, 12 epochs": {"model": "resnet9", "epochs": 12, "warmup": 2.4},
    "resnet9, 18 epochs": {"model": "resnet9", "epochs": 18, "warmup": 3.6},
    "resnet9, 24 epochs": {"model": "resnet9", "epochs": 24, "warmup": 4.8},
    "resnet9, 30 epochs": {"model": "resnet9", "epochs": 30, "warmup": 6.0},
    "resnet9, 36 epochs": {"model": "resnet9", "epochs": 36, "warmup": 7.0},
}
FITTED = 0.99  # train accuracy that memorization asks for


def cifar100(args: argparse.Namespace) -> dict:
    """A trial of each candidate; then many of the quickest that fits its subset."""
    data = load("cifar100", args)
    ending = time.perf_counter() + 60 * args.minutes
    small = {"epochs": 1, "warmup": 0.0, "batch_size": 32, "precision": "float32"}
    recipes = {
        name: {"precision": "bfloat16", **candidate} | (small if args.small else {})
        for name, candidate in CANDIDATES.items()
    }

    def attempt(name: str):
        """A call that trains trial 0 and says how well; compiled."""
        ensemble = ensemble_of(data, **recipes[name])
        programs = ensemble.programs(1)
        trials = ensemble.place(np.arange(ensemble.mesh.size, dtype=np.int32))
        epochs = ensemble.job.learner.recipe.epochs

        def call() -> dict:
            started = time.perf_counter()
            last = epochs * ensemble.job.steps
            states = programs.advance(trials, programs.init(trials), 0, last)
            outcomes = jax.tree.map(np.asarray, programs.evaluate(trials, states))
            seconds = (time.perf_counter() - started) / trials.size
            wanted = "train_accuracy", "test_accuracy"
            return {what: float(outcomes[what].mean()) for what in wanted} | {
                "seconds_a_trial": seconds
            }

        call()
        return call

    with ThreadPoolExecutor() as pool:  # they compile at the same time
        calls = dict(zip(recipes, pool.map(attempt, recipes), strict=True))
    found: dict = {"candidates": {name: call() for name, call in calls.items()}}
    print(json.dumps(found, indent=1), flush=True)
    write(args.results / "cifar100.json", found)
    costs = {name: of["seconds_a_trial"] for name, of in found["candidates"].items()}
    fit = [n for n, of in found["candidates"].items() if of["train_accuracy"] >= FITTED]
    best = min(fit or costs, key=costs.__getitem__)
    trials = max(4, int((ending - time.perf_counter()) / costs[best]))
    trials = 4 if args.small else trials
    print(f"{best}: {trials} trials", flush=True)
    run, seconds = timed_run(data, trials, args, "cifar100", width=1, **recipes[best])
    keep(run, args, "cifar100")
    return found | {"taken": best, "run": summary(run, seconds)}


def last_layer(args: argparse.Namespace) -> dict:
    """The network that `cifar100` takes, on all of it; what linear models make of it."""
    from last_layer import LINEAR, standardized
    from last_layer import summary as summary_of

    data = load("cifar100", args)
    known = args.results / "cifar100.json"
    taken = json.loads(known.read_text()).get("taken") if known.exists() else None
    recipe = {"precision": "bfloat16", **CANDIDATES[taken or "resnet9, 36 epochs"]}
    linear = {**LINEAR, "batch_size": 512, "learning_rate": 0.08}  # fewer, larger steps
    if args.small:
        recipe |= {"epochs": 1, "warmup": 0.0, "batch_size": 32, "precision": "float32"}
        linear |= {"epochs": 2, "batch_size": 32}
    network = jaxmem.run_trials(
        data,
        workdir=args.results / "workdirs" / "cifar100-whole",
        masks=np.ones((1, data.train.labels.size), bool),
        keep_models=True,
        **recipe,
    )
    features = standardized(jaxmem.extract_features(network.workdir, data))
    run, seconds = timed_run(
        features, 8 if args.small else 4000, args, "last-layer", model="linear", **linear
    )
    return {
        "network": taken,
        "features": int(features.train.images.size // features.train.labels.size),
        "network_test_accuracy": float(network.test_accuracy[0]),
        "network_train_accuracy": float(network.train_accuracy[0]),
        "linear": summary_of(run) | summary(run, seconds),
    }


def search_(args: argparse.Namespace) -> dict:
    """The estimator, against one JAX product at MNIST's size."""
    from benchmark_estimator import imagenet_size, mnist_size

    scale = 0.01 if args.small else 1
    small = mnist_size(
        int(60_000 * scale), max(500, int(10_000 * scale)), int(4_000 * scale), 2
    )
    print(small, flush=True)
    sizes = [
        (max(400, int(1_281_167 * part * scale)), 50_000 if scale == 1 else 500, 2_000)
        for part in (0.25, 1)
    ]
    return {"mnist_size": small, "imagenet_size": [imagenet_size(*size) for size in sizes]}


def placement(args: argparse.Namespace) -> dict:
    """Rows a second from the device, and from the host."""
    found: dict = {}
    for model, name, width, steps in (
        ("mlp", "mnist", 16, None),
        ("resnet9", "cifar100", 1, 60),
    ):
        try:
            data = load(name, args)
        except (ValueError, jaxmem.InputError):
            continue  # it did not travel
        precision = "float32" if args.small else "bfloat16"
        fields = {"epochs": 1, "warmup": 0.0, "precision": precision}
        fields |= {"batch_size": 32} if args.small else {}
        rates: dict[str, list[float]] = {"device": [], "host": []}
        ensembles = {
            place: ensemble_of(data, model, place, 2 if args.small else steps, **fields)
            for place in rates
        }
        for turn in range(4):
            for place, ensemble in ensembles.items():
                programs = ensemble.programs(width)
                trials = ensemble.place(
                    np.arange(width * ensemble.mesh.size, dtype=np.int32)
                )
                states = jax.block_until_ready(programs.init(trials))
                started = time.perf_counter()
                states = programs.advance(trials, states, 0, ensemble.job.steps)
                jax.block_until_ready(states)
                rows = (
                    trials.size
                    * ensemble.job.steps
                    * ensemble.job.learner.recipe.batch_size
                )
                if turn:  # the first compiles
                    rates[place].append(rows / (time.perf_counter() - started))
        medians = {place: float(np.median(rate)) for place, rate in rates.items()}
        found[f"{model}, {name}, width {width}"] = medians | {
            "ratio": medians["host"] / medians["device"],
            "turns": rates,
        }
        print(model, medians, flush=True)
    return found


def torch_(args: argparse.Namespace) -> dict:
    """ms a step of the same networks, batch and precision in PyTorch."""
    import torch
    from benchmark_convolution import torch_network

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    mlp = torch.nn.Sequential(
        torch.nn.Flatten(),
        *(torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 256)),
        *(torch.nn.ReLU(), torch.nn.Linear(256, 10)),
    )
    digit, picture = (128, 1, 28, 28), (508, 3, 32, 32)
    networks = {
        "resnet9": (torch_network("resnet9", 3, 100), picture, torch.bfloat16),
        "mlp": (mlp, digit, torch.float32),
        "cnn": (torch_network("cnn", 1, 10), digit, torch.bfloat16),
        "resnet18": (torch_network("resnet18", 3, 100), picture, torch.bfloat16),
    }
    found: dict = {"torch": torch.__version__}
    if args.small:
        networks = {"cnn": networks["cnn"]}
    for name, (net, shape, dtype) in networks.items():
        for compiled in (False,) if args.small else (False, True):
            key = f"{name}{', compiled with CUDA graphs' if compiled else ''}"
            found[key] = torch_step(net, shape, dtype, compiled, 2 if args.small else 50)
            print(key, found[key], flush=True)
            write(args.results / "torch.json", found)
    return found


def torch_step(net, shape: tuple[int, ...], dtype, compiled: bool, steps: int) -> dict:
    """Times of training a network on random images."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = net.to(device).to(memory_format=torch.channels_last)
    images = torch.rand(8 * shape[0], *shape[1:], device=device)
    images = images.contiguous(memory_format=torch.channels_last).split(shape[0])
    labels = torch.randint(10, (8, shape[0]), device=device)
    sgd = torch.optim.SGD(net.parameters(), 0.01, 0.9, foreach=True)
    forward = torch.compile(net, mode="reduce-overhead") if compiled else net

    def train(steps: int) -> float:
        started = time.perf_counter()
        for k in range(steps):
            with torch.autocast(device, torch.bfloat16, enabled=dtype is torch.bfloat16):
                logits = forward(images[k % 8])
                loss = torch.nn.functional.cross_entropy(logits, labels[k % 8])
            sgd.zero_grad(set_to_none=True)
            loss.backward()
            sgd.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    first = train(5)
    return {
        "ms_a_step": 1e3 * min(train(steps) for _ in range(3)) / steps,
        "first_five_seconds": first,
    }


PARTS = {
    "correct": correct,
    "speed": speed,
    "mnist": mnist,
    "cifar100": cifar100,
    "last_layer": last_layer,
    "search": search_,
    "placement": placement,
    "torch": torch_,
}


def card() -> str:
    """The GPU, as in h100; cpu without one. JAX is not asked: it would take its memory."""
    command_line = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    with contextlib.suppress(FileNotFoundError):
        out = subprocess.run(command_line, capture_output=True, text=True)
        if out.returncode == 0:  # NVIDIA H100 80GB HBM3
            return out.stdout.split()[1].lower()
    return "cpu"


def main(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder that --pack wrote")
    parser.add_argument("--data-dir", help="where TFDS keeps MNIST and CIFAR-100")
    parser.add_argument(
        "--pack", type=Path, help="write the data into this folder, and stop"
    )
    parser.add_argument("--parts", help="default: those without a result")
    parser.add_argument("--minutes", type=float, default=8.0, help="of cifar100")
    parser.add_argument("--results", type=Path, help="default: by the card's name")
    parser.add_argument(
        "--small", action="store_true", help="a rehearsal on a few examples"
    )
    parser.add_argument("--part", help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.results = args.results or RESULTS / "gpu" / card()
    args.results.mkdir(parents=True, exist_ok=True)
    if args.pack:
        return pack(args.pack, args.data_dir)
    if args.part:
        started = time.perf_counter()
        numbers = PARTS[args.part](args)
        numbers["seconds_of_the_part"] = round(time.perf_counter() - started, 1)
        numbers["device_kind"] = jax.devices()[0].device_kind
        write(args.results / f"{args.part}.json", numbers)
        return None
    missing = [part for part in PARTS if not (args.results / f"{part}.json").exists()]
    for part in args.parts.split(",") if args.parts else missing:
        command_line = [
            sys.executable,
            os.path.relpath(__file__),
            *sys.argv[1:],
            f"--part={part}",
        ]
        # Its processes share the card.
        shares = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if part == "correct" else {}
        started = time.perf_counter()
        try:
            code = subprocess.run(
                command_line, timeout=LIMIT, env=os.environ | shares
            ).returncode
        except subprocess.TimeoutExpired:
            code = "stopped"
        print(f"=== {part}: {code}, {time.perf_counter() - started:.0f} s", flush=True)
    return None


if __name__ == "__main__":
    command(main)
