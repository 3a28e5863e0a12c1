"""How many trials does an estimate of mem need? Uniform or balanced subsets, hard or soft.

    python experiments/error_against_trials.py                      # digits, 22 minutes
    python experiments/error_against_trials.py --reference=2000 --trials=400

Estimates mem from the first T trials, of uniform and of balanced subsets, from right or
wrong (hard) and from probabilities (soft). The error is the root mean square difference to
the same quantity of `reference` other trials: over all examples, and over those whose hard
reference is at least 0.05. Each is averaged over the disjoint runs of T trials that there
are. Expect errors to fall with the root of T, and soft ones to be smaller. Balanced subsets
hardly help: they even out how often an example is out, not which others are.
"""

import dataclasses

import numpy as np
from curves import Panel, Series, draw
from experiment import command, parser, setting

import jaxmem
from jaxmem.estimates.soft import soft_memorization

SAMPLINGS = "uniform", "balanced"
COUNTS = (50, 100, 250, 500, 1000, 2000, 4000)
LEAST = 0.05


def estimates(run: jaxmem.Run, trials: slice) -> dict[str, np.ndarray]:
    """mem of some of the trials, hard and soft: float64 [N] each."""
    part = dataclasses.replace(run, trials=run.trials[trials])
    return {"hard": part.memorization, "soft": soft_memorization(part).value}


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=4000)
    args.add_argument("--reference", type=int, default=20_000, help="trials of the truth")
    args = args.parse_args(argv)
    this = setting("error_against_trials", args)
    model = this.models[0]
    truth_run = this.train(
        model, "reference", trials=args.reference, seed=this.seed + 1, margins=True
    )
    truth = estimates(truth_run, slice(None))
    rows = []
    for sampling in SAMPLINGS:
        run = this.train(model, sampling, sampling=sampling, margins=True)
        for count in (c for c in COUNTS if c <= this.trials):
            errors = [
                error
                for start in range(0, this.trials - count + 1, count)
                for error in compare(estimates(run, slice(start, start + count)), truth)
            ]
            for kind in truth:
                for where in ("all", "memorized"):
                    found = [e[2] for e in errors if e[:2] == (kind, where)]
                    rows.append((sampling, kind, where, count, float(np.mean(found))))
    columns = ("sampling", "outcome", "examples", "trials", "rms_error")
    table = dict(zip(columns, map(np.array, zip(*rows, strict=True)), strict=True))
    numbers = [dict(zip(columns, row, strict=True)) for row in rows]
    reference = {
        "reference_trials": int(truth_run.trials.size),
        "memorized_examples": int((truth["hard"] >= LEAST).sum()),
        "std_of_reference": {k: float(np.nanstd(t)) for k, t in truth.items()},
    }
    this.save(reference | {"errors": numbers}, {model: picture(table)}, {model: table})


def compare(found: dict, truth: dict) -> list[tuple[str, str, float]]:
    """(hard or soft, which examples, root mean square error); unknown ones left out."""
    errors = []
    memorized = truth["hard"] >= LEAST
    for kind, value in found.items():
        square = np.square(value - truth[kind])
        errors.append((kind, "all", np.sqrt(np.nanmean(square))))
        errors.append((kind, "memorized", np.sqrt(np.nanmean(square[memorized]))))
    return errors


def picture(table: dict[str, np.ndarray]):
    """Errors against trials: all examples on the left, memorized ones on the right."""
    panels = []
    for where in ("all", "memorized"):
        lines = []
        for sampling in SAMPLINGS:
            for kind in ("hard", "soft"):
                here = (table["sampling"] == sampling) & (table["outcome"] == kind)
                here &= table["examples"] == where
                x, y = table["trials"][here], table["rms_error"][here]
                lines.append(
                    Series(f"{sampling}, {kind}" if where == "all" else None, x, y)
                )
        name = "all" if where == "all" else f"mem ≥ {LEAST}"
        label = f"rms error of mem ({name})"
        panels.append(Panel("trials", label, lines, log_x=True, log_y=True))
    return draw(panels, 2)


if __name__ == "__main__":
    command(main)
