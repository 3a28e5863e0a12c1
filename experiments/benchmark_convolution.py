"""How fast jaxmem trains convolutional networks, against four other ways.

    python experiments/benchmark_convolution.py --data-dir=../shared/tfds

`cnn` on MNIST's 28 x 28, `resnet9` and `resnet18` on CIFAR-100's 32 x 32 images, batch 128,
float32, no augmentation, in included examples a second, all in one run:

jaxmem   `Ensemble.programs`, at the width that `make_plan` chooses
vmap     `jax.vmap` of the same network as one would write it, with `lax.conv` and
         `lax.reduce_window`, 4 models side by side on each device
scan     that network, one model after another on each device, in `lax.scan`
torch    PyTorch, channels last, one model after another, all threads
compiled the same under torch.compile, where a C++ compiler is found

vmap and scan are so slow on ResNets that they are timed once, on batches of 4 and 16. The
fraction of the peak compares multiply-adds of convolutions and head (no gradient for the
input) with a float32 product of two 2048 x 2048 matrices timed in the same turns. A profile
says where jaxmem's time goes. Takes about fifteen minutes on two cores; writes
experiments/results/benchmark_convolution_<device>.json. On a GPU, --precision=bfloat16
--widths=1,4,16,64 gives models an hour and utilisation against width.
"""

import argparse
import collections
import contextlib
import gzip
import json
import math
import re
import shutil
import statistics
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from benchmark_training import peak_way, seconds
from experiment import save
from jax import lax

import jaxmem
from jaxmem._shared.devices import use_all_cores
from jaxmem.data import Dataset
from jaxmem.models import Spec, convolution, layers, make_model
from jaxmem.running.planning import make_plan
from jaxmem.training.ensemble import make_ensemble
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.subsets import SubsetRule

DATASETS = {"cnn": "mnist", "resnet9": "cifar100", "resnet18": "cifar100"}
STEPS = {"cnn": 40, "resnet9": 4, "resnet18": 2}  # that a model trains in one call
SLOW_BATCH = {"cnn": (128, 128), "resnet9": (4, 16), "resnet18": (4, 16)}  # vmap, scan
WIDTH_OF_VMAP = 4


@contextlib.contextmanager
def lax_layers():
    """Every layer traced inside uses `lax.conv_general_dilated` and `lax.reduce_window`."""
    our_pool = layers.max_windows

    def pool(g, x):
        sides = ((0, 0), *g.padding, (0, 0))
        windows = (1, *g.window, 1), (1, *g.strides, 1)
        return lax.reduce_window(x, -jnp.inf, lax.max, *windows, sides)

    def conv(images, kernel, strides, padding):
        dimensions = convolution.DIMENSIONS
        return lax.conv_general_dilated(
            images, kernel, strides, padding, dimension_numbers=dimensions
        )

    layers.max_windows = pool
    try:
        with convolution_by(conv):
            yield
    finally:
        layers.max_windows = our_pool


@contextlib.contextmanager
def convolution_by(conv):
    """Every convolution traced inside is this function's."""
    ours, convolution.conv = convolution.conv, conv
    try:
        yield
    finally:
        convolution.conv = ours


def make(name: str, data: Dataset, batch: int, steps: int, precision: str = "float32"):
    """An ensemble whose epochs are `steps` batches of the network."""
    rows = batch * steps
    split = data.train._replace(
        images=data.train.images[: rows + batch], labels=data.train.labels[: rows + batch]
    )
    test = data.test._replace(
        images=data.test.images[:1000], labels=data.test.labels[:1000]
    )
    data = data._replace(train=split, test=test)
    recipe = Recipe(epochs=1, batch_size=batch, precision=precision, standardize=False)
    spec = Spec(data.num_classes, (), jnp.dtype(precision))
    subsets, model = SubsetRule(rows + batch, rows), make_model(name, spec)
    job = make_job(model, recipe, "packed", subsets, data.num_classes)
    return make_ensemble(job, data, root_key(0))


def call_of(ensemble, width: int):
    """(examples a call, the call) that trains width models on each device for an epoch."""
    programs = ensemble.programs(width)
    trials = ensemble.place(np.arange(ensemble.mesh.size * width, dtype=np.int32))

    def call():
        return programs.advance(trials, programs.init(trials), 0, ensemble.job.steps)

    return trials.size * ensemble.job.subsets.size, call


