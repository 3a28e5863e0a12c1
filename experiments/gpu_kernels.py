"""Where the time of a training step goes on a GPU, kernel by kernel.

    python experiments/gpu_kernels.py resnet9,cifar100,bfloat16,1 mlp,mnist,float32,64
    XLA_FLAGS=--xla_gpu_enable_command_buffer= python experiments/gpu_kernels.py ...

Each case is network, data set (only its shapes matter), precision and width. Says the time
of a step, how much of it any kernel runs, and the kernels that take most of it, with the
instruction of the compiled program that they belong to. --options are the compiler's, in
place of those that jaxmem gives, as in xla_gpu_exclude_nondeterministic_ops=false.
"""

import argparse
import collections
import re
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from experiment import RESULTS, command, write
from gpu_session import ensemble_of, random_data

from jaxmem.training.programs import Lift

SHOWN = 200  # kernels


def prepared(case: str, steps: int):
    """A call that trains `steps` steps of the models, and how many models there are."""
    model, dataset, precision, width = case.split(",")
    data = random_data(dataset, 50_000)
    ensemble = ensemble_of(data, model, first_steps=steps, precision=precision)
    programs = ensemble.programs(int(width))
    trials = ensemble.place(np.arange(int(width) * ensemble.mesh.size, dtype=np.int32))
    states = [programs.init(trials)]

    def call() -> float:
        started = time.perf_counter()
        states.append(programs.advance(trials, states.pop(), 0, ensemble.job.steps))
        jax.block_until_ready(states)
        return time.perf_counter() - started

    return call, trials.size


def kernels(call, steps: int) -> tuple[float, collections.Counter]:
    """Milliseconds a step that some kernel runs; of each kernel, by its instruction."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            call()
        (path,) = Path(folder).glob("plugins/profile/*/*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(path))
    spent: collections.Counter = collections.Counter()
    spans = []
    for plane in data.planes:
        if not plane.name.startswith("/device:GPU"):
            continue
        for line in plane.lines:
            if not line.name.startswith("Stream"):
                continue
            for event in line.events:
                about = dict(event.stats)
                name = re.sub(r"\W*[<(].*", "", event.name)[:60]
                spent[f"{about.get('hlo_op', '-')}: {name}"] += event.duration_ns
                spans.append((event.start_ns, event.start_ns + event.duration_ns))
    busy, end = 0.0, 0.0
    for first, last in sorted(spans):
        busy += max(0.0, last - max(first, end))
        end = max(end, last)
    per_step = {name: ns / 1e6 / steps for name, ns in spent.items()}
    return busy / 1e6 / steps, collections.Counter(per_step)


def main(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="+", metavar="NETWORK,DATA,PRECISION,WIDTH")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--options", default="", help="as in NAME=VALUE,NAME=VALUE")
    parser.add_argument("--name", default="kernels", help="of the file of results")
    parser.add_argument("--results", type=Path, default=RESULTS / "gpu")
    args = parser.parse_args(argv)
    if args.options:
        pairs = (option.split("=") for option in args.options.split(","))
        options = {name: {"true": True, "false": False}.get(v, v) for name, v in pairs}
        Lift._compiler_options = property(lambda self: options)
    found = {}
    for case in args.cases:
        call, models = prepared(case, args.steps)
        first, *others = (call() for _ in range(5))
        step = 1e3 * min(others) / args.steps
        busy, spent = kernels(call, args.steps)
        found[case] = {
            "first_call_seconds": first,
            "ms_a_step": step,
            "ms_a_model_step": step / models,
            "ms_a_step_of_any_kernel": busy,
            "ms_a_step_by_kernel": dict(spent.most_common(SHOWN)),
        }
        about = f"{step:.4f} ms a step, kernels {busy:.4f}, first call {first:.1f} s"
        print(f"{case} {args.options}: {about}")
        for name, ms in spent.most_common(SHOWN):
            print(f"  {ms:8.4f} {name}")
        write(args.results / f"{args.name}.json", {"options": args.options, "cases": found})


if __name__ == "__main__":
    command(main)
