"""How well are wrong labels found, by jaxmem and by others, and how many?

    pip install 'jaxmem[labels]'
    python experiments/benchmark_labels.py --data-dir=../shared/tfds

Labels are flipped to any class, to the next, to the class that a classifier confuses most
with it, and (close) of the examples nearest to another class to that one. Ranks by
`find_suspects` from nothing, and by peers: cleanlab's self-confidence of five-fold
probabilities of a logistic regression and of a random forest, out-of-bag probabilities of
1,000 trees (Data-OOB), KNN-Shapley values given clean test rows (written here: pyDVL, 0.10
needs NumPy 1), the share of ten nearest neighbours that disagree; and what four trainings
on all rows show, by our dynamics: the area under the margin (AUM), and forgetting. Average
precision, precision at the true number, seconds (of a dataset's first row with no compiled
programs kept, and again with them); the number of wrong labels with its interval, beside
cleanlab's joint of given and predicted labels. Takes an hour for all; --data, --flips and
--shares choose. Writes results/NAME.json (--name) after every row.
"""

import argparse
import tempfile
import time
from typing import NamedTuple

import jax
import numpy as np
import sklearn.datasets
from experiment import command, save
from jax.experimental.compilation_cache import compilation_cache
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxmem
from jaxmem.estimates.detection import detection
from jaxmem.training.judging import judging_model, judging_recipe

DATA = "digits,mnist-5000,breast_cancer,wine"
FLIPS = "any,next,confused,close"
SHARES = "0.02,0.1,0.3"


class Peer(NamedTuple):
    """What a detector says, and the seconds that it took."""

    suspicion: np.ndarray  # float64 [N], high for wrong labels
    seconds: float
    number: dict | None = None  # of wrong labels, with an interval
    seconds_warm: float | None = None  # the second time, with compiled programs kept


def main(argv: list[str] | None) -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag, default in (("data", DATA), ("flips", FLIPS), ("shares", SHARES)):
        parser.add_argument(f"--{flag}", default=default, help=f"default: {default}")
    parser.add_argument("--data-dir", help="where TFDS keeps prepared datasets")
    parser.add_argument("--name", default="benchmark_labels", help="of the JSON file")
    args = parser.parse_args(argv)
    rows: list[dict] = []
    for name in args.data.split(","):
        data = load(name, args.data_dir)
        cold = True
        for kind in args.flips.split(","):
            for share in map(float, args.shares.split(",")):
                noisy, wrong = flip(data, kind, share)
                for peer, found in detectors(noisy, cold).items():
                    row = {"data": name, "flips": kind, "share": share, "by": peer}
                    rows.append(row | scores(found, wrong))
                    print(rows[-1], flush=True)
                save(args.name, {"rows": rows})
                cold = False


def load(name: str, data_dir: str | None) -> jaxmem.Dataset:
    """A dataset, without a recipe of its own."""
    if name == "digits":
        return jaxmem.load_dataset(name)._replace(recipes=None)
    if name.startswith("mnist"):
        mnist = jaxmem.load_dataset("mnist", data_dir)
        rows = slice(int(name.partition("-")[2] or 60_000))
        x, y = mnist.train.images[rows], mnist.train.labels[rows]
        return jaxmem.make_dataset(
            name, *(a[rows] for a in mnist.train[:2]), *mnist.test[:2]
        )
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    split = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    return jaxmem.make_dataset(name, split[0], split[2], split[1], split[3])


def flip(
    data: jaxmem.Dataset, kind: str, share: float, seed: int = 0
) -> tuple[jaxmem.Dataset, np.ndarray]:
    """Data with round(share · N) training labels changed, and which: bool [N]."""
    rng = np.random.default_rng(seed)
    labels, classes = data.train.labels, data.num_classes
    n = labels.size
    other = (labels + rng.integers(1, classes, n)) % classes
    chosen = rng.permutation(n)
    if kind == "next":
        other = (labels + 1) % classes
    elif kind in ("confused", "close"):
        chance = out_of_bag(data)
        chance[np.arange(n), labels] = -1
        if kind == "confused":
            mean = np.array([chance[labels == k].mean(axis=0) for k in range(classes)])
            other = mean.argmax(axis=1)[labels]
        else:
            other, chosen = chance.argmax(axis=1), np.argsort(-chance.max(axis=1))
    wrong = np.zeros(n, bool)
    wrong[chosen[: round(share * n)]] = True
    changed = np.where(wrong, other, labels).astype(np.int32)
    return data._replace(train=data.train._replace(labels=changed)), wrong


def detectors(data: jaxmem.Dataset, cold: bool) -> dict[str, Peer]:
    """Every detector on data with wrong labels; cold: ours as on a first start too."""
    found = {"jaxmem": cold_and_warm(data) if cold else ours(data)}
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    found["cleanlab, logistic"] = cleanlab(data, linear)
    found["cleanlab, forest"] = cleanlab(data, forest(300))
    start, n = time.perf_counter(), data.train.labels.size
    chance = out_of_bag(data)[np.arange(n), data.train.labels]
    found["out-of-bag forest"] = Peer(-chance, time.perf_counter() - start)
    start = time.perf_counter()
    rows = data.train.images.shape[1] == 1  # features of different units
    x = StandardScaler().fit_transform(flat(data)) if rows else flat(data)
    search = NearestNeighbors().fit(x)
    near = search.kneighbors(return_distance=True, n_neighbors=10)[1]
    disagree = (data.train.labels[near] != data.train.labels[:, None]).mean(axis=1)
    found["10 neighbours"] = Peer(disagree, time.perf_counter() - start)
    start = time.perf_counter()
    value = knn_shapley(x, data.train.labels, *test_rows(data, rows))
    found["KNN-Shapley, clean test"] = Peer(-value, time.perf_counter() - start)
    start = time.perf_counter()
    learnt, spent = dynamics(data), time.perf_counter() - start
    found["AUM, four trainings"] = Peer(-learnt.area_under_margin, spent)
    found["forgetting, four trainings"] = Peer(learnt.forgetting_events, spent)
    return found


