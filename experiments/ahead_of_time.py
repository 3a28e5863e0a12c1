"""Compile jaxmem's programs for devices that are not here, and read what came out.

    pip install -c requirements.txt -e . 'jax[tpu]'       (0.7 GB)
    pip install -c requirements.txt -e . 'jax[cuda13]'    (4.9 GB; in a venv of its own)

Import before JAX. Nothing can be run: what a program holds in memory, moves and multiplies
is read from its text, and a TPU's names the cycles that its compiler expects.
"""

import math
import os
import re
from typing import Any, NamedTuple

os.environ.update(
    JAX_PLATFORMS="cpu",
    TPU_SKIP_MDS_QUERY="1",  # no look-up of a cloud's metadata server
    TPU_WORKER_HOSTNAMES="localhost",
    TPU_ACCELERATOR_TYPE="v5litepod-4",
    TPU_WORKER_ID="0",
)
os.environ.setdefault("XLA_FLAGS", "--xla_gpu_autotune_level=0")  # tuning needs the card

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding

from jaxmem._shared.devices import AXIS
from jaxmem.estimates.bits import TRIALS
from jaxmem.estimates.search.columns import COLUMNS, GROUP, Groups, Tiles
from jaxmem.estimates.search.rows import ROWS
from jaxmem.estimates.search.tiles import Grain, Peaks, compile_search
from jaxmem.models import Spec, make_model
from jaxmem.training.job import Arrays, Job, make_job
from jaxmem.training.programs import BY_TRIAL, SHARED, Lift
from jaxmem.training.recipes import recipe_for
from jaxmem.training.subsets import SubsetRule
from jaxmem.training.trial import advance_trial, evaluate_trial, scale_trial

# An H100 as XLA describes one (openxla/xla#25919).
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024  threads_per_warp: 32  threads_per_core_limit: 2048
  shared_memory_per_block: 49152  shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  core_count: 132  fpus_per_core: 128  clock_rate_ghz: 1.98
  block_dim_limit_x: 2147483647  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000  l2_cache_size: 52428800  device_memory_size: 84929347584
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9  minor: 10 }
runtime_version { major: 13  minor: 0  patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4}


def devices_of(target: str) -> list:
    """Of "h100", "h100:4", or a slice of TPUs, as in "v5e:2x2" and "v5e:4x4"."""
    if not target.startswith("h100"):
        return list(
            topologies.get_topology_desc(platform="tpu", topology_name=target).devices
        )
    count = target.partition(":")[2] or "1"
    return list(
        topologies.get_topology_desc(
            platform="cuda", target_config=H100, topology=f"1x1x{count}"
        ).devices
    )


class Programs(NamedTuple):
    """Compiled for M trials, `width` side by side on each device."""

    init: Any
    train: Any
    evaluate: Any


SIZES = {
    "mnist": (60_000, 10_000, (28, 28, 1), 10),
    "cifar100": (50_000, 10_000, (32, 32, 3), 100),
}


def job_of(dataset: str, model: str, **recipe) -> Job:
    """What `jaxmem.run` trains on data of such a size, with fields that differ."""
    n, _, shape, classes = SIZES[dataset]
    subsets = SubsetRule(n, round(0.7 * n))
    found = recipe_for(dataset, model, subsets.size, **recipe)
    spec = Spec(classes, found.hidden, jnp.dtype(found.precision), shape)
    return make_job(make_model(model, spec), found, "packed", subsets, classes)


def compile_for(devices: list, dataset: str, job: Job, width: int) -> Programs:
    """The programs of `Ensemble.programs`, for these devices."""
    mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
    lift = Lift(job, mesh, width)
    n, e, shape, _ = SIZES[dataset]

    def on(spec, shape, dtype):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, spec))

    data = Arrays(
        on(SHARED, (n, *shape), jnp.uint8),
        on(SHARED, (n,), jnp.int32),
        on(SHARED, (e, *shape), jnp.uint8),
        on(SHARED, (e,), jnp.int32),
    )
    root = on(SHARED, (), jax.random.key(0, impl="threefry2x32").dtype)
    trials = on(BY_TRIAL, (len(devices) * width,), jnp.int32)
    begin = jax.jit(lift.init())
    states = jax.eval_shape(begin, data, root, trials)
    if job.learner.recipe.standardize:
        scaling = jax.eval_shape(lift.jit(scale_trial, 1), data, root, trials)
        states = states._replace(scaling=scaling)
    states = jax.tree.map(lambda a: on(BY_TRIAL, a.shape, a.dtype), states)
    epoch = on(SHARED, (), jnp.int32)
    train = lift.jit(advance_trial, 2, SHARED, SHARED, donate=3)
    evaluate = lift.jit(evaluate_trial, 2)
    return Programs(
        begin.lower(data, root, trials).compile(),
        train.lower(data, root, trials, states, epoch, epoch).compile(),
        evaluate.lower(data, root, trials, states).compile(),
    )


