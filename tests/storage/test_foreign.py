"""Trials that others trained: their files, and estimates from them."""

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError, adopt, estimate
from jaxmem.estimates.soft import soft_memorization
from jaxmem.storage.foreign.doubts import order_warning
from jaxmem.storage.foreign.release import read_aux_arrays


@pytest.fixture
def run(tiny, tiny_recipe, tmp_path):
    """Trials of ours, whose arrays stand in for others'."""
    return jaxmem.run_trials(tiny, 20, tmp_path / "ours", margins=True, **tiny_recipe)


def save(folder, **arrays):
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return {name: folder / f"{name}.npy" for name in arrays}


def test_numpy_files_give_the_same_estimates(run, tmp_path, capsys):
    files = save(
        tmp_path / "files",
        masks=run.included,
        train=run.train_correct,
        test=run.test_correct,
        tr=run.tr_labels,
        tt=run.tt_labels,
    )
    flags = [f"--{name}={files[name]}" for name in ("masks", "train", "test")]
    flags += [f"--train-labels={files['tr']}", f"--test-labels={files['tt']}"]
    theirs = tmp_path / "theirs"
    assert adopt.main([str(theirs), *flags]) == 0
    assert "20 trials of 61 training and 9 test examples" in capsys.readouterr().out
    adopted = jaxmem.open_run(theirs)
    np.testing.assert_array_equal(adopted.memorization, run.memorization)
    for a, b in zip(adopted.pairs(0.1, 0.05), run.pairs(0.1, 0.05), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(adopted.test_accuracy, run.test_accuracy, rtol=1e-6)
    np.testing.assert_allclose(adopted.train_accuracy, run.train_accuracy, rtol=1e-6)
    assert estimate.main([str(theirs), "--influence-matrix"]) == 0
    # Not twice into one folder.
    assert adopt.main([str(theirs), *flags]) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_margins_are_kept(run, tmp_path):
    adopted = jaxmem.adopt_trials(
        tmp_path / "theirs", run.included, run.train_margin, run.test_margin
    )
    np.testing.assert_array_equal(adopted.train_margin, run.train_margin)
    np.testing.assert_array_equal(adopted.train_correct, run.train_margin > 0)
    np.testing.assert_array_equal(soft_memorization(adopted), soft_memorization(run))
    # Without labels, pairs are not restricted to a class.
    pairs = adopted.pairs(infl=0.1, mem=-1)
    assert pairs.infl.size == (adopted.influence(np.arange(61)) >= 0.1).sum()


def write_release(run, folder, seed=0):
    """As the release's runs are: a folder each, rows in any order."""
    rng = np.random.default_rng(seed)
    for trial in range(run.trials.size):
        seen = np.nonzero(run.included[trial])[0]
        parts = {
            "train": (rng.permutation(seen), run.train_correct),
            "removed": (
                rng.permutation(np.nonzero(~run.included[trial])[0]),
                run.train_correct,
            ),
            "test": (rng.permutation(9), run.test_correct),
        }
        arrays = {"subsample_idx": seen}
        for name, (index, correct) in parts.items():
            arrays[f"index_{name}"] = index
            arrays[f"correctness_{name}"] = correct[trial][index]
        (folder / f"{trial:03d}").mkdir(parents=True)
        np.savez(folder / f"{trial:03d}" / "aux_arrays.npz", **arrays)


def test_runs_of_the_release(run, tmp_path, capsys):
    write_release(run, tmp_path / "release")
    theirs = tmp_path / "theirs"
    assert adopt.main([str(theirs), f"--aux-arrays={tmp_path / 'release'}"]) == 0
    adopted = jaxmem.open_run(theirs)
    for name in ("included", "train_correct", "test_correct"):
        np.testing.assert_array_equal(getattr(adopted, name), getattr(run, name))
    path = tmp_path / "release" / "007" / "aux_arrays.npz"
    with np.load(path) as file:
        arrays = {k: v for k, v in file.items() if k != "correctness_removed"}
    np.savez(path, **arrays)
    again = str(tmp_path / "again")
    assert adopt.main([again, f"--aux-arrays={tmp_path / 'release'}"]) == 2
    assert "007/aux_arrays.npz lacks correctness_removed" in capsys.readouterr().err
    assert adopt.main([again, f"--aux-arrays={tmp_path / 'nothing'}"]) == 2
    assert "no aux_arrays.npz below" in capsys.readouterr().err
    assert adopt.main([again]) == 2
    assert "give either --aux-arrays, or --masks" in capsys.readouterr().err


def other_trials(trials=20, n=61, e=9, seed=0):
    """Masks and outcomes of models that know what they saw, and half of the rest."""
    rng = np.random.default_rng(seed)
    masks = rng.random((trials, n)) < 0.7
    train = masks | (rng.random((trials, n)) < 0.5)
    return {"masks": masks, "train": train, "test": rng.random((trials, e)) < 0.6}


def as_margins(right, seed=0):
    return np.where(right, 1.0, -1.0) * np.random.default_rng(seed).uniform(
        0.1, 9, right.shape
    )


def with_value(array, value, place=(3, 2)):
    """As an array that can hold the value, with it at one place."""
    array = np.array(array, np.result_type(array, np.asarray(value)))
    array[place] = value
    return array


def append(arrays, **rows):
    """10 more rows of each array, False or what is given."""
    return {
        name: np.concatenate([a, np.full((10, a.shape[1]), rows.get(name, 0), a.dtype)])
        for name, a in arrays.items()
    }


@pytest.mark.parametrize("margins", [False, True])
@pytest.mark.parametrize(
    "rows, completed, left_out",
    [
        ({}, None, "10 never finished, 0 diverged"),
        ({"masks": True}, None, "10 never finished, 0 diverged"),
        ({"train": True, "test": True}, None, "10 never finished, 0 diverged"),
        # What is in rows that are not completed does not matter.
        ({"masks": True, "train": True, "test": True}, 20, "10 never finished, 0 diverged"),
    ],
)
def test_rows_never_finished_are_no_trials(
    tmp_path, capsys, margins, rows, completed, left_out
):
    arrays = other_trials()
    if margins:
        arrays |= {name: as_margins(arrays[name]) for name in ("train", "test")}
    without = jaxmem.adopt_trials(tmp_path / "without", **arrays)
    files = save(tmp_path / "files", **append(arrays, **rows))
    if completed:
        np.save(tmp_path / "files" / "_completed.npy", np.arange(30) < completed)
    flags = [f"--{name}={path}" for name, path in files.items()]
    assert adopt.main([str(tmp_path / "theirs"), *flags]) == 0
    said = capsys.readouterr()
    assert f"20 trials of 61 training and 9 test examples, {left_out}: " in said.out
    assert said.err == ""
    run = jaxmem.open_run(tmp_path / "theirs")
    np.testing.assert_array_equal(run.trials, np.arange(20))
    np.testing.assert_array_equal(run.memorization, without.memorization)
    np.testing.assert_array_equal(run.train_accuracy, np.ones(20))
    if margins:
        np.testing.assert_array_equal(run.train_margin, without.train_margin)


def test_trials_keep_their_numbers_and_those_with_nan_diverged(tmp_path):
    arrays = other_trials()
    expected = jaxmem.adopt_trials(
        tmp_path / "some", **{name: a[4:] for name, a in arrays.items()}
    )
    for values in (as_margins, np.float32):  # margins, and outcomes in floating point
        changed = {
            **arrays,
            "train": values(arrays["train"]),
            "test": values(arrays["test"]),
        }
        changed["train"][0] = changed["test"][0] = np.nan
        changed["train"][1, 5] = np.nan
        changed["test"][2, 1] = np.nan
        changed["masks"] = arrays["masks"].copy()
        changed["masks"][3] = False
        run = jaxmem.adopt_trials(tmp_path / values.__name__, **changed)
        assert run.diverged == 3 and run.config.margins == (values is as_margins)
        np.testing.assert_array_equal(run.trials, np.arange(4, 20))
        np.testing.assert_array_equal(run.memorization, expected.memorization)


def test_completed_is_given_or_found(tmp_path, capsys):
    arrays = other_trials()
    # Garbage in a row that is not completed is not looked at.
    arrays["masks"] = with_value(arrays["masks"], 7.5, 19)
    files = save(tmp_path, **arrays, done=np.arange(20) < 19, wrong=np.ones(3, bool))
    flags = [f"--{name}={files[name]}" for name in ("masks", "train", "test")]
    assert adopt.main([str(tmp_path / "a"), *flags]) == 2
    assert "masks hold 7.5; expected True" in capsys.readouterr().err
    assert adopt.main([str(tmp_path / "a"), *flags, f"--completed={files['done']}"]) == 0
    assert "19 trials" in capsys.readouterr().out
    assert adopt.main([str(tmp_path / "b"), *flags, f"--completed={files['wrong']}"]) == 2
    assert "completed flags have shape [3]; masks of 20" in capsys.readouterr().err
    np.save(tmp_path / "_completed.npy", np.zeros(20, bool))
    assert adopt.main([str(tmp_path / "b"), *flags]) == 2
    assert "no trial of 20 is finished: 20 never were" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float64])
