"""Figures 4 and 6: high-influence pairs, and what their training examples are worth.

    python experiments/influence.py                                     # digits
    python experiments/influence.py --dataset=mnist --repetitions=100   # the paper

One memorized training example a row, then the 4 test examples that it influences most.
The table counts pairs (infl >= 0.15, mem >= 0.25), distinct examples in them, and the most
pairs of one example. Then trains without the distinct training examples of the pairs, and
without as many random ones. Expect pairs that look alike, most examples in one pair only,
and a loss of accuracy where random removal costs nothing (CIFAR-100: 964 examples, 2.5
points).
Digits takes 3 minutes on two cores.
"""

import numpy as np
from experiment import command, parser, setting
from scipy.stats import ttest_ind

from jaxmem.reporting import figures


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=4000, repetitions=100).parse_args(argv)
    this = setting("influence", args)
    numbers, pictures, tables = {}, {}, {}
    for model in this.models:
        run = this.train(model, model)
        pairs = run.pairs()
        of_train = np.unique(pairs.tr_idx, return_counts=True)
        of_test = np.unique(pairs.tt_idx, return_counts=True)
        numbers[model] = {
            "estimate_trials": int(run.trials.size),
            "pairs": int(pairs.infl.size),
            "train_examples": int(of_train[0].size),
            "test_examples": int(of_test[0].size),
            "most_pairs_of_a_train_example": int(of_train[1].max(initial=0)),
            "most_pairs_of_a_test_example": int(of_test[1].max(initial=0)),
        }
        removed = np.zeros(run.tr_labels.size, bool)
        removed[of_train[0]] = True
        whole, _ = this.accuracy_without(model, np.zeros_like(removed))
        without, without_random = this.accuracy_without(model, removed)
        numbers[model]["test_accuracy"] = {
            name: [float(a.mean()), float(a.std())]
            for name, a in (
                ("of_all_examples", whole),
                ("without_those_of_the_pairs", without),
                ("without_as_many_random", without_random),
            )
        }
        test = ttest_ind(without, without_random, equal_var=False)
        numbers[model]["p_of_equal_means"] = float(test.pvalue)
        pictures[model] = figures.influence(run, this.data, pairs)
        tables[f"{model}_pairs"] = {
            **pairs._asdict(),
            "label": run.tr_labels[pairs.tr_idx],
            "tr_id": run.tr_ids[pairs.tr_idx],
            "tt_id": run.tt_ids[pairs.tt_idx],
        }
    this.save({"pairs": numbers}, pictures, tables)


if __name__ == "__main__":
    command(main)
