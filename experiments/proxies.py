"""How few trainings give how good a proxy of mem, and an estimate in two stages.

    python experiments/proxies.py                        # digits
    python experiments/proxies.py --dataset=mnist --rows=5000 --trials=400 --data-dir=…

Half of the trials estimate mem, as the reference. Of the other half the first 1, 2, 5, …
give proxies: what their batches showed (`--dynamics`), soft mem, and mem itself. Each is
compared with the reference over the examples that have a value: cosine (of values, with the
sign of mem), Pearson, Spearman, and the area under the ROC curve of finding what is
memorized (reference mem >= 0.25). Cosine and Pearson of cumulative loss on CIFAR-100 are
.87 and .79 in Jiang et al., ICML 2021 (arXiv 2002.03206), there with C-scores.

Two stages: cumulative loss of the first trials names candidates, a share of all examples;
a tenth of the reference's trainings hold out halves of these alone (`candidate_masks`).
Their mem and soft mem are compared with the reference beside those of as many ordinary
trainings: root mean square difference over the candidates, and how the memorized examples
are found at 0.25. Since non-candidates are always seen, subsets are larger there, which
lowers mem: the mean difference says by how much.
"""

import numpy as np
from experiment import command, parser, setting
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import roc_auc_score

import jaxmem

COUNTS = 1, 2, 5, 10, 20, 50
FIRST = 10  # trials that name the candidates
SHARE = 0.25  # of the examples that are candidates
MEM = 0.25


def main(argv: list[str] | None) -> None:
    """Run the experiment."""
    args = parser(__doc__, models="mlp", trials=1000).parse_args(argv)
    made = setting("proxies", args)
    numbers = {}
    for model in made.models:
        run = made.train(model, f"{model}-dynamics", dynamics=True, margins=True)
        reference, few = run.halves()
        mem = reference.memorization
        numbers[model] = {
            "memorized": int(np.sum(mem >= MEM)),
            "train_accuracy": float(run.train_accuracy.mean()),
            "reference_se": float(np.nanmedian(reference.memorization_se[mem >= MEM])),
            "proxies": agreement_by_trials(few, mem),
            "two_stages": two_stages(made, model, few, mem),
        }
    made.save(numbers, {})


def agreement_by_trials(few: jaxmem.Run, mem: np.ndarray) -> list[dict]:
    """The rows of the table of proxies."""
    rows = []
    for count in COUNTS:
        if count > few.trials.size:
            break
        some = few.select(few.trials[:count])
        proxies = jaxmem.dynamics.learning_dynamics(some).proxies
        if count > 1:
            proxies |= {"mem": some.memorization}
        if count > 3:
            proxies |= {"soft mem": jaxmem.soft.soft_memorization(some).value}
        for name, values in proxies.items():
            rows.append({"trials": count, "proxy": name} | agreement(values, mem))
    return rows


def agreement(values: np.ndarray, mem: np.ndarray) -> dict:
    """How values go with mem, over the examples that have both."""
    known = np.isfinite(values) & np.isfinite(mem)
    a, b = values[known], mem[known]
    return {
        "known": float(known.mean()),
        "cosine": float(a @ b / np.sqrt((a @ a) * (b @ b))),
        "pearson": float(pearsonr(a, b)[0]),
        "spearman": float(spearmanr(a, b)[0]),
        "auc_of_memorized": float(roc_auc_score(b >= MEM, a)),
    }


def two_stages(made, model: str, few: jaxmem.Run, mem: np.ndarray) -> dict:
    """Candidates by a proxy, then trainings that hold out nothing else."""
    first = few.select(few.trials[:FIRST])
    loss = jaxmem.dynamics.learning_dynamics(first).cumulative_loss
    loss = np.where(np.isfinite(loss), loss, np.inf)  # never seen: it may be anything
    candidates = np.zeros(mem.size, bool)
    candidates[np.argsort(-loss)[: round(SHARE * mem.size)]] = True
    budget = max(FIRST + 8, few.trials.size // 10)
    masks = jaxmem.candidate_masks(candidates, budget - FIRST, seed=made.seed)
    second = made.train(model, f"{model}-second-{budget}", masks=masks, margins=True)
    ordinary = few.select(few.trials[:budget])
    found = {
        "trainings": budget,
        "candidates": int(candidates.sum()),
        "memorized_among_candidates": float(candidates[mem >= MEM].mean()),
    }
    for name, run in (("one stage", ordinary), ("two stages", second)):
        for kind, values in (
            ("mem", run.memorization),
            ("soft mem", jaxmem.soft.soft_memorization(run).value),
        ):
            found[f"{name}, {kind}"] = compare(values, mem, candidates)
    return found


def compare(values: np.ndarray, mem: np.ndarray, candidates: np.ndarray) -> dict:
    """Differences over the candidates, and what counts as memorized among all examples."""
    difference = (values - mem)[candidates & np.isfinite(values) & np.isfinite(mem)]
    said, true = np.nan_to_num(values, nan=0.0) >= MEM, mem >= MEM
    both = int(np.sum(said & true))
    return {
        "root_mean_square_difference": float(np.sqrt(np.mean(difference**2))),
        "mean_difference": float(difference.mean()),
        "precision": both / max(1, int(said.sum())),
        "recall": both / max(1, int(true.sum())),
    }


if __name__ == "__main__":
    command(main)