def torch_network(name: str, channels: int, classes: int):
    """The same architectures in PyTorch."""
    from torch import nn

    def conv(inside, outside, stride=1, kernel=3, pool=False):
        first = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(
            first, *[nn.MaxPool2d(2)] * pool, nn.BatchNorm2d(outside), nn.ReLU()
        )

    class Residual(nn.Module):
        def __init__(self, body, skip=None, relu=False):
            super().__init__()
            self.body, self.skip = body, skip or nn.Identity()
            self.last = nn.ReLU() if relu else nn.Identity()

        def forward(self, x):
            return self.last(self.body(x) + self.skip(x))

    def block(inside, outside, stride):
        body = nn.Sequential(
            conv(inside, outside, stride), *list(conv(outside, outside))[:-1]
        )
        same = inside == outside
        skip = None if same else conv(inside, outside, stride, kernel=1)[:-1]
        return Residual(body, skip, relu=True)

    if name == "cnn":
        stack = []
        for inside, outside in ((channels, 16), (16, 32)):
            stack += [nn.Conv2d(inside, outside, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
        return nn.Sequential(*stack, nn.Flatten(), nn.Linear(32 * 49, classes))
    if name == "resnet9":
        stack = [conv(channels, 64), conv(64, 128, pool=True)]
        stack += [Residual(nn.Sequential(conv(128, 128), conv(128, 128)))]
        stack += [conv(128, 256, pool=True), conv(256, 512, pool=True)]
        stack += [Residual(nn.Sequential(conv(512, 512), conv(512, 512)))]
        head = [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(512, classes, bias=False)]
        return nn.Sequential(*stack, *head)
    stack = [conv(channels, 64)]
    for stage in range(4):
        inside, outside = 64 * 2 ** max(stage - 1, 0), 64 * 2**stage
        stack += [block(inside, outside, 2 if stage else 1), block(outside, outside, 1)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)]
    return nn.Sequential(*stack, *head)


def torch_way(name: str, ensemble, classes: int, compiled: bool):
    """(examples a call, the call): PyTorch, the same number of steps of one model."""
    import torch

    data, recipe = ensemble.data, ensemble.job.learner.recipe
    images = torch.tensor(np.asarray(data.train_images, np.float32) / 255)
    images = images.permute(0, 3, 1, 2).to(memory_format=torch.channels_last)
    labels = torch.tensor(np.asarray(data.train_labels), dtype=torch.long)
    net = torch_network(name, images.shape[1], classes)
    net = net.to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), recipe.learning_rate, recipe.momentum)
    loss = torch.nn.CrossEntropyLoss()
    forward = torch.compile(net) if compiled else net

    def call():
        for rows in torch.randperm(ensemble.job.subsets.size).split(recipe.batch_size):
            sgd.zero_grad()
            loss(forward(images[rows]), labels[rows]).backward()
            sgd.step()

    return ensemble.job.subsets.size, call


def flop_per_example(model, shape: tuple[int, ...]) -> int:
    """Of the products of a training step: three a layer, two for the first.

    shape: of an image, [H, W, C].
    """
    products, ours = [], convolution.conv

    def record(images, kernel, *how, **ways):
        out = ours(images, kernel, *how, **ways)
        products.append(math.prod(out.shape[1:3]) * math.prod(kernel.shape))
        return out

    def forward(image):
        params, state = model.init(jax.random.key(0), image)
        products.clear()
        model.apply(params, state, image[None], None)
        return params

    with convolution_by(record):
        params = jax.eval_shape(forward, jax.ShapeDtypeStruct(shape, jnp.float32))
    products += [leaf.size for leaf in jax.tree.leaves(params) if leaf.ndim == 2]
    return 2 * (3 * sum(products) - products[0])


def flop_of(ensemble) -> int:
    """`flop_per_example` of what an ensemble trains."""
    shape = ensemble.data.train_images.shape[1:]
    return flop_per_example(ensemble.job.learner.model, shape)


KINDS = {
    "convolutions (library)": r"ynn_fusion|convolution",
    "products of kernel gradients and head": r"dot",
    "patches": r"concatenate|pad",
}


