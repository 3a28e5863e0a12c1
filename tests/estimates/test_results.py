import numpy as np
import pytest
from scipy.stats import false_discovery_control, fisher_exact
from sklearn.metrics import roc_auc_score

import jaxmem
from jaxmem import InputError, exports
from jaxmem.estimates.counts import INFLUENCE_ROWS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """40 trials on 4 classes of noise, learnt by heart."""
    rng = np.random.default_rng(0)
    data = jaxmem.make_dataset(
        "noise",
        rng.random((83, 3, 3)),
        rng.integers(0, 4, 83),
        rng.random((21, 3, 3)),
        rng.integers(0, 4, 21),
    )
    return jaxmem.run_trials(
        data,
        40,
        tmp_path_factory.mktemp("noise"),
        width=1,
        epochs=20,
        batch_size=8,
        learning_rate=0.3,
        hidden=(30,),
    )


def difference(included_T, correct_T):
    """mean inside − mean outside, in float64."""
    return correct_T[included_T].mean() - correct_T[~included_T].mean()


def test_arrays_have_their_shapes(run):
    assert run.included.shape == run.train_correct.shape == (40, 83)
    assert run.test_correct.shape == (40, 21)
    assert run.included.dtype == run.train_correct.dtype == run.test_correct.dtype == bool
    assert np.all(run.included.sum(axis=1) == round(0.7 * 83))
    np.testing.assert_allclose(run.test_accuracy, run.test_correct.mean(axis=1), rtol=1e-6)
    seen = np.mean(run.train_correct, axis=1, where=run.included)
    np.testing.assert_allclose(run.train_accuracy, seen, rtol=1e-6)


def test_memorization_and_influence_are_those_of_the_bits(run):
    mem = [difference(run.included[:, i], run.train_correct[:, i]) for i in range(83)]
    np.testing.assert_allclose(run.memorization, mem, rtol=1e-12, atol=1e-15)
    assert run.memorization_se.shape == (83,) and (run.memorization_se > 0).all()
    infl = run.influence([5, 80, 5])
    for row, i in enumerate([5, 80, 5]):
        expected = [
            difference(run.included[:, i], run.test_correct[:, j]) for j in range(21)
        ]
        np.testing.assert_allclose(infl[row], expected, rtol=1e-12, atol=1e-15)


def naive_pairs(run, infl, mem):
    return {
        (i, j)
        for i in range(83)
        for j in range(21)
        if run.tr_labels[i] == run.tt_labels[j]
        and run.memorization[i] >= mem
        and run.influence([i])[0, j] >= infl
    }


def test_pairs(run):
    pairs = run.pairs(infl=0.2, mem=0.3)
    found = set(zip(pairs.tr_idx.tolist(), pairs.tt_idx.tolist(), strict=True))
    assert len(found) == pairs.infl.size > 0
    assert found == naive_pairs(run, 0.2, 0.3)
    assert np.all(np.diff(pairs.infl) <= 0)
    np.testing.assert_array_equal(pairs.mem, run.memorization[pairs.tr_idx])
    for k in range(pairs.infl.size):
        value, error = run.influence_with_se([pairs.tr_idx[k]], [pairs.tt_idx[k]])
        assert (value[0, 0], error[0, 0]) == (pairs.infl[k], pairs.infl_se[k])
    none = run.pairs(infl=1.0, mem=1.0)
    assert none.tr_idx.dtype == np.int64 and not none.tr_idx.size


def test_influence_in_several_products(run, monkeypatch):
    whole = run.influence(range(83))
    assert INFLUENCE_ROWS > 83
    monkeypatch.setattr("jaxmem.estimates.counts.INFLUENCE_ROWS", 10)
    np.testing.assert_array_equal(run.influence(range(83)), whole)


@pytest.mark.parametrize("row", [-1, 83])
def test_influence_of_no_row(run, row):
    with pytest.raises(InputError, match=f"training row {row} is outside 0 … 82"):
        run.influence([0, row])
    assert run.influence([]).shape == (0, 21)


def test_files_have_the_published_names(run):
    pairs = run.pairs()
    with np.load(exports.save_estimates(run, pairs, run.workdir)) as file:
        np.testing.assert_array_equal(file["tr_mem"], run.memorization)
        np.testing.assert_array_equal(file["tr_ids"], run.tr_ids)
        assert file["tr_idx"].dtype == file["tt_idx"].dtype == np.int64
        assert file["infl"].dtype == file["mem"].dtype == np.float64
        sizes = {file[k].size for k in ("tr_idx", "tt_idx", "infl", "infl_se", "mem")}
        assert sizes == {pairs.infl.size} and file["trials"] == 40
        assert {"tr_mem_se", "tr_labels", "tt_labels", "tt_ids"} <= set(file)
    with np.load(exports.save_class_matrices(run, run.workdir)) as file:
        rows = 0
        for k in range(4):
            tr, tt = file[f"tr_classidx_{k}"], file[f"tt_classidx_{k}"]
            assert (run.tr_labels[tr] == k).all() and (run.tt_labels[tt] == k).all()
            matrix = file[f"infl_matrix_class{k}"]
            np.testing.assert_array_equal(matrix, run.influence(tr)[:, tt].astype("f4"))
            assert file[f"infl_se_class{k}"].shape == matrix.shape
            rows += tr.size
        assert rows == 83
        np.testing.assert_array_equal(file["tr_mem"], run.memorization)


