"""What the experiments share: flags, trials that resume, and where results go."""

import argparse
import csv
import datetime
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxmem
from jaxmem._shared.cache import keep_compiled
from jaxmem._shared.commands import BAD_INPUT, INTERRUPTED, leave
from jaxmem._shared.devices import use_all_cores
from jaxmem.data.dataset import Examples
from jaxmem.reporting import figures
from jaxmem.training.subsets import removal_masks

RESULTS = Path(__file__).parent / "results"
START = time.perf_counter()


class Setting(NamedTuple):
    """What the flags that all experiments share say."""

    name: str  # of the experiment
    data: jaxmem.Dataset
    dataset: str  # its name among the results, with the number of rows if not all
    models: list[str]
    trials: int
    repetitions: int
    seed: int
    workdir: Path
    results: Path
    recipes: dict[str, dict]  # fields that differ, by model

    def train(self, model: str, folder: str, data=None, **arguments) -> jaxmem.Run:
        """Train what WORKDIR/<folder> lacks; by default `trials` of the dataset."""
        if "masks" not in arguments:
            arguments.setdefault("trials", self.trials)
        arguments = {"seed": self.seed, **self.recipes.get(model, {}), **arguments}
        print(f"{self.name}: {folder}", flush=True)
        return jaxmem.run_trials(
            self.data if data is None else data,
            workdir=self.workdir / folder,
            model=model,
            **arguments,
        )

    def accuracy_without(
        self, model: str, removed: np.ndarray, data=None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Test accuracies without removed, bool [N], and without as many random examples.

        Both float [R] or shorter, if repetitions diverged.
        """
        data = self.data if data is None else data
        masks = np.concatenate(removal_masks(removed, self.repetitions, self.seed))
        what = hashlib.sha256(data.fingerprint.encode() + masks.tobytes()).hexdigest()[:8]
        folder = f"{model}-without-{removed.sum()}-{what}"
        run = self.train(model, folder, data, masks=masks)
        chosen = run.trials < self.repetitions
        return run.test_accuracy[chosen], run.test_accuracy[~chosen]

    def save(
        self,
        numbers: dict,
        pictures: dict[str, Figure],
        tables: dict[str, dict[str, np.ndarray]] | None = None,
    ) -> None:
        """Write <results>/<experiment>/: JSON, PNG and PDF pictures, and CSV tables.

        A table is its columns by name. File names start with the dataset's.
        """
        folder = self.results / self.name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.dataset}.json"
        setting = {
            "dataset": self.data.name,
            "training_examples": int(self.data.train.labels.size),
            "test_examples": int(self.data.test.labels.size),
            "models": self.models,
            "trials": self.trials,
            "repetitions": self.repetitions,
            "seconds_of_this_call": round(time.perf_counter() - START),
        }
        write(path, {**setting, **numbers})
        for name, figure in pictures.items():
            for suffix in ("png", "pdf"):
                figures.save(figure, folder / f"{self.dataset}_{name}.{suffix}")
        for name, table in (tables or {}).items():
            with open(folder / f"{self.dataset}_{name}.csv", "w", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(table)
                for row in zip(*table.values(), strict=True):
                    rows.writerow(f"{v:.6g}" if isinstance(v, float) else v for v in row)
        print(f"{path}\n{json.dumps(numbers, indent=2)}")


def parser(doc: str, **defaults) -> argparse.ArgumentParser:
    """The shared flags; defaults are of models, trials and repetitions."""
    parser = argparse.ArgumentParser(
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--dataset", default="digits", help="as for jaxmem.run (default: digits)")
    add("--data-dir", help="where TFDS keeps prepared datasets")
    add("--rows", type=int, help="train on the first so many rows alone")
    helps = {
        "models": "architectures, as in mlp,cnn",
        "trials": "of each estimate; the paper has 4,000",
        "repetitions": "trainings without removed examples; the paper has 100",
    }
    for flag, default in defaults.items():
        text = f"{helps[flag]} (default: {default})"
        add(f"--{flag}", type=type(default), default=default, help=text)
    add(
        "--recipe",
        action="append",
        default=[],
        metavar="MODEL.FIELD=VALUE",
        help="a field of a model's recipe that differs, as in cnn.epochs=10; repeatable",
    )
    add("--seed", type=int, default=0, help="of all randomness (default: 0)")
    add("--workdir", help="where trials go (default: runs/experiments/<dataset>)")
    add("--results", default=RESULTS, type=Path, help="default: experiments/results")
    return parser


def setting(name: str, args: argparse.Namespace) -> Setting:
    """Load the data and read the shared flags; raises InputError for bad ones."""
    data = jaxmem.load_dataset(args.dataset, args.data_dir)
    if args.rows is not None:
        if not 1 < args.rows <= data.train.labels.size:
            raise jaxmem.InputError(
                f"rows {args.rows} must be in 2 … {data.train.labels.size}"
            )
        data = data._replace(train=Examples(*(a[: args.rows] for a in data.train)))
    dataset = Path(data.name).stem + (f"-{args.rows}" if args.rows else "")
    return Setting(
        name,
        data,
        dataset,
        args.models.split(","),
        args.trials,
        getattr(args, "repetitions", 0),
        args.seed,
        Path(args.workdir or f"runs/experiments/{dataset}"),
        args.results,
        _recipes(args.recipe),
    )


def _recipes(texts: list[str]) -> dict[str, dict]:
    fields = {field: type(value) for field, value in vars(jaxmem.Recipe()).items()}
    recipes: dict[str, dict] = {}
    for text in texts:
        place, _, value = text.partition("=")
        model, _, field = place.partition(".")
        kind = fields.get(field)
        try:
            if kind is None:
                raise ValueError
            if kind is bool:
                parsed = {"true": True, "false": False}[value.lower()]
            elif kind is tuple:
                parsed = tuple(int(width) for width in value.split(","))
            else:
                parsed = kind(value)
        except (KeyError, ValueError):
            raise jaxmem.InputError(
                f"--recipe={text} is no MODEL.FIELD=VALUE; fields: {', '.join(fields)}"
            ) from None
        recipes.setdefault(model, {})[field] = parsed
    return recipes


def command(main: Callable[[list[str] | None], None]) -> None:
    """Run an experiment as a command: bad input is one line, and exit code 2.

    It goes on where it was interrupted.
    """
    use_all_cores()
    keep_compiled()
    try:
        main(None)
    except jaxmem.InputError as error:
        print(f"jaxmem: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        print("jaxmem: interrupted; the same command goes on", file=sys.stderr)
        leave(INTERRUPTED)


def device() -> str:
    """The device that JAX runs on, in words."""
    devices = jax.local_devices()
    kind = devices[0].device_kind
    if kind == "cpu":
        cpus = Path("/proc/cpuinfo")
        names = cpus.read_text().splitlines() if cpus.exists() else []
        kind = next(
            (n.split(": ")[1] for n in names if "model name" in n), platform.machine()
        )
        return f"{os.cpu_count()} cores of {kind}"
    return f"{len(devices)} x {kind}"


def save(name: str, numbers: dict) -> Path:
    """Write results/<name>.json: the numbers, with what `write` adds."""
    path = RESULTS / f"{name}.json"
    write(path, numbers)
    return path


def write(path: Path, numbers: dict) -> None:
    """Write JSON: the numbers, the commit, the device, command and date."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    about = {
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "device": device(),
        "jax": jax.__version__,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(_plain({**about, **numbers}), indent=2) + "\n")


def _plain(value):
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and np.isnan(value) else value
