"""Seconds for 32 trials of networks as people write them, and of the same in PyTorch.

    pip install torch==2.13.0
    python experiments/benchmark_own_networks.py

Five networks in Flax Linen, none written with jaxmem's layers (`own_networks.py`), on
digits, trained for a few epochs in batches of 64:

as it is    `run_trials(model="own_networks.py:…")` as anybody would call it
untouched   the same without exchanging convolutions and pools
ours        `jaxmem.models.vit`, where there is such a network
torch       PyTorch, one model after another, all threads

jaxmem's ways from nothing, compiling and the check included (cold), and once more with
compiled programs kept (warm), at a width of 4. Writes results/benchmark_own_networks.json
after every network.
"""

import argparse
import contextlib
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from experiment import command, save
from jax.experimental.compilation_cache import compilation_cache

import jaxmem
from jaxmem.running import architecture

FILE = Path(__file__).with_name("own_networks.py")
NETWORKS = "TutorialCNN", "LeNet", "ResNet", "Mixer", "ViT"
OURS = {"ViT": "vit"}  # of about the same size: patches of 4 pixels, one block more
BATCH, WIDTH, RATE = 64, 4, 0.05


def main(argv: list[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=32, help="default: 32")
    parser.add_argument("--epochs", type=int, default=2, help="default: 2")
    text = f"default: {','.join(NETWORKS)}"
    parser.add_argument("--networks", default=",".join(NETWORKS), help=text)
    args = parser.parse_args(argv)
    data = jaxmem.load_dataset("digits")
    rows: list[dict] = []
    for name in args.networks.split(","):
        ways = {"as it is": f"{FILE}:{name}", "untouched": f"{FILE}:{name}"}
        if name in OURS:
            ways["ours"] = OURS[name]
        for way, model in ways.items():
            found = cold_and_warm(data, model, args, exchange=way != "untouched")
            rows.append({"network": name, "way": way} | found)
            print(rows[-1], flush=True)
        try:
            rows.append({"network": name, "way": "torch"} | by_torch(data, name, args))
            print(rows[-1], flush=True)
        except ImportError:
            print("PyTorch is not installed: left out")
        save("benchmark_own_networks", {"rows": rows})


def cold_and_warm(data, model: str, args: argparse.Namespace, exchange: bool) -> dict:
    """Seconds of the run from nothing, and again; mean test accuracy."""
    before = jax.config.jax_compilation_cache_dir
    with tempfile.TemporaryDirectory() as cache:
        jax.config.update("jax_compilation_cache_dir", cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        compilation_cache.reset_cache()
        numbers = {}
        for start in ("cold", "warm"):
            jax.clear_caches()
            with contextlib.ExitStack() as stack:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                if not exchange:
                    kept = architecture.exchanged
                    stack.callback(setattr, architecture, "exchanged", kept)
                    architecture.exchanged = lambda call: call
                begin = time.perf_counter()
                run = jaxmem.run_trials(
                    data,
                    args.trials,
                    folder,
                    model=model,
                    width=WIDTH,
                    epochs=args.epochs,
                    batch_size=BATCH,
                    optimizer="sgd",
                    learning_rate=RATE,
                    weight_decay=0.0,
                )
                numbers[start] = round(time.perf_counter() - begin, 1)
                numbers["test_accuracy"] = float(run.test_accuracy.mean())
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()
    return numbers


def by_torch(data, name: str, args: argparse.Namespace) -> dict:
    """The same trials in PyTorch, one after another."""
    import torch

    def tensors(part):
        x = torch.tensor(np.asarray(part.images, np.float32)).permute(0, 3, 1, 2)
        return x - x.mean(), torch.tensor(part.labels, dtype=torch.long)

    (x, y), (x_test, y_test) = tensors(data.train), tensors(data.test)
    x_test, x = x_test / x.std(), x / x.std()
    m, accuracy = round(0.7 * len(y)), []
    begin = time.perf_counter()
    for trial in range(args.trials):
        torch.manual_seed(trial)
        subset = torch.randperm(len(y))[:m]
        net = torch_network(name)
        sgd = torch.optim.SGD(net.parameters(), RATE, 0.9)
        for _ in range(args.epochs):
            for rows in subset[torch.randperm(m)].split(BATCH):
                sgd.zero_grad()
                torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
                sgd.step()
        net.eval()
        with torch.no_grad():
            net(x)
            accuracy.append(float((net(x_test).argmax(1) == y_test).float().mean()))
    seconds = round(time.perf_counter() - begin, 1)
    return {"warm": seconds, "test_accuracy": float(np.mean(accuracy))}


def torch_network(name: str):
    """The networks of `own_networks.py` for 8 x 8 images, in PyTorch."""
    from torch import nn

    class Added(nn.Module):
        def __init__(self, body, skip=None):
            super().__init__()
            self.body, self.skip = body, skip or nn.Identity()

        def forward(self, x):
            return self.skip(x) + self.body(x)

    class Swapped(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, x):
            return self.body(x.transpose(1, 2)).transpose(1, 2)

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(64, 4, batch_first=True)

        def forward(self, x):
            return self.attend(x, x, x, need_weights=False)[0]

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            import torch

            self.token = nn.Parameter(torch.zeros(1, 1, 64))
            self.place = nn.Parameter(0.02 * torch.randn(1, 17, 64))

        def forward(self, x):
            import torch

            token = self.token.expand(len(x), 1, 64)
            return torch.cat([token, x], 1) + self.place

    class Call(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, x):
            return self.function(x)

    def dense(inside, width):
        return nn.Sequential(nn.Linear(inside, width), nn.GELU(), nn.Linear(width, inside))

    def conv(inside, outside, stride=1, kernel=3):
        first = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(first, nn.BatchNorm2d(outside))

    def block(inside, outside, stride):
        body = nn.Sequential(
            conv(inside, outside, stride), nn.ReLU(), conv(outside, outside)
        )
        skip = None if inside == outside else conv(inside, outside, stride, 1)
        return nn.Sequential(Added(body, skip), nn.ReLU())

    patches = (nn.Conv2d(1, 64, 2, 2), nn.Flatten(2), Call(lambda x: x.transpose(1, 2)))
    if name == "TutorialCNN":
        return nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)),
        )
    if name == "LeNet":
        return nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(64, 120), nn.Tanh(), nn.Linear(120, 84)),
            *(nn.Tanh(), nn.Linear(84, 10)),
        )
    if name == "ResNet":
        blocks = block(16, 16, 1), block(16, 32, 2), block(32, 64, 2)
        head = Call(lambda x: x.mean((2, 3))), nn.Linear(64, 10)
        return nn.Sequential(conv(1, 16), nn.ReLU(), *blocks, *head)
    if name == "Mixer":
        parts: list = []
        for _ in range(4):
            swapped = Swapped(nn.Sequential(dense(16, 32)))
            parts += [Added(nn.Sequential(nn.LayerNorm(64), swapped))]
            parts += [Added(nn.Sequential(nn.LayerNorm(64), dense(64, 128)))]
        last = nn.LayerNorm(64), Call(lambda x: x.mean(1)), nn.Linear(64, 10)
        return nn.Sequential(*patches, *parts, *last)
    parts = [Tokens()]
    for _ in range(3):
        parts += [Added(nn.Sequential(nn.LayerNorm(64), Attention()))]
        parts += [Added(nn.Sequential(nn.LayerNorm(64), dense(64, 128)))]
    last = nn.LayerNorm(64), Call(lambda x: x[:, 0]), nn.Linear(64, 10)
    return nn.Sequential(*patches, *parts, *last)


if __name__ == "__main__":
    command(main)
