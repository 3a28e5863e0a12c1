"""Every experiment, end to end at toy size: what its numbers must satisfy."""

import csv
import itertools
import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxmem
from jaxmem.estimates.overview import overview
from jaxmem.training.ensemble import Plan

TRIALS, REPETITIONS = 40, 5
FOLDER = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def experiments(monkeypatch):
    """Import an experiment as its own command does."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield lambda name: __import__(name)
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Trials that all experiments of the module share, and their results."""
    return tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("results")


@pytest.fixture
def run(experiments, folders, monkeypatch):
    """Run an experiment on 200 digits; returns its JSON and its table of a name."""
    workdir, results = folders
    plan = Plan(devices=4, width=1, rounds=3)
    monkeypatch.setattr("jaxmem.running.planning.make_plan", lambda *_: plan)

    def call(name, *arguments, repetitions=False):
        flags = [f"--trials={TRIALS}", "--rows=200"]
        flags += [f"--workdir={workdir}", f"--results={results}", "--recipe=mlp.epochs=20"]
        flags += [f"--repetitions={REPETITIONS}"] if repetitions else []
        experiments(name).main([*flags, *arguments])
        found = json.loads((results / name / "digits-200.json").read_text())
        tables = {}
        for path in (results / name).glob("*.csv"):
            with open(path) as file:
                rows = list(csv.DictReader(file))
            columns = {k: [row[k] for row in rows] for k in (rows[0] if rows else {})}
            tables[path.stem.removeprefix("digits-200_")] = columns
        for picture in (results / name).glob("*.png"):
            assert picture.with_suffix(".pdf").exists()
        return found, tables

    return call


def numbers(column):
    return np.array(column, float)


def test_memorization(run, folders):
    found, tables = run("memorization")
    stored = jaxmem.open_run(folders[0] / "mlp")
    assert found["dataset"] == "digits" and found["training_examples"] == 200
    estimates = found["estimates"]["mlp"]
    assert sum(estimates["histogram"]) == np.isfinite(stored.memorization).sum()
    assert estimates["memorized"] == (stored.memorization >= 0.25).sum() > 0
    assert tables["mlp_mem"]["id"] == stored.tr_ids.tolist()
    np.testing.assert_allclose(
        numbers(tables["mlp_mem"]["mem"]), stored.memorization, atol=1e-6
    )


def test_marginal_utility(run, tmp_path, digits):
    found, tables = run("marginal_utility", repetitions=True)
    curves = found["curves"]["mlp"]
    assert (np.diff(curves["remaining"]) >= 0).all() and curves["remaining"][0] < 1
    np.testing.assert_allclose(numbers(tables["mlp"]["p"]), curves["p"], atol=1e-6)
    # A threshold above 1 removes nothing, and gives the accuracy of training on all.
    assert curves["threshold"][-1] > 1 and curves["remaining"][-1] == 1
    data = digits._replace(train=type(digits.train)(*(a[:200] for a in digits.train)))
    masks = np.ones((2 * REPETITIONS, 200), bool)
    whole = jaxmem.run_trials(data, workdir=tmp_path, masks=masks, epochs=20)
    arms = whole.test_accuracy[:REPETITIONS], whole.test_accuracy[REPETITIONS:]
    for name, arm in zip(("memorized", "random"), arms, strict=True):
        np.testing.assert_allclose(curves[f"{name}_mean"][-1], arm.mean(), atol=1e-6)
        np.testing.assert_allclose(curves[f"{name}_std"][-1], arm.std(), atol=1e-6)


def test_influence(run, folders):
    found, tables = run("influence", repetitions=True)
    whole = jaxmem.open_run(folders[0] / "mlp")
    pairs = whole.pairs()
    counted = found["pairs"]["mlp"]
    assert counted["pairs"] == pairs.infl.size == len(tables["mlp_pairs"]["infl"]) > 0
    assert counted["train_examples"] == len(set(tables["mlp_pairs"]["tr_id"]))
    assert counted["test_examples"] == len(set(pairs.tt_idx.tolist()))
    most = max(np.bincount(pairs.tr_idx))
    assert counted["most_pairs_of_a_train_example"] == most
    # What the removal trained on: neither arm sees what it must not.
    removals = [jaxmem.open_run(f) for f in folders[0].glob("mlp-without-*")]
    for removal in removals:  # and are tested on all
        np.testing.assert_array_equal(removal.tt_ids, whole.tt_ids)
    masks = [removal.included for removal in removals]
    (included,) = (
        m
        for m in masks
        if not m[:REPETITIONS, pairs.tr_idx].any()
        and m[:REPETITIONS].sum() == REPETITIONS * (200 - counted["train_examples"])
    )
    assert (included.sum(axis=1) == 200 - counted["train_examples"]).all()
    assert np.unique(included[REPETITIONS:], axis=0).shape[0] == REPETITIONS