def compile_search_for(devices: list, e: int, trials: int, top: int) -> Any:
    """The program of a step of `jaxmem.estimates.search` on E test examples."""
    mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
    grain = Grain(16, 32, 1024)  # what `grain` says on a GPU or TPU
    rows, words = grain.blocks * ROWS, -(-trials // TRIALS) * TRIALS // 32
    tiles, count = -(-e // COLUMNS), len(devices)

    def on(spec, shape, dtype):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, spec))

    peaks = (count, top, tiles * COLUMNS)
    return (
        compile_search(mesh, trials, top, "infl", grain)
        .lower(
            on(BY_TRIAL, (count, words, rows), jnp.uint32),
            on(BY_TRIAL, (count, rows), jnp.int32),
            on(SHARED, (), jnp.int32),
            on(SHARED, (), jnp.float32),
            Peaks(on(BY_TRIAL, peaks, jnp.float32), on(BY_TRIAL, peaks, jnp.int32)),
            Tiles(
                on(SHARED, (tiles, words, COLUMNS), jnp.uint32),
                on(SHARED, (tiles, COLUMNS), jnp.int32),
                on(SHARED, (tiles, COLUMNS), jnp.float32),
            ),
            Groups(
                on(SHARED, (tiles * COLUMNS // GROUP, words, GROUP), jnp.uint32),
                on(SHARED, (tiles * COLUMNS // GROUP, GROUP), jnp.int32),
            ),
        )
        .compile()
    )


class Instruction(NamedTuple):
    """A line of a compiled program."""

    name: str
    shape: str  # of its result
    kind: str
    operands: tuple[str, ...]
    line: str

    @property
    def body(self) -> str | None:
        """Of a loop: what it repeats."""
        found = re.search(r"\bbody=%?([\w.\-]+)", self.line)
        return found[1] if found else None

    @property
    def trips(self) -> int | None:
        """Of a loop: how often, where the compiler knows."""
        found = re.search(r'known_trip_count":\{"n":"(\d+)"', self.line)
        return int(found[1]) if found else None


class Text(NamedTuple):
    """A compiled program, read."""

    computations: dict[str, list[Instruction]]
    entry: str

    @classmethod
    def of(cls, program) -> "Text":
        """Of what `compile()` gave."""
        found: dict[str, list[Instruction]] = {}
        name, entry = "", ""
        for line in program.as_text().splitlines():
            if line.endswith("{") and not line.startswith(" "):
                first, *rest = line.split()
                name = (rest[0] if first == "ENTRY" else first).lstrip("%")
                entry = name if first == "ENTRY" else entry
                found[name] = []
            elif parts := INSTRUCTION.match(line):
                operands = tuple(o.strip().lstrip("%") for o in parts[4].split(","))
                found[name].append(Instruction(*parts.group(1, 2, 3), operands, line))
        return cls(found, entry)

    def loops(self, computation: str) -> list[Instruction]:
        """The loops that stand in a computation."""
        return [i for i in self.computations[computation] if i.kind == "while"]

    def step(self) -> str:
        """The body of the loop over steps: the costliest within the loop over epochs."""
        inner = [
            step.body
            for epoch in self.loops(self.entry)
            for step in self.loops(str(epoch.body))
        ]
        return max(map(str, inner), key=self.nbytes)

    def nbytes(self, computation: str) -> int:
        """What all operations read and write, were there no cache."""
        shapes = {i.name: i.shape for i in self.computations[computation]}
        total = 0
        for i in self.computations[computation]:
            if i.kind == "while":
                total += (i.trips or 1) * self.nbytes(str(i.body))
            elif i.kind not in FREE:
                names = (i.name, *i.operands)
                total += sum(nbytes(shapes.get(name, "")) for name in names)
        return total

    def cycles(self, computation: str) -> int:
        """What a TPU's compiler expects."""
        total = 0
        for i in self.computations[computation]:
            if i.kind == "while":
                total += (i.trips or 1) * self.cycles(str(i.body))
            total += sum(map(int, re.findall(r'"estimated_cycles":"(\d+)"', i.line)))
        return total

    def convolutions(self) -> list[Instruction]:
        """All of them, in whatever computation."""
        return [
            i
            for instructions in self.computations.values()
            for i in instructions
            if i.kind == "convolution" or "__cudnn$conv" in i.line
        ]


INSTRUCTION = re.compile(
    r"\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([a-z][\w\-]*)\((.*?)\)"
)
FREE = {"parameter", "tuple", "get-tuple-element", "bitcast", "constant", "after-all"}


def nbytes(shape: str) -> int:
    """Of the arrays that a shape names, as in "bf16[512,32,32,64]{3,2,1,0}"."""
    found = re.findall(r"\b([a-z]+\d+|pred)\[([\d,]*)\]", shape)
    return sum(
        BYTES.get(kind, 8) * math.prod(int(n) for n in dims.split(",") if n)
        for kind, dims in found
    )