def test_zeros_and_ones_are_outcomes(tmp_path, dtype):
    arrays = other_trials()
    expected = jaxmem.adopt_trials(tmp_path / "bool", **arrays)
    numbers = {name: a.astype(dtype) for name, a in arrays.items()}
    run = jaxmem.adopt_trials(tmp_path / "numbers", **numbers)
    assert run.config == expected.config and not run.config.margins
    for name in ("included", "train_correct", "test_correct", "memorization"):
        np.testing.assert_array_equal(getattr(run, name), getattr(expected, name))


def test_infinite_margins_are_the_largest(tmp_path):
    arrays = other_trials()
    arrays |= {name: as_margins(arrays[name]) for name in ("train", "test")}
    arrays["train"][2, :2] = np.inf, -1e9
    run = jaxmem.adopt_trials(tmp_path / "theirs", **arrays)
    np.testing.assert_array_equal(run.train_margin[2, :2], np.float16([65504, -65504]))
    assert run.train_correct[2, 0] and not run.train_correct[2, 1] and run.diverged == 0


OURS = other_trials()
MARGINS = {name: as_margins(OURS[name]) for name in ("train", "test")}
LABELS = {"tr_labels": np.zeros(61, int), "tt_labels": np.zeros(9, int)}


@pytest.mark.parametrize(
    "change, said",
    [
        # Values.
        ({"masks": np.full((20, 61), 0.5)}, r"masks hold 0\.5; expected True"),
        ({"masks": with_value(OURS["masks"], np.nan)}, "masks hold nan"),
        ({"masks": np.tile(np.arange(40), (20, 1))}, "masks hold 2; .*put_along_axis"),
        ({"test": np.full((20, 9), 3)}, "test outcomes hold 3; expected bool, 0 and 1, or"),
        ({"train": with_value(OURS["train"], -1)}, "train outcomes hold -1"),
        (
            {"train": MARGINS["train"]},
            r"train outcomes are margins .*, test .*\(train > 0\)",
        ),
        ({"test": MARGINS["test"]}, r"test outcomes are margins .*, train .*\(test > 0\)"),
        ({"train": np.full((20, 61), 0.25)}, r"hold 0\.25 .* look like probabilities"),
        ({"train": OURS["train"] * 4.0, "test": OURS["test"] * 2.0}, "look like classes"),
        (
            {"train": np.full((20, 61), np.nan)},
            "no trial of 20 is finished: 0 .* 20 diverged",
        ),
        ({"masks": np.zeros((20, 61))}, "no trial of 20 is finished: 20 never"),
        # Shapes and kinds.
        (
            {"masks": np.ones((19, 61), bool)},
            r"train outcomes have shape \[20, 61\]; .* 19",
        ),
        ({"test": np.ones((19, 9), bool)}, r"test outcomes .* \[20, examples\]"),
        (
            {"masks": np.array(True)},
            r"masks are bool \[\]; expected bool or numbers \[trials",
        ),
        ({"masks": np.ones(61, bool)}, r"masks are bool \[61\]; expected"),
        ({"masks": []}, r"masks are float64 \[0\]; expected"),
        ({"masks": np.ones((0, 61), bool)}, "there are no trials"),
        ({"masks": np.ones((20, 0), bool)}, "there are no examples"),
        ({"test": np.ones((20, 0), bool)}, "test outcomes .* there are no examples"),
        ({"train": np.array(True)}, r"train outcomes are bool \[\]"),
        ({"train": None}, r"train outcomes are object \[\]"),
        ({"train": [[True], [True, False]]}, "train outcomes are not bool or numbers"),
        ({"train": OURS["train"].astype(object)}, "train outcomes are object"),
        ({"test": np.zeros((20, 9), [("a", int)])}, "test outcomes are structured"),
        ({"test": OURS["test"].astype(complex)}, "test outcomes are complex128"),
        ({"test": OURS["test"].astype(str)}, "test outcomes are <U5"),
        ({"test": np.ma.masked_array(OURS["test"])}, "test outcomes are a masked array"),
        ({"completed": np.full(20, 2)}, "completed flags hold 2"),
        ({"completed": np.ones((20, 1))}, r"completed flags are float64 \[20, 1\]"),
        # Labels.
        (
            {**LABELS, "tr_labels": np.zeros(3, int)},
            r"train labels have shape \[3\]; expected \[61\]",
        ),
        ({"tr_labels": LABELS["tr_labels"]}, "test labels are not; give both or neither"),
        ({"tt_labels": LABELS["tt_labels"]}, "train labels are not; give both or neither"),
        (
            {**LABELS, "tt_labels": np.full(9, 1.7)},
            r"test labels hold 1\.7; expected whole",
        ),
        ({**LABELS, "tt_labels": np.full(9, np.nan)}, "test labels hold nan"),
        ({**LABELS, "tr_labels": np.full(61, -1)}, "train labels hold -1"),
        ({**LABELS, "tr_labels": np.full(61, 2**32 + 1)}, "train labels hold 4294967297"),
        ({**LABELS, "tr_labels": np.eye(61)}, r"\[61, 61\]; .* \.argmax\(axis=1\)"),
        ({**LABELS, "tr_labels": np.array(["a"] * 61)}, "both as numbers, or both as text"),
        ({**LABELS, "tr_labels": np.array([None] * 61)}, "train labels are object"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        jaxmem.adopt_trials(tmp_path / "theirs", **{**OURS, **change})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "train, test, expected",
    [
        (
            np.arange(61) % 3,
            np.float16(np.arange(9) % 3),
            (np.arange(61) % 3, np.arange(9) % 3),
        ),
        # Texts are numbered in one order over both sides.
        (["cat"] * 60 + ["dog"], ["ant"] * 8 + ["dog"], ([1] * 60 + [2], [0] * 8 + [2])),
        (
            np.array(["b"] * 61, object),
            np.array(["a"] * 9, object),
            ([1] * 61, [0] * 9),
        ),
    ],
)
def test_labels_are_whole_numbers_or_text(tmp_path, train, test, expected):
    run = jaxmem.adopt_trials(tmp_path / "theirs", **OURS, tr_labels=train, tt_labels=test)
    np.testing.assert_array_equal(run.tr_labels, expected[0])
    np.testing.assert_array_equal(run.tt_labels, expected[1])
    assert run.tr_labels.dtype == run.tt_labels.dtype == np.int32
    assert run.config.num_classes == 1 + max(map(max, expected))


def test_files_that_are_none_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    files = save(tmp_path / "files", **OURS)
    np.savez(tmp_path / "several.npz", **OURS)
    np.save(tmp_path / "objects.npy", np.array([None, "a"]))
    (tmp_path / "damaged.npy").write_bytes(b"nothing")
    flags = [f"--{name}=~/files/{name}.npy" for name in ("masks", "train")]
    for name, said in (
        ("several.npz", "is no readable .npy file"),
        ("objects.npy", "is no readable .npy file"),
        ("damaged.npy", "is no readable .npy file"),
        ("absent.npy", "does not exist"),
        ("files", "is no readable .npy file"),
    ):
        assert adopt.main(["~/theirs", *flags, f"--test={tmp_path / name}"]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"jaxmem: {tmp_path / name} {said}") and err.count("\n") == 1
    assert adopt.main(["~/theirs", *flags, f"--test={files['test']}"]) == 0
    assert jaxmem.open_run(tmp_path / "theirs").trials.size == 20


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda a: {"subsample_idx": a["subsample_idx"][1:]}, "name different examples"),
        (lambda a: {"index_removed": a["index_removed"] * 0}, "0 … 60 once, but"),
        (lambda a: {"index_removed": a["index_train"][:1]}, "correctness_removed has"),
        (lambda a: {"index_removed": a["index_removed"] - 61}, "index_removed holds -"),
        (lambda a: {"index_test": np.arange(9) - 9}, "index_test holds -9; expected"),
        (lambda a: {"index_test": np.arange(9) + 1}, "once, but 0 is missing"),
        (lambda a: {"index_test": np.arange(9) // 2}, "once, but 0 is named twice"),
        (lambda a: {"index_test": np.arange(9) + 0.5}, "index_test holds 0.5"),
        (lambda a: {"index_test": np.full(9, np.inf)}, "index_test holds inf"),
        (lambda a: {"index_test": np.ones(9, bool)}, "index_test holds bools"),
        (lambda a: {"correctness_test": np.ones(8)}, "has 8 values, index_test 9"),
        (lambda a: {"correctness_test": np.full(9, 0.7)}, "correctness_test holds 0.7"),
        (lambda a: {"correctness_test": np.array(1)}, "correctness_test are int64 []"),
        (lambda a: {"correctness_test": np.array(["1"] * 9)}, "correctness_test are <U1"),
        (lambda a: {"correctness_test": np.array([None])}, "no readable .npz file"),
    ],
)
def test_runs_that_contradict_themselves_are_refused(tmp_path, capsys, change, said):
    path = write_one(OURS, 0, tmp_path / "release" / "000", change)
    assert adopt.main([str(tmp_path / "w"), f"--aux-arrays={tmp_path / 'release'}"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"jaxmem: {path}") and said in err and err.count("\n") == 1
    assert not (tmp_path / "w").exists()


def write_one(arrays, trial, folder, change=lambda arrays: {}):
    """One run of the release, with some arrays changed."""
    masks, train, test = (arrays[name][trial] for name in ("masks", "train", "test"))
    seen, removed = np.nonzero(masks)[0], np.nonzero(~masks)[0]
    stored = {"subsample_idx": seen, "index_train": seen, "correctness_train": train[seen]}
    stored |= {"index_removed": removed, "correctness_removed": train[removed]}
    stored |= {"index_test": np.arange(test.size), "correctness_test": test}
    folder.mkdir(parents=True)
    np.savez(folder / "aux_arrays.npz", **{**stored, **change(stored)})
    return folder / "aux_arrays.npz"


def test_numbers_of_the_release_may_be_floating_point(tmp_path):
    def floats(arrays):
        return {name: a.astype(float) for name, a in arrays.items()}

    for trial in range(20):
        write_one(OURS, trial, tmp_path / f"{trial:03d}", floats)
    for read, given in zip(read_aux_arrays(tmp_path), OURS.values(), strict=True):
        np.testing.assert_array_equal(read, given)
    (tmp_path / "004" / "aux_arrays.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"004/aux_arrays\.npz is no readable \.npz file"):
        read_aux_arrays(tmp_path)


def test_outcomes_in_another_order_than_masks_are_told(tmp_path, capsys):
    arrays = other_trials()
    jaxmem.adopt_trials(tmp_path / "same", **arrays)
    assert capsys.readouterr().err == ""
    turned = {**arrays, "masks": np.roll(arrays["masks"], 1, axis=0)}
    run = jaxmem.adopt_trials(tmp_path / "turned", **turned)
    err = capsys.readouterr().err
    assert err == f"jaxmem: warning: {order_warning(run.reader, run.tr_labels.size)}\n"
    assert "either nothing is memorized, or the rows of the outcomes are in another" in err
    jaxmem.adopt_trials(tmp_path / "inverted", **{**arrays, "masks": ~arrays["masks"]})
    assert "the masks may be inverted" in capsys.readouterr().err
    jaxmem.adopt_trials(tmp_path / "all", **{**arrays, "masks": np.ones((20, 61), bool)})
    assert "none has an estimate" in capsys.readouterr().err
    few = {name: a[:9] for name, a in turned.items()}
    run = jaxmem.adopt_trials(tmp_path / "few", **few)
    assert order_warning(run.reader, run.tr_labels.size) is None


def test_easy_examples_that_are_seen_often_hide_no_wrong_order(tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.random(200)
    masks = rng.random((100, 200)) < 0.9 - 0.8 * hard
    train = rng.random((100, 200)) < 1 - 0.5 * hard  # whatever they saw
    assert train[masks].mean() > train[~masks].mean() + 0.1
    run = jaxmem.adopt_trials(tmp_path / "theirs", masks, train, train)
    assert "in another order" in order_warning(run.reader, run.tr_labels.size)


def test_a_side_that_was_not_written_is_told(tmp_path, capsys):
    arrays = other_trials(e=50)
    arrays["test"][7] = False
    jaxmem.adopt_trials(tmp_path / "theirs", **arrays)
    assert "1 of 20 trials (the first is 7) get no test" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left"), None])
def test_an_interrupted_adoption_leaves_nothing(tmp_path, monkeypatch, error):
    workdir = tmp_path / "theirs"
    workdir.mkdir()  # may be there, empty

    def fail(self, trials, outcomes):
        assert not list(workdir.iterdir())
        if error is None:  # somebody else is faster
            (workdir / "config.json").write_text("{}")
        else:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr("jaxmem.storage.store.TrialStore.append", fail)
        patch.setattr("jaxmem.running.adopting.order_warning", lambda *_: None)
        expected = KeyboardInterrupt if error is KeyboardInterrupt else InputError
        with pytest.raises(expected) as caught:
            jaxmem.adopt_trials(workdir, **OURS)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
    if error is None:
        assert f"{workdir} holds a run already" in str(caught.value)
        return
    if expected is InputError:
        assert str(caught.value) == f"cannot write to {workdir}: No space left"
    (tmp_path / ".theirs.partial-1-0").mkdir()  # of one that was killed
    assert jaxmem.adopt_trials(workdir, **OURS).trials.size == 20


def test_folders_that_are_not_new_are_refused(tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "notes").touch()
    with pytest.raises(InputError, match=r"holds other files \(notes, …\)"):
        jaxmem.adopt_trials(tmp_path / "old", **OURS)
    for workdir in (tmp_path / "old" / "notes", tmp_path / "old" / "notes" / "new"):
        with pytest.raises(InputError, match=f"cannot write to {workdir}: "):
            jaxmem.adopt_trials(workdir, **OURS)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="cannot replace the current folder"):
        jaxmem.adopt_trials(".", **OURS)
    with pytest.raises(InputError, match="is a URL"):
        jaxmem.adopt_trials("gs://bucket/run", **OURS)


def test_trials_of_many_blocks_are_the_same(tmp_path, monkeypatch):
    expected = jaxmem.adopt_trials(tmp_path / "one", **OURS)
    monkeypatch.setattr("jaxmem.storage.foreign.numbers.BLOCK", 7)
    files = save(tmp_path / "files", **OURS)
    mapped = {name: np.load(path, mmap_mode="r") for name, path in files.items()}
    run = jaxmem.adopt_trials(tmp_path / "many", **mapped)
    assert run.config == expected.config
    for name in ("included", "train_correct", "test_correct", "test_accuracy"):
        np.testing.assert_array_equal(getattr(run, name), getattr(expected, name))