def test_consistency(run, folders):
    """The same architecture with the same seeds agrees with itself."""
    found, tables = run(
        "consistency", "--models=mlp,mlp,linear", "--recipe=linear.epochs=5"
    )
    again = jaxmem.open_run(folders[0] / "mlp-again")
    first = jaxmem.open_run(folders[0] / "mlp")
    np.testing.assert_array_equal(first.included, again.included)
    assert (first.final_loss != again.final_loss).any()
    itself = found["agreement_with_first"]["mlp"]
    assert itself["J_mem_at_0.25"] == 1 and itself["D_mem_at_0.25"] == 0
    assert itself["J_infl_at_0.15"] == 1 and itself["D_infl_at_0.15"] == 0
    other = found["agreement_with_first"]["mlp, other seed"]
    assert other["J_mem_at_0.25"] < 1 and other["D_mem_at_0.25"] > 0
    counts = numbers(tables["mem_linear"]["second"])
    linear = jaxmem.open_run(folders[0] / "linear").memorization
    thresholds = numbers(tables["mem_linear"]["thresholds"])
    assert counts.tolist() == [(linear >= t).sum() for t in thresholds]


def test_last_layer(run, folders):
    found, _ = run("last_layer")
    result = found["last_layer"]["mlp"]
    assert result["features"] == 192
    # The features know every example: linear models are as good as the network that made
    # them, and depend less on which examples they see than whole networks do.
    assert result["network_train_accuracy"] > 0.99
    linear, full = result["linear"], result["full_networks_on_subsets"]
    assert linear["test_accuracy"][0] > result["network_test_accuracy"] - 0.03
    assert linear["memorized"] < full["memorized"]
    assert linear["accuracy_on_excluded"] > full["accuracy_on_excluded"]
    whole = jaxmem.open_run(folders[0] / "mlp-whole")
    assert whole.included.all() and whole.trials.size == 1
    # Of few networks, no example's mem is told.
    few = ["--trials=2", "--linear-trials=40", "--recipe=linear.epochs=2"]
    found, _ = run("last_layer", *few, f"--workdir={folders[0] / 'few'}")
    result = found["last_layer"]["mlp"]
    linear, full = result["linear"], result["full_networks_on_subsets"]
    assert (linear["trials"], full["trials"]) == (40, 2)
    assert linear["memorized"] is not None and full["memorized"] is None
    recipe = jaxmem.open_run(folders[0] / "few" / "mlp-last-layer").config.recipe
    assert recipe.epochs == 2


def test_compare_precision(run):
    found, _ = run("compare_precision")
    result = found["precision"]["mlp"]
    # The same subsets, parameters and orders: closer than another seed's.
    rounded, other = result["bfloat16"], result["float32_other_seed"]
    assert 0 < rounded["outcomes_that_differ"] < other["outcomes_that_differ"]
    assert rounded["rms_difference_of_mem"] < other["rms_difference_of_mem"]
    assert rounded["memorized_shared"] <= min(rounded["memorized"])


def test_gradient_similarity(run, experiments, digits, folders, monkeypatch):
    """TRAK of trained networks is TRAK written out; fewer examples make no method equal."""
    module = experiments("gradient_similarity")
    monkeypatch.setattr(module, "MODELS", 2)
    monkeypatch.setattr(module, "SUBSETS", 12)
    monkeypatch.setattr(module, "EXAMPLES", 10)
    monkeypatch.setattr(module, "WIDTH", 40)
    found, _ = run("gradient_similarity", repetitions=True)
    values = found["lds"]["mlp"]
    assert 0 < values.pop("ceiling") <= 1
    assert all(-1 <= low <= high <= 1 for _, low, high in values.values())
    fitted = jaxmem.open_run(folders[0] / "mlp-fitted")
    data = digits._replace(
        train=type(digits.train)(*(part[:200] for part in digits.train)),
        test=type(digits.test)(*(part[:10] for part in digits.test)),
    )
    scores = module.scores_of_gradients(fitted, data, 0)
    rng, expected, missed = np.random.default_rng(0), 0, 0
    for trial in fitted.trials[:2]:
        train, test, miss, _ = map(np.asarray, module.gradients(fitted, data, trial, rng))
        expected += test @ np.linalg.inv(train.T @ train) @ train.T / 2
        missed += miss / 2
        margin = fitted.train_margin[trial].astype(float)
        np.testing.assert_allclose(miss, 1 / (1 + np.exp(margin)), rtol=0.02, atol=1e-4)
    np.testing.assert_allclose(scores["trak"], (expected * missed).T, rtol=0.02, atol=1e-5)


