"""Arrays that others give: taken for nothing that they are not."""

import numpy as np
import pytest
from foreign_trials import (
    LABELS,
    MARGINS,
    OURS,
    append,
    as_margins,
    other_trials,
    save,
    with_value,
)

import jaxmem
from jaxmem import InputError, adopt


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