def profile(call) -> dict[str, float]:
    """Shares of the time of all XLA operations, by kind."""
    folder = tempfile.mkdtemp()
    with jax.profiler.trace(folder, create_perfetto_trace=True):
        jax.block_until_ready(call())
    (path,) = Path(folder).glob("plugins/profile/*/perfetto_trace.json.gz")
    events = json.loads(gzip.open(path).read())
    events = events["traceEvents"] if isinstance(events, dict) else events
    shutil.rmtree(folder)
    spent: collections.Counter = collections.Counter()
    for event in events:
        name = event.get("name", "")
        loop = re.match(r"while|call|conditional", name)  # its operations count themselves
        if event.get("ph") != "X" or "hlo_op" not in event.get("args", {}) or loop:
            continue
        kind = next((k for k, p in KINDS.items() if re.search(p, name)), "elementwise")
        spent[kind] += event["dur"]
    return {kind: time / spent.total() for kind, time in spent.most_common()}


def compare(name: str, data: Dataset, turns: int) -> dict:
    """Time the fast ways in turns, the slow ones once."""
    ensemble = make(name, data, 128, STEPS[name])
    plan = make_plan(ensemble)
    ways = {"jaxmem": call_of(ensemble, plan.width)}
    slow = {}
    with lax_layers():
        for way, width, batch in zip(
            ("vmap", "scan"), (WIDTH_OF_VMAP, 1), SLOW_BATCH[name], strict=True
        ):
            one = make(name, data, batch, steps=2 if name == "cnn" else 1)
            slow[way] = call_of(one, width)
        naive = {}
        for way, (examples, call) in slow.items():
            seconds(call)  # compiles
            naive[way] = examples / seconds(call)
            print(name, way, naive[way], flush=True)
    try:
        ways["torch"] = torch_way(name, ensemble, data.num_classes, compiled=False)
        if shutil.which("g++"):
            ways["compiled"] = torch_way(name, ensemble, data.num_classes, compiled=True)
    except ImportError:
        print("PyTorch is not installed: left out")
    flop, product = peak_way()
    for _, call in [*ways.values(), (0, product)]:
        jax.block_until_ready(call())
    rates: dict[str, list[float]] = {way: [] for way in ways}
    peaks = []
    for _ in range(turns):
        peaks.append(flop / min(seconds(product) for _ in range(5)))
        for way, (examples, call) in ways.items():
            rates[way].append(examples / seconds(call))
    ours, per_example = rates["jaxmem"], flop_of(ensemble)
    share = [rate * per_example / peak for rate, peak in zip(ours, peaks, strict=True)]
    over = {
        way: statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        for way, theirs in rates.items()
    }
    over |= {way: statistics.median(ours) / rate for way, rate in naive.items()}
    numbers = {
        "plan": plan._asdict(),
        "examples_per_second": {w: statistics.median(r) for w, r in rates.items()} | naive,
        "jaxmem_over": over,
        "fraction_of_peak": statistics.median(share),
        "flop_per_example": per_example,
        "share_of_time": profile(ways["jaxmem"][1]),
        "batches_of_vmap_and_scan": SLOW_BATCH[name],
        "turns": rates,
        "peak_flop_per_second_of_turns": peaks,
    }
    print(name, json.dumps({k: v for k, v in numbers.items() if k != "turns"}, indent=1))
    return numbers


def against_width(name: str, data: Dataset, widths: list[int], precision: str) -> dict:
    """Examples a second and FLOP/s of training alone, width by width, until memory ends."""
    found = {}
    for width in widths:
        ensemble = make(name, data, 128, STEPS[name], precision)
        try:
            examples, call = call_of(ensemble, width)
            jax.block_until_ready(call())
            rate = statistics.median(examples / seconds(call) for _ in range(3))
        except jax.errors.JaxRuntimeError as error:
            found[width] = str(error).splitlines()[0]
            break
        flop = rate * flop_of(ensemble)
        found[width] = {"examples_per_second": rate, "flop_per_second": flop}
        print(name, precision, width, found[width], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where TFDS keeps MNIST and CIFAR-100")
    parser.add_argument("--models", default="cnn,resnet9,resnet18")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--widths", help="only time these widths, as in 1,4,16")
    parser.add_argument("--precision", default="float32", help="of --widths")
    args = parser.parse_args()
    use_all_cores()
    numbers = {}
    for name in args.models.split(","):
        data = jaxmem.load_dataset(DATASETS[name], args.data_dir)
        if args.widths:
            widths = [int(width) for width in args.widths.split(",")]
            numbers[name] = against_width(name, data, widths, args.precision)
        else:
            numbers[name] = compare(name, data, args.turns)
    kind = "widths" if args.widths else "convolution"
    print(save(f"benchmark_{kind}_{jax.default_backend()}", numbers))


if __name__ == "__main__":
    main()
