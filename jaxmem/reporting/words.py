"""A run in plain words: what a report says first."""

from typing import NamedTuple

import numpy as np

from jaxmem.estimates.overview import Overview, count_memorized, mean_interval
from jaxmem.reporting.summary import Summary


class Fact(NamedTuple):
    """A number of the summary."""

    name: str
    value: str
    range: str  # its interval, or what else says how sure it is
    what: str  # what it is


def title(shown: Overview) -> str:
    """What a report is of, in a line."""
    config = shown.run.config
    return f"{config.dataset}: what {config.model} memorizes"


def lead(shown: Overview, mem: float, infl: float) -> list[str]:
    """What was trained, how well, and what it memorizes: a few sentences."""
    run, config = shown.run, shown.run.config
    n, e, trials = run.tr_labels.size, run.tt_labels.size, run.trials.size
    share = run.packed()[0].sums().mean() / n
    drawn = config.sampling != "given" and config.groups is None and config.trained
    how = "a random" if drawn else "on average"
    memorized, what = count_memorized(shown, mem), _units(shown)
    part = _percent(memorized.number / max(memorized.of, 1))
    seen, test = (mean_interval(x)[0] for x in (run.train_accuracy, run.test_accuracy))
    lines = [
        f"{trials:,} models ({config.model}) were trained, each on {how} {share:.0%} of "
        f"the {n:,} training examples of {config.dataset}. Of what they saw they get "
        f"{_percent(seen)} right, of the {e:,} test examples {_percent(test)}.",
        f"{memorized.number:,} {what} ({part}) are "
        f"memorized: mem, the chance that a model gets an example right less that chance "
        f"for models that never saw it, is at least {mem:g}. Counting only those whose "
        f"interval lies above it there are {memorized.surely:,}; with those whose interval "
        f"reaches it, {memorized.perhaps:,}.",
    ]
    if lacking := int(np.isnan(run.memorization).sum()):
        always = int((np.asarray(run.memorization_counts.n_out) == 0).sum())
        lines.append(
            f"{lacking:,} training examples have no estimate, {always:,} of them because "
            "they were in every subset."
        )
    pairs = shown.pairs.infl.size
    if pairs:
        lines.append(
            f"In {pairs:,} pairs, a memorized training example raises the chance that a "
            f"test example is got right by at least {infl:g}."
        )
    if shown.suspects.size:
        lines.append(
            f"Of {shown.suspects.size:,} training examples, the models that never saw them "
            "mostly name another class: look at these first for wrong labels."
        )
    return lines


def facts(shown: Overview, summary: Summary, mem: float, infl: float) -> list[Fact]:
    """The numbers of the summary, each with its interval and what it is."""
    run, s = shown.run, summary
    memorized = count_memorized(shown, mem)
    return [
        Fact(
            "memorized",
            f"{memorized.number:,}",
            f"{memorized.surely:,} to {memorized.perhaps:,}",
            f"{_units(shown).capitalize()} with mem ≥ {mem:g}. The range: those whose "
            "whole 95% interval lies there, and those whose interval reaches it.",
        ),
        Fact(
            "strong pairs",
            f"{s.pairs if shown.same_class_only else shown.pairs.infl.size:,}",
            _discoveries(shown),
            f"A training example with mem ≥ {mem:g} and a test example, of any class, with "
            f"infl ≥ {infl:g}. Discoveries: pairs so clear that of all of them, among "
            f"{s.all_pairs:,} possible pairs, 5% are expected to be false.",
        ),
        Fact(
            "labels contradicted",
            f"{shown.suspects.size:,}",
            f"{_percent(shown.suspects.size / s.training_examples)} of all",
            "Training examples that the models which never saw them mostly put into "
            "another class: wrong labels, hard cases, rare kinds.",
        ),
        _accuracy(
            "test accuracy",
            run.test_accuracy,
            "Mean over the models, on the test set. The interval is of that mean, for "
            "these test examples.",
        ),
        _accuracy(
            "train accuracy",
            run.train_accuracy,
            "Mean over the models, each on the examples that it saw. What models do not "
            "fit they cannot memorize.",
        ),
        Fact(
            "error of mem",
            "–" if s.median_se is None else f"± {s.median_se:.4f}",
            "memorized: –"
            if s.median_se_memorized is None
            else f"memorized: ± {s.median_se_memorized:.4f}",
            "The median standard error of mem, over all training examples and over the "
            "memorized ones. More trials make it smaller: four times as many, half of it.",
        ),
        Fact(
            "models",
            f"{s.trials:,}",
            f"{s.diverged:,} diverged, {s.damaged:,} damaged",
            "Finished trainings, each on a subset. Diverged and damaged ones are "
            "left out of everything.",
        ),
        Fact(
            "duplicates",
            f"{s.duplicates_in_train:,}",
            f"{s.duplicates_of_train_in_test:,} of test also in train",
            "Training examples whose content stands in the training set before, value for "
            "value. A duplicate hides memorization: its twin is often in the subset.",
        ),
    ]


def _units(shown: Overview) -> str:
    """What has mem, in words."""
    return "training examples" if shown.run.tr_groups is None else "groups of examples"


def _discoveries(shown: Overview) -> str:
    if np.isnan(shown.pairs_level):
        return "discoveries are not counted"
    count = int((shown.pairs.infl_p <= shown.pairs_level).sum())
    return f"{count:,} of them discoveries"


def _accuracy(name: str, values: np.ndarray, what: str) -> Fact:
    mean, low, high = mean_interval(values)
    spread = float(np.nanstd(values)) if np.isfinite(values).any() else np.nan
    what += f" The standard deviation between models is {_percent(spread)}."
    return Fact(name, _percent(mean), f"{_percent(low)} to {_percent(high)}", what)


def _percent(share: float) -> str:
    return f"{share:.2%}" if np.isfinite(share) else "–"