def dynamics(data: jaxmem.Dataset):
    """What four trainings on all rows show, by the network and recipe that judge labels."""
    masks = np.ones((4, data.train.labels.size), bool)
    with tempfile.TemporaryDirectory() as folder:
        run = jaxmem.run_trials(
            data,
            masks=masks,
            workdir=f"{folder}/run",
            model=judging_model(data.train.images.shape[1:]),
            width=2,
            dynamics=True,
            mem=False,
            **judging_recipe(data.train.labels.size),
        )
        return jaxmem.dynamics.learning_dynamics(run)


def test_rows(data: jaxmem.Dataset, rows: bool) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [E, D], standardised as the training rows are, and labels [E]."""
    test = data.test.images.reshape(data.test.labels.size, -1).astype(np.float32)
    if rows:
        test = StandardScaler().fit(flat(data)).transform(test)
    return test, data.test.labels


def knn_shapley(
    x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, k: int = 10
) -> np.ndarray:
    """Each training row's Shapley value to a vote of k neighbours: float64 [N].

    Jia et al., VLDB 2019 (arXiv 1908.08619), theorem 1: a recursion from the farthest row.
    """
    n, total = len(y), np.zeros(len(y))
    place = np.arange(1, n)
    weight = np.minimum(k, place) / place / k
    for part in range(0, len(y_test), 500):  # so that distances stay small
        some = slice(part, part + 500)
        near = np.argsort(euclidean_distances(x_test[some], x), axis=1)
        agrees = (y[near] == y_test[some, None]).astype(np.float64)
        value = np.empty_like(agrees)
        value[:, -1] = agrees[:, -1] / n
        steps = (agrees[:, :-1] - agrees[:, 1:]) * weight
        value[:, :-1] = value[:, -1:] + np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
        np.add.at(total, near, value)
    return total / len(y_test)


def cold_and_warm(data: jaxmem.Dataset) -> Peer:
    """`find_suspects` with an empty cache of compiled programs, then with a filled one."""
    with tempfile.TemporaryDirectory() as cache:
        before = jax.config.jax_compilation_cache_dir
        jax.clear_caches()
        jax.config.update("jax_compilation_cache_dir", cache)
        compilation_cache.reset_cache()
        first = ours(data)
        jax.clear_caches()
        second = ours(data)
        jax.config.update("jax_compilation_cache_dir", before)
        compilation_cache.reset_cache()
    return first._replace(seconds_warm=second.seconds)


def ours(data: jaxmem.Dataset) -> Peer:
    """`find_suspects` from nothing."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = jaxmem.find_suspects(data, f"{folder}/run")
    number = found.number._asdict() if found.number else None
    return Peer(-found.margin, time.perf_counter() - start, number)


def cleanlab(data: jaxmem.Dataset, model) -> Peer:
    """Self-confidence of five-fold probabilities, and the joint's number of issues."""
    from cleanlab.count import estimate_joint
    from cleanlab.rank import get_label_quality_scores

    start, labels = time.perf_counter(), data.train.labels
    chance = cross_val_predict(model, flat(data), labels, cv=5, method="predict_proba")
    quality = get_label_quality_scores(labels, chance)
    seconds = time.perf_counter() - start
    rng, drawn = np.random.default_rng(0), []
    for rows in (
        np.arange(labels.size),
        *rng.integers(labels.size, size=(50, labels.size)),
    ):
        joint = estimate_joint(labels[rows], chance[rows])
        drawn.append(labels.size * (1 - np.trace(joint)))
    low, high = np.quantile(drawn[1:], (0.025, 0.975))
    number = {"estimate": float(drawn[0]), "low": float(low), "high": float(high)}
    return Peer(-quality, seconds, number)


def forest(trees: int, **more) -> RandomForestClassifier:
    """A random forest on all cores."""
    return RandomForestClassifier(trees, n_jobs=-1, random_state=0, **more)


def out_of_bag(data: jaxmem.Dataset) -> np.ndarray:
    """Class probabilities by the trees that did not see an example: float64 [N, K]."""
    trees = forest(1000, oob_score=True).fit(flat(data), data.train.labels)
    return np.array(trees.oob_decision_function_)


def flat(data: jaxmem.Dataset) -> np.ndarray:
    """Inputs as rows, float32 [N, D]."""
    return data.train.images.reshape(data.train.labels.size, -1).astype(np.float32)


def scores(found: Peer, wrong: np.ndarray) -> dict:
    """A row of the table; nothing wrong has no precision."""
    some, suspicion = wrong.any(), found.suspicion
    return {
        "wrong": int(wrong.sum()),
        "average_precision": average_precision_score(wrong, suspicion) if some else None,
        "precision": detection(suspicion, wrong).precision if some else None,
        "seconds": round(found.seconds, 1),
        "seconds_warm": found.seconds_warm and round(found.seconds_warm, 1),
        "number": found.number,
    }


if __name__ == "__main__":
    command(main)
