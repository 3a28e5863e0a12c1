"""What of mem's noise is initialisation, order or subset? (ours)

    python experiments/variance.py                                   # digits
    python experiments/variance.py --dataset=mnist --rows=5000 --data-dir=DIR --trials=24

Levels of trials share their initial parameters, their order, both (`--fix`, a level a seed)
or their subset (repeated masks); the variance between levels is that part's own
(`jaxmem.estimates.variance`). What initialisation and order have together beyond their own
parts is their interaction; the rest are interactions with the subset. --trials is of a
level. Errors: jackknife over levels. Writes results/variance/<dataset>.json.
"""

import numpy as np
from experiment import Setting, command, parser, setting

from jaxmem.estimates.variance import noise_components

DESIGNS = {"init": "init", "order": "order", "init and order": "init,order", "subset": ""}


def main(argv: list[str] | None) -> None:
    """Run the experiment."""
    flags = parser(__doc__, models="mlp", trials=32)
    flags.add_argument("--levels", type=int, default=8, help="of each kind (default: 8)")
    args = flags.parse_args(argv)
    if args.levels < 5:  # an example is in two subsets and out of two, also without one
        flags.error("--levels must be at least 5")
    chosen = setting("variance", args)
    designs = {name: _outcomes(chosen, name, args.levels) for name in DESIGNS}
    included, correct = (
        np.concatenate([part[k] for part in designs.values()]) for k in (0, 1)
    )
    mem = _mean(correct, included) - _mean(correct, ~included)
    groups = {"memorized": mem >= 0.25, "all": np.isfinite(mem)}
    numbers = {
        "levels": args.levels,
        "trials_of_a_level": args.trials,
        "trials_in_all": len(included),
    }
    for group, rows in groups.items():
        numbers[group] = {"examples": int(rows.sum()), **_shares(designs, rows)}
    chosen.save(numbers, {})


def _outcomes(chosen: Setting, name: str, levels: int) -> tuple[np.ndarray, ...]:
    """What trials saw and got right, bool [T, N] each, and their levels [T]."""
    model, each = chosen.models[0], chosen.trials
    folder = f"{model}-variance-{name.replace(' ', '-')}"
    if name == "subset":
        drawn = chosen.train(model, f"{folder}-drawn", trials=levels)
        masks = np.repeat(drawn.included, each, axis=0)
        run = chosen.train(model, folder, masks=masks, seed=chosen.seed + 1)
        return run.included, run.train_correct, run.trials // each
    runs = [
        chosen.train(model, f"{folder}-{seed}", seed=seed, fix=DESIGNS[name])
        for seed in range(chosen.seed, chosen.seed + levels)
    ]
    level = np.repeat(np.arange(levels), [run.trials.size for run in runs])
    return (
        np.concatenate([run.included for run in runs]),
        np.concatenate([run.train_correct for run in runs]),
        level,
    )


def _mean(correct: np.ndarray, side: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (correct & side).sum(axis=0) / side.sum(axis=0)


def _shares(designs: dict, rows: np.ndarray) -> dict[str, dict[str, float]]:
    """Each part's share of the variance of mem, summed over rows, and its error."""
    own, leaving = {}, {}
    for name, (included, correct, level) in designs.items():
        included, correct = included[:, rows], correct[:, rows]

        def share(kept, included=included, correct=correct, level=level):
            found = noise_components(included[kept], correct[kept], level[kept])
            known = np.isfinite(found.between)
            between, within = (part[known].sum() for part in found)
            total = between + within
            return between / total if total else np.nan  # too few trials to know any

        own[name] = share(np.ones(level.size, bool))
        leaving[name] = np.array([share(level != k) for k in np.unique(level)])
    both = own["init and order"]
    own["interaction of init and order"] = both - own["init"] - own["order"]
    own["interactions with the subset"] = 1 - both - own["subset"]
    errors = {k: _jackknife(v) for k, v in leaving.items()}
    together, init, order, subset = (
        errors[k] for k in ("init and order", "init", "order", "subset")
    )
    errors["interaction of init and order"] = np.hypot(np.hypot(together, init), order)
    errors["interactions with the subset"] = np.hypot(together, subset)
    return {name: {"share": own[name], "se": float(errors[name])} for name in own}


def _jackknife(leaving: np.ndarray) -> float:
    return float(np.sqrt((leaving.size - 1) * leaving.var()))


if __name__ == "__main__":
    command(main)