def test_knobs(run, experiments, monkeypatch):
    knobs = {
        "hidden": [(8,), (192,)],
        "label_smoothing": [0.1],
        "subset_fraction": [0.4, 0.9],
    }
    monkeypatch.setattr(experiments("knobs"), "KNOBS", knobs)
    found, tables = run("knobs", "--recipe=mlp.epochs=5")
    rows = {(row["knob"], row["value"]): row for row in found["knobs"]["mlp"]}
    assert len(rows) == len(tables["mlp"]["knob"]) == 5
    # Smaller subsets see fewer neighbours, and test worse.
    few, many = (rows["subset_fraction", v]["test_accuracy"] for v in ("0.4", "0.9"))
    assert few < many - 0.01
    # The recipe's own value is the same run whichever knob it is.
    keys = [("hidden", "192"), ("label_smoothing", "0.1")]
    assert len({rows[key]["test_accuracy"] for key in keys}) == 1


def test_bad_input_is_one_line(experiments, capsys):
    experiment = experiments("experiment")
    for flag, said in (
        ("--rows=1", "rows 1 must be in 2 … 1437"),
        ("--recipe=mlp.epoch=3", "--recipe=mlp.epoch=3 is no MODEL.FIELD=VALUE"),
        ("--recipe=mlp.epochs=x", "--recipe=mlp.epochs=x is no MODEL.FIELD=VALUE"),
    ):

        def main(argv, flag=flag):
            args = experiment.parser("", models="mlp", trials=4).parse_args([flag])
            experiment.setting("any", args)

        with pytest.raises(SystemExit) as end:
            experiment.command(main)
        assert end.value.code == 2
        assert capsys.readouterr().err.startswith(f"jaxmem: {said}")
    parsed = experiment._recipes(["mlp.hidden=8,4", "mlp.mirror=true", "cnn.epochs=3"])
    assert parsed == {"mlp": {"hidden": (8, 4), "mirror": True}, "cnn": {"epochs": 3}}


