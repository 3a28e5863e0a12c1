"""An audit as a table, a picture, and files."""

from pathlib import Path

import numpy as np
import pyarrow
from matplotlib.figure import Figure
from pyarrow import csv

from jaxmem._shared.files import replacing
from jaxmem.estimates.audit import RATE, Attacked, Audit
from jaxmem.estimates.results import Run
from jaxmem.estimates.statistics import Interval

LOWEST = 1e-5  # rates shown


def summarize_audit(found: Audit, run: Run) -> dict:
    """audit.json: numbers by attack, without curves."""
    return {
        "trials": int(run.trials.size),
        "targets": found.targets,
        "shadow_models": found.shadows,
        "level": 0.95,
        "strongest": found.strongest,
        "attacks": {name: _numbers(attack) for name, attack in found.attacks.items()},
        "correlation_of_mem_and_exposure": correlation(found, run),
    }


def _numbers(attack: Attacked) -> dict:
    rates = attack.rates
    return {
        "auc": rates.auc._asdict(),
        "balanced_accuracy": rates.balanced_accuracy._asdict(),
        "true_positive_rate": {
            f"{rate:g}": interval._asdict()
            for rate, interval in rates.true_positive_rate.items()
        },
        "epsilon_lower_bound": attack.epsilon.epsilon,
        "members": rates.members,
        "others": rates.others,
    }


def correlation(found: Audit, run: Run) -> float | None:
    """Pearson's, of mem and the strongest attack's exposure; None where one is constant."""
    exposed, mem = found.attacks[found.strongest].exposure, run.memorization
    known = np.isfinite(exposed) & np.isfinite(mem)
    if known.sum() < 2 or np.ptp(exposed[known]) == 0 or np.ptp(mem[known]) == 0:
        return None
    return float(np.corrcoef(exposed[known], mem[known])[0, 1])


def ranking(found: Audit, run: Run) -> np.ndarray:
    """Rows in the order of exposure by the strongest attack, then of mem: int64 [N]."""
    exposed = np.nan_to_num(found.attacks[found.strongest].exposure, nan=-1)
    return np.lexsort((-np.nan_to_num(run.memorization, nan=-2), -exposed))


def save_exposure(found: Audit, run: Run, path: Path) -> None:
    """exposure.csv: a row for each training example, the most exposed first."""
    order = ranking(found, run)
    names = np.array(run.all_class_names)
    columns = {
        "row": order,
        "id": run.tr_ids[order],
        "name": run.tr_names[order],
        "label": names[run.tr_labels[order]],
        **{f"exposure_{name}": a.exposure[order] for name, a in found.attacks.items()},
        "mem": run.memorization[order],
    }
    with replacing(path) as partial:
        csv.write_csv(pyarrow.table(columns), partial)


def draw_roc(found: Audit) -> Figure:
    """The curves of all attacks with their bands, both axes logarithmic."""
    figure = Figure(figsize=(5, 4))
    axes = figure.subplots()
    for name, attack in found.attacks.items():
        rates = attack.rates
        false, true = rates.roc
        label = f"{name}, AUC {rates.auc.value:.3f}"
        (line,) = axes.step(false, true, where="post", label=label, linewidth=1)
        axes.fill_between(
            false,
            rates.low,
            rates.high,
            step="post",
            alpha=0.15,
            color=line.get_color(),
            linewidth=0,
        )
    axes.plot([LOWEST, 1], [LOWEST, 1], color="grey", linestyle="--", linewidth=1)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(LOWEST, 1),
        ylim=(LOWEST, 1),
        xlabel="false-positive rate",
        ylabel="true-positive rate",
        title=f"{found.targets} targets, {found.shadows} shadow models each",
    )
    axes.legend(fontsize=7, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def print_audit(found: Audit, run: Run, top: int) -> None:
    """Print the attacks, a row each, and the most exposed examples."""
    print(f"{'targets':<23}{found.targets:,}, by {found.shadows:,} shadow models each")
    rates = list(next(iter(found.attacks.values())).rates.true_positive_rate)
    heads = ("AUC", "accuracy", *(f"TPR at {100 * rate:g}% FPR" for rate in rates), "ε ≥")
    widths = (16, 16, *(21 for _ in rates), 5)
    cells = "".join(f"{head:<{width}}" for head, width in zip(heads, widths, strict=True))
    wide = max(23, *(len(name) + 1 for name in found.attacks))
    print(f"{'attack':<{wide}}{cells}")
    for name, attack in found.attacks.items():
        r = attack.rates
        shown = [_plain(r.auc), _plain(r.balanced_accuracy)]
        shown += [_percent(r.true_positive_rate[rate]) for rate in rates]
        shown += [f"{attack.epsilon.epsilon:.2f}"]
        cells = "".join(f"{cell:<{w}}" for cell, w in zip(shown, widths, strict=True))
        print(f"{name:<{wide}}{cells}")
    print(f"{'':<23}intervals and ε at 95%; ε takes scores as independent")
    others = min(attack.rates.others for attack in found.attacks.values())
    if others * min(rates) < 1:
        text = (
            f"{100 * min(rates):g}% of {others:,} scores of non-members is less than one:"
        )
        text += " there, no false positive is allowed"
        print(f"{'warning':<23}{text}")
    link = correlation(found, run)
    if link is not None:
        print(f"{'mem and exposure':<23}correlation {link:.2f} ({found.strongest})")
    exposed = found.attacks[found.strongest].exposure
    order = ranking(found, run)[:top]
    names = run.all_class_names
    if order.size:
        print(
            f"{'most exposed':<23}found at {100 * RATE:g}% FPR, of the targets that saw it"
        )
    for row in order:
        label = names[run.tr_labels[row]]
        text = f"{exposed[row]:.1%}, mem {run.memorization[row]:.2f}, label {label}"
        print(f"  {str(run.tr_names[row])[-20:]:<21}{text}")


def _plain(interval: Interval) -> str:
    return f"{interval.value:.3f} ±{(interval.high - interval.low) / 2:.3f}"


def _percent(interval: Interval) -> str:
    value, low, high = (100 * part for part in interval)
    return f"{value:.2f}% [{low:.2f}, {high:.2f}]"
