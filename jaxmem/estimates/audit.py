"""All attacks on a run, what they are worth, and which examples they find."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxmem._shared.arguments import one_of, rows_of
from jaxmem.errors import InputError
from jaxmem.estimates.membership import (
    Attack,
    Variance,
    lira_scores,
    rmia_scores,
    threshold_scores,
)
from jaxmem.estimates.privacy import (
    AttackRates,
    EpsilonBound,
    epsilon_lower_bound,
    exposure,
    measure_attack,
)
from jaxmem.estimates.results import Run
from jaxmem.estimates.search import MEMORY

LEAST = {  # shadow models; of per-example variance, two on each side
    "lira": 4,
    "lira-fixed": 3,
    "lira-offline": 2,
    "lira-offline-fixed": 2,
    "rmia": 2,
    "rmia-offline": 1,
    "threshold": 0,
}
QUERIES = "-queries"  # ends the name of an attack that asks about copies as well
ATTACKS = (*LEAST, *(name + QUERIES for name in LEAST))
RATE = 0.001  # of false positives at which examples are exposed


class Attacked(NamedTuple):
    """An attack on all targets."""

    rates: AttackRates
    epsilon: EpsilonBound
    exposure: np.ndarray  # float64 [N], `privacy.exposure` at RATE


class Audit(NamedTuple):
    """What attacks make of a run's trials."""

    attacks: dict[str, Attacked]
    targets: int
    shadows: int  # of each target
    strongest: str  # the attack that finds most members at RATE


def audit(
    run: Run,
    targets=slice(None),
    attacks: Sequence[str] | None = None,
    memory: float = MEMORY,
    resamples: int = 200,
    seed: int = 0,
) -> Audit:
    """Attack trials by all others of the run, and measure the attacks.

    targets: rows of its trials, all by default. attacks: of ATTACKS; by default all that
    the number of shadow models is enough for, without and, where --queries stored them,
    with copies of the examples. memory: GiB that an attack, and then resampling, may take.
    Raises InputError without margins, for an unknown attack, and where a named attack, or
    all of them but the threshold, need more shadow models.
    """
    targets = rows_of("target", targets, run.trials.size)
    shadows = run.trials.size - 1
    if attacks is None:
        attacks = [name for name in LEAST if shadows >= LEAST[name]]
        if attacks == ["threshold"]:
            attacks = [*LEAST]
        if run.config.queries:
            attacks = [name + end for name in attacks for end in ("", QUERIES)]
    for name in attacks:
        one_of("attack", name, ATTACKS)
        if shadows < (least := LEAST[name.removesuffix(QUERIES)]):
            raise InputError(
                f"{shadows} shadow models are fewer than the {least} that {name} needs: "
                "train more trials"
            )
    members = run.included[targets]
    found = {}
    for name in attacks:
        scores = _scores(name)(run, targets, memory)
        found[name] = Attacked(
            measure_attack(scores, members, resamples=resamples, seed=seed, memory=memory),
            epsilon_lower_bound(scores, members, seed=seed),
            exposure(scores, members, RATE),
        )
    strongest = max(
        found, key=lambda name: found[name].rates.true_positive_rate[RATE].value
    )
    return Audit(found, targets.size, shadows, strongest)


def _scores(name: str) -> Callable[[Run, np.ndarray, float], np.ndarray]:
    attack: Attack = "offline" if "offline" in name else "online"
    variance: Variance = "fixed" if "fixed" in name else "per-example"
    queries = name.endswith(QUERIES)
    match name.partition("-")[0]:
        case "threshold":
            return lambda run, targets, memory: threshold_scores(run, targets, queries)
        case "rmia":
            return lambda run, targets, memory: rmia_scores(
                run, targets, attack, memory=memory, queries=queries
            )
    return lambda run, targets, memory: lira_scores(
        run, targets, attack, variance, memory, queries
    )