def test_halves_of_the_trials(experiments, tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(tiny, 40, tmp_path, **tiny_recipe)
    found = experiments("mnist_demo").halves(run, threshold=0.1234)

    def mem(part):
        included, correct = run.included[part], run.train_correct[part]
        inside = np.mean(correct, axis=0, where=included)
        return inside - np.mean(correct, axis=0, where=~included)

    first, second = (mem(part) >= 0.1234 for part in (slice(20), slice(20, 40)))
    assert found["trials_each"] == 20
    assert found["memorized"] == [first.sum(), second.sum()]
    assert found["memorized_shared"] == (first & second).sum()


def test_error_against_trials(run, experiments, monkeypatch):
    monkeypatch.setattr(experiments("error_against_trials"), "COUNTS", (10, 40))
    found, tables = run("error_against_trials", "--reference=80")
    assert found["reference_trials"] == 80
    error = {
        (row["sampling"], row["outcome"], row["examples"], row["trials"]): row["rms_error"]
        for row in found["errors"]
    }
    assert len(error) == 16 == len(tables["mlp"]["rms_error"])
    for sampling in ("uniform", "balanced"):
        for kind in ("hard", "soft"):
            few, many = (error[sampling, kind, "all", count] for count in (10, 40))
            assert 0 < many < few


def test_benchmark_labels(experiments, digits, monkeypatch, tmp_path):
    benchmark = experiments("benchmark_labels")
    for kind in benchmark.FLIPS.split(","):
        noisy, wrong = benchmark.flip(digits, kind, 0.1)
        assert wrong.sum() == 144
        np.testing.assert_array_equal(noisy.train.labels != digits.train.labels, wrong)
    moved = (noisy.train.labels - digits.train.labels)[wrong]
    assert np.unique(moved).size > 2  # close: not one class for all
    following, wrong = benchmark.flip(digits, "next", 0.1)
    np.testing.assert_array_equal(
        following.train.labels[wrong], (digits.train.labels[wrong] + 1) % 10
    )
    monkeypatch.setattr("experiment.RESULTS", tmp_path)
    benchmark.main(["--data=wine", "--flips=next", "--shares=0.1"])
    rows = json.loads((tmp_path / "benchmark_labels.json").read_text())["rows"]
    assert rows[0]["by"] == "jaxmem" and len(rows) == 8
    assert 0 < rows[0]["seconds_warm"] and rows[1]["seconds_warm"] is None
    assert all(row["wrong"] == 14 for row in rows)
    precision = {row["by"]: row["average_precision"] for row in rows}
    forgotten = precision.pop("forgetting, four trainings")  # what is learnt is wrong last
    assert min(precision.values()) > 0.5 and 0 < forgotten < 1
    assert rows[0]["number"]["low"] <= 14 <= rows[0]["number"]["high"]


def test_knn_shapley_is_shapleys(experiments):
    """Against its definition: the mean gain over all orders of the training rows."""
    benchmark = experiments("benchmark_labels")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 2)), np.array([0, 1, 0, 1, 1])
    x_test, y_test = rng.normal(size=(3, 2)), np.array([0, 1, 1])

    def votes(rows):  # the share of the two nearest that vote for the label
        if not rows:
            return 0.0
        far = np.linalg.norm(x_test[:, None] - x[list(rows)], axis=2)
        near = np.array(list(rows))[np.argsort(far, axis=1)[:, :2]]
        return (y[near] == y_test[:, None]).sum(axis=1).mean() / 2

    gains = np.zeros(5)
    orders = list(itertools.permutations(range(5)))
    for order in orders:
        for place, row in enumerate(order):
            gains[row] += votes(order[: place + 1]) - votes(order[:place])
    np.testing.assert_allclose(
        benchmark.knn_shapley(x, y, x_test, y_test, k=2), gains / len(orders), atol=1e-12
    )


def test_benchmark_placement(experiments, digits, tmp_path):
    benchmark = experiments("benchmark_placement")
    speed = benchmark.compare(digits, "linear", 2, 3)
    assert len(speed["of_turns"]) == benchmark.TURNS
    assert speed["device_rows_per_second"] > 0 < speed["host_rows_per_second"]
    used = benchmark.memory(4_000_000, tmp_path)
    assert used["bytes"] == pytest.approx(4_000_000, abs=2 * benchmark.SIDE**2)
    assert used["own_memory_bytes"] > 0 and list(tmp_path.iterdir()) == []


def test_wrong_labels_in_tables(experiments, monkeypatch, tmp_path):
    monkeypatch.setattr("experiment.RESULTS", tmp_path)
    experiment = experiments("wrong_labels_in_tables")
    cancer = experiment.tables(tmp_path)["breast_cancer"]
    monkeypatch.setattr(experiment, "tables", lambda _: {"breast_cancer": cancer})
    experiment.main(["--linear-trials=16", "--mlp-trials=8"])
    found = json.loads((tmp_path / "wrong_labels_in_tables.json").read_text())
    found = found["breast_cancer"]
    assert found["wrong"] == 23 == round(0.05 * found["rows"])
    ranked = found["mlp"]["scores"]["held-out margin"]["average_precision"]
    assert ranked > 0.5 and found["mlp"]["wrong_labels_fitted"] > 0.9


def test_wrong_or_hard(experiments, monkeypatch, tmp_path):
    experiment = experiments("wrong_or_hard")
    monkeypatch.setattr(experiment, "RESULTS", tmp_path)
    experiment.main(["--data=digits", "--trials=16"])
    found = json.loads((tmp_path / "wrong_or_hard" / "digits.json").read_text())
    assert found["wrong"] == 29
    assert found["of_these_wrong"] > 20 > found["wrong_among_these"]
    assert found["memorized_and_doubted"] < 2 * found["of_these_wrong"]
    assert (tmp_path / "wrong_or_hard" / "digits.png").exists()


def test_membership_inference(run):
    found, tables = run("membership_inference")
    for models in ("16 models", "40 models"):
        attacks = found["attacks"]["mlp"][models]
        assert attacks["lira-fixed"]["auc"] > 0.55 and attacks["rmia"]["auc"] > 0.55
        value, low, high = attacks["lira-fixed"]["tpr_at_0.1%"]
        assert 0 <= low <= value <= high <= 1
    band = tables["mlp_16_lira-fixed"]
    assert (numbers(band["low"]) <= numbers(band["true_positive_rate"])).all()
    assert (numbers(band["true_positive_rate"]) <= numbers(band["high"])).all()


