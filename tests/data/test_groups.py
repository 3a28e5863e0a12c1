"""What belongs together: found, read from a column, or given."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from PIL import Image

from jaxmem import InputError, load_dataset, run
from jaxmem.data.dataset import Examples
from jaxmem.data.groups import Groups, read_groups
from jaxmem.data.images import ids_of
from jaxmem.data.neighbours import NEAR, nearest


def test_groups_are_numbered_as_they_appear():
    groups = Groups.of(np.array(["q", "b", "q", "a"]))
    assert groups.number.tolist() == [0, 1, 0, 2] and groups.sizes.tolist() == [2, 1, 1]
    assert groups.named(2) == "a"


def naive_groups(images):
    """All distances; what is near is joined until nothing changes."""
    x = images.reshape(len(images), -1).astype(np.float64)
    far = np.sqrt(np.square(x[:, None] - x[None]).mean(axis=2))
    distinct = x[np.unique(x, axis=0, return_index=True)[1]]
    apart = np.sqrt(np.square(distinct[:, None] - distinct[None]).mean(axis=2))
    np.fill_diagonal(apart, np.inf)
    near = far <= NEAR * np.median(apart.min(axis=1))
    first = np.arange(len(x))
    for _ in range(len(x)):
        first = np.array([first[row].min() for row in near])
    return first


def test_copies_and_near_copies(digits):
    """Also of one image more often than neighbours are looked at, and chains of them."""
    rows = np.concatenate([np.arange(60), np.zeros(12, int), [3, 3, 3]])
    images = digits.train.images[rows].copy()
    images[72] += 0.02
    images[73] += 0.04
    images[74] += 0.06
    made = _with_images(digits, images)
    exact, nearly = (
        read_groups(groups, made).number for groups in ("duplicates", "near-duplicates")
    )
    assert np.unique(exact).size == 63 and (exact[60:72] == exact[0]).all()
    expected = Groups.of(naive_groups(images).astype(str)).number
    np.testing.assert_array_equal(nearly, expected)
    assert np.unique(nearly).size == 60 and (nearly[72:] == nearly[3]).all()
    found, _ = nearest(images, images[:1])
    alone = found.copied(exact)
    assert set(alone) >= {3, 72, 73, 74} and 0 not in alone
    assert not found.copied(nearly).size


def _with_images(data, images):
    n = len(images)
    train = Examples(images, np.arange(n) % 10, ids_of(images), np.arange(n).astype(str))
    return data._replace(train=train)


def test_a_column_of_a_table(tmp_path):
    table = {
        "age": [20.0 + i for i in range(30)],
        "patient": [f"p{i // 3}" for i in range(30)],
        "sick": [i % 2 for i in range(30)],
    }
    pyarrow.csv.write_csv(pa.table(table), tmp_path / "scans.csv")
    flags = {"target_key": "sick", "test_fraction": 0.2, "input_key": "age"}
    data = load_dataset(tmp_path / "scans.csv", groups="patient", **flags)
    assert data.groups.tolist() == [table["patient"][int(k)] for k in data.train.names]
    # Where columns are not named, the groups' is none of the features.
    del flags["input_key"]
    data = load_dataset(tmp_path / "scans.csv", groups="patient", **flags)
    assert data.feature_names == ("age",) and data.source["groups"] == "patient"
    with pytest.raises(InputError, match="has no column 'doctor'; give groups=… one of"):
        load_dataset(tmp_path / "scans.csv", groups="doctor", **flags)
    with pytest.raises(InputError, match="digits has no use for groups=patient"):
        load_dataset("digits", groups="patient")


def test_a_column_of_a_listing_and_an_array(tmp_path, cache):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = [f"{k}.png" for k in range(8)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).save(folder / name)
    listing = {
        "file_name": names[::-1],
        "label": ["a", "b"] * 4,
        "session": [k // 2 for k in range(8)],
        "split": ["train"] * 6 + ["test"] * 2,
    }
    pyarrow.csv.write_csv(pa.table(listing), folder / "metadata.csv")
    data = load_dataset(folder, groups="session")
    assert data.train.names.tolist() == names[:1:-1]
    assert data.groups.tolist() == ["0", "0", "1", "1", "2", "2"]
    assert load_dataset(folder).groups is None
    arrays = {"x_train": np.zeros((4, 3)), "y_train": [0, 1, 0, 1]}
    arrays |= {"x_test": np.ones((1, 3)), "y_test": [1], "who": [7, 7, 8, 9]}
    np.savez(tmp_path / "a.npz", **arrays)
    assert load_dataset(tmp_path / "a.npz", groups="who").groups.tolist() == [7, 7, 8, 9]
    with pytest.raises(
        InputError, match="has no array 'where'; give groups=… one of who, x_te"
    ):
        load_dataset(tmp_path / "a.npz", groups="where")


@pytest.mark.parametrize(
    "flag, value, said",
    [
        ("groups", np.arange(9), "groups have shape [9]; expected [1437]"),
        ("groups", np.zeros(1437, int), "group 0 has 1,437 of the 1,437 training examples"),
        ("groups", "patient", "digits has no use for groups=patient"),
        ("masks", np.ones((3, 9), bool), "masks are bool [3, 9]; expected bool [trials,"),
        ("masks", np.ones(3, bool), "masks are bool [3]; expected bool [trials, 1437]"),
        ("masks", np.zeros((2, 1437), bool), "row 0 of the masks includes no example"),
        ("fix", "views", "unknown fix 'views'; known: init, order"),
    ],
)
def test_bad_flags_are_one_line(tmp_path, monkeypatch, capsys, flag, value, said):
    monkeypatch.chdir(tmp_path)
    if not isinstance(value, str):
        np.save("given.npy", value)
        value = "given.npy"
    assert run.main([f"--{flag}={value}", "--workdir=w"]) == 2
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1
    assert not (tmp_path / "w" / "config.json").exists()