def test_mislabelled_digits_are_memorized_first(digits, tmp_path):
    rng = np.random.default_rng(0)
    flipped = rng.choice(1437, round(0.03 * 1437), replace=False)
    labels = digits.train.labels.copy()
    truth = labels[flipped].copy()
    labels[flipped] = (truth + rng.integers(1, 10, flipped.size)) % 10
    noisy = digits._replace(train=digits.train._replace(labels=labels))
    run = jaxmem.run_trials(noisy, 200, tmp_path, width=1)

    is_flipped = np.zeros(1437, bool)
    is_flipped[flipped] = True
    assert roc_auc_score(is_flipped, run.memorization) >= 0.95
    # A wrong label does not help the test examples of the class that it hides.
    influence = run.influence(flipped)
    of_truth = [influence[k, digits.test.labels == truth[k]] for k in range(flipped.size)]
    assert np.mean(np.concatenate(of_truth)) <= 0


def places(pairs):
    """A run's pairs by training and then by test row: (rows, columns, infl)."""
    order = np.lexsort((pairs.tt_idx, pairs.tr_idx))
    return [x[order] for x in (pairs.tr_idx, pairs.tt_idx, pairs.infl)]


def test_search_of_a_run_is_its_influence(tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(tiny, 40, tmp_path, **tiny_recipe)
    found = run.search(infl=0.2, top=2)
    infl = run.influence(np.arange(61))
    rows, columns = np.nonzero(infl >= 0.2)
    assert rows.size > 5
    expected = [rows, columns, infl[rows, columns]]
    np.testing.assert_array_equal(places(found.pairs), expected)
    assert (np.diff(found.pairs.infl) <= 0).all()
    np.testing.assert_array_equal(found.of_train.infl, -np.sort(-infl, axis=1)[:, :2])
    np.testing.assert_array_equal(found.of_test.infl, -np.sort(-infl.T, axis=1)[:, :2])
    harm = run.search(infl=0.2, top=2, harmful=True)
    lowest = np.nonzero(infl <= -0.2)
    assert lowest[0].size > 5
    np.testing.assert_array_equal(places(harm.pairs), [*lowest, infl[lowest]])
    assert (np.diff(harm.pairs.infl) >= 0).all()
    np.testing.assert_array_equal(harm.of_train.infl, np.sort(infl, axis=1)[:, :2])
    same = run.tr_labels[:, None] == run.tt_labels[None]
    within = run.search(infl=0.2, top=5, same_class=True)
    of_class = np.nonzero((infl >= 0.2) & same)
    np.testing.assert_array_equal(places(within.pairs), [*of_class, infl[of_class]])
    for best, matrix in (
        (within.of_train, np.where(same, infl, -np.inf)),
        (within.of_test, np.where(same, infl, -np.inf).T),
    ):
        ordered = -np.sort(-matrix, axis=1)[:, :5]
        known = np.isfinite(ordered)
        np.testing.assert_array_equal(best.infl[known], ordered[known])
        np.testing.assert_array_equal(best.index >= 0, known)
        lines = np.nonzero(known)[0]
        np.testing.assert_array_equal(matrix[lines, best.index[known]], ordered[known])
    assert (within.of_train.index[:, 3:] == -1).all()  # three test examples a class
    across = run.pairs(infl=0.2, mem=-1, same_class=False)
    np.testing.assert_array_equal(np.sort(across.infl), np.sort(infl[rows, columns]))
    # Of one class and memorized, the others are the run's pairs.
    pairs = run.pairs(infl=0.2, mem=0.1)
    mine = (run.tr_labels[rows] == run.tt_labels[columns]) & (run.memorization[rows] >= 0.1)
    assert set(zip(rows[mine], columns[mine], strict=True)) == set(
        zip(pairs.tr_idx, pairs.tt_idx, strict=True)
    )


def exact_p(run):
    """statistics.p_value of every pair, by SciPy from a table of each: [N, E]."""
    p = np.empty((run.tr_labels.size, run.tt_labels.size))
    for i, j in np.ndindex(p.shape):
        inside, right = run.included[:, i], run.test_correct[:, j]
        table = [[(right & inside).sum(), (~right & inside).sum()]]
        table += [[(right & ~inside).sum(), (~right & ~inside).sum()]]
        p[i, j] = fisher_exact(table, alternative="greater").pvalue
    return p


def test_discoveries_are_those_of_all_pairs(tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(tiny, 60, tmp_path, **tiny_recipe)
    rng = np.random.default_rng(0)
    correct = rng.random((60, 9)) < 0.6  # and four that depend on one example each
    correct[:, :4] = run.included[:, [3, 8, 20, 40]] ^ (rng.random((60, 4)) < 0.15)
    run = run.with_test(run.trials, tiny.test, correct)
    p = exact_p(run)
    expected = false_discovery_control(p.ravel()) <= 0.2
    assert 1 < expected.sum() < p.size / 4
    found = p.ravel() <= (1 + 1e-9) * run.discovery_p(0.2)
    np.testing.assert_array_equal(found, expected)
    assert run.discovery_p(1e-12) == -np.inf
    with pytest.raises(InputError, match="rate 2 is outside"):
        run.discovery_p(2)
    pairs = run.pairs(infl=0.1, mem=-1)
    assert pairs.infl.size
    np.testing.assert_allclose(pairs.infl_p, p[pairs.tr_idx, pairs.tt_idx], rtol=1e-9)
    low, high = run.memorization_interval()
    assert (low < run.memorization).all() and (run.memorization < high).all()