def test_variance(run, folders):
    found, _ = run("variance", "--trials=3", "--levels=5")
    assert found["trials_in_all"] == 4 * 5 * 3
    runs = [jaxmem.open_run(folders[0] / f"mlp-variance-order-{seed}") for seed in range(5)]
    assert all(one.config.fix == ("order",) for one in runs)
    parts = jaxmem.variance.noise_components(
        np.concatenate([one.included for one in runs]),
        np.concatenate([one.train_correct for one in runs]),
        np.repeat(range(5), 3),
    )
    known = np.isfinite(parts.between)
    between, within = (part[known].sum() for part in parts)
    assert found["all"]["order"]["share"] == pytest.approx(between / (between + within))
    assert found["all"]["order"]["se"] > 0
    names = set(found["all"]) - {"examples", "init", "order"}
    names -= {"interaction of init and order"}
    assert sum(found["all"][name]["share"] for name in names) == pytest.approx(1)
    subset = jaxmem.open_run(folders[0] / "mlp-variance-subset").included
    assert len(np.unique(subset, axis=0)) == 5


def test_own_networks_are_the_same_in_pytorch(experiments, digits):
    torch = pytest.importorskip("torch")
    benchmark = experiments("benchmark_own_networks")
    for name in benchmark.NETWORKS:
        model = jaxmem.models.make_model(
            f"{benchmark.FILE}:{name}", jaxmem.Spec(10, image_shape=(8, 8, 1))
        )
        params, _ = model.init(jax.random.key(0), digits.train.images[0])
        net = benchmark.torch_network(name)
        sizes = sum(p.numel() for p in net.parameters())
        assert sizes == sum(a.size for a in jax.tree.leaves(params)), name
        assert net(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_a_cluster_on_paper(experiments):
    """Without preemptions by hand; with many, what is lost is less than is kept."""
    simulate = experiments("simulate_cluster").simulate
    calm = simulate(4, 1e-9, block=20.0, size=10, trials=800)
    assert calm["hours"] == pytest.approx(20 * 20 / 3600)  # of 80 leases, each does 20
    assert calm["working_share"] == pytest.approx(1) and calm["preemptions"] == 0
    rough = simulate(16, 1.0, block=3600.0, size=4, trials=640)
    assert rough["preemptions"] > 100 and rough["trials_set_aside"] < 640
    assert 60 / 3600 / 2 < rough["lost_share_of_work"] < 120 / 1800


def test_outcomes_of_fake_workers_are_as_the_schema_says(experiments, tmp_path):
    pytest.importorskip("ray")
    benchmark = experiments("benchmark_cluster")
    config = benchmark.make_config(1000, 50, 300)
    rows = benchmark.Rows(config, 4)()
    del rows["status"]
    store = benchmark.create_store(tmp_path, config, 4)
    store.append([0, 1, 2, 3], rows, 1)
    for name, values in rows.items():
        if name != "diverged":
            np.testing.assert_array_equal(store.read(name, np.arange(4)), values)
    assert 0.1 < (rows["train_predicted"] > 0).mean() < 0.3


def test_benchmark_report(experiments, tmp_path):
    """Its planted pair stands on the page of the training example."""
    make = experiments("benchmark_report").imagenet(0.001)
    run, data, (row, column) = make(tmp_path / "run")
    assert data is None and column in overview(run, harmful=False).train.helped.index[row]


def test_proxies(run):
    found, _ = run("proxies")
    rows = found["mlp"]["proxies"]
    assert {row["trials"] for row in rows} == {1, 2, 5, 10, 20}
    best = {row["proxy"]: row for row in rows if row["trials"] == 20}
    # mem of this half of the trials, which is not the reference's.
    assert best["mem"]["pearson"] > 0.7 and best["soft mem"]["known"] > 0.9
    assert best["cumulative_loss"]["auc_of_memorized"] > 0.9
    stages = found["mlp"]["two_stages"]
    assert stages["candidates"] == 50 and stages["memorized_among_candidates"] > 0.5
    for name in ("one stage, mem", "two stages, soft mem"):
        assert 0 < stages[name]["root_mean_square_difference"] < 0.5
