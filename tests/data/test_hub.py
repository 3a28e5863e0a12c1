"""hf: from local folders, Parquet and a cache, without a network."""

import json
import os
import shutil
import subprocess
import sys

import datasets
import numpy as np
import pytest
from drawing import draw

from jaxmem import InputError, load_dataset

# `datasets` leaves files open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:::datasets"),
]


@pytest.fixture(autouse=True)
def _own_cache(own_cache, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def make_set(**columns) -> datasets.Dataset:
    """Eight pictures with labels cat and dog, and further columns."""
    features = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog"]),
    }
    rows = {"image": [draw(f"{row}") for row in range(8)], "label": [0, 1] * 4}
    found = datasets.Dataset.from_dict(rows, datasets.Features(features))
    for name, values in columns.items():
        found = found.add_column(name, values)
    return found


def save(folder, **splits):
    """As the hub has it: data/<split>-00000-of-00001.parquet."""
    for split, rows in splits.items():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        rows.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return f"hf:{folder}"


def test_parquet(tmp_path):
    name = save(tmp_path / "pets", train=make_set(), test=make_set().select(range(4)))
    data = load_dataset(name)
    assert (data.name, data.class_names, data.recipes) == ("pets", ("cat", "dog"), None)
    assert data.train.images.shape == (8, 6, 5, 3) and isinstance(
        data.train.images, np.memmap
    )
    np.testing.assert_array_equal(data.test.images[3], draw("3"))
    assert data.test.labels.tolist() == [0, 1, 0, 1]
    assert data.train.names.tolist() == list("01234567")


def test_ids_are_those_of_a_folder(pictures):
    one, other = load_dataset(pictures), load_dataset(f"hf:{pictures}")
    assert one.fingerprint == other.fingerprint and one.class_names == other.class_names
    assert other.test.names[3].endswith("test/dog/1.png")


def test_metadata_is_read_as_for_a_folder(pictures):
    for split in ("train", "test"):
        files = sorted((pictures / split).rglob("*.png"))
        rows = [f"{f.relative_to(pictures / split)},{f.parent.name}" for f in files]
        text = "\n".join(["file_name,label", *rows])
        (pictures / split / "metadata.csv").write_text(text)
    other = load_dataset(f"hf:{pictures}")
    assert load_dataset(pictures).fingerprint == other.fingerprint


def test_splits_are_slices_too(tmp_path):
    name = save(tmp_path / "pets", train=make_set())
    data = load_dataset(name, train_split="train[:75%]", test_split="train[75%:]")
    assert (data.train.labels.size, data.test.labels.size) == (6, 2)
    assert load_dataset(name, test_fraction=0.25).test.labels.tolist() == [0, 1]
    with pytest.raises(InputError, match=r"split 'train\[:x%\]' of hf:.* cannot be loaded"):
        load_dataset(name, train_split="train[:x%]", test_split="train")
    with pytest.raises(InputError, match=r"split 'tset' of .* one of \['train'\]"):
        load_dataset(name, test_split="tset")


def test_a_test_split_without_labels_is_passed_over(tmp_path):
    unknown = make_set().remove_columns("label").add_column("label", [-1] * 8)
    unknown = unknown.cast_column("label", make_set().features["label"])
    name = save(tmp_path / "a", train=make_set(), test=unknown, validation=make_set())
    assert load_dataset(name).test.labels.tolist() == [0, 1] * 4
    with pytest.raises(InputError, match=r"test has rows without a label \(-1\); give oth"):
        load_dataset(name, test_split="test")


def test_which_columns(tmp_path):
    two = make_set(kind=["a", "b"] * 4, file_name=[f"{row}.png" for row in range(8)])
    name = save(tmp_path / "pets", train=two, test=two)
    assert load_dataset(name).test.names[7] == "7.png"
    assert load_dataset(name, target_key="kind").class_names == ("a", "b")
    with pytest.raises(
        InputError, match=r"no column 'x'; give target_key=… one of image, l"
    ):
        load_dataset(name, target_key="x")
    with pytest.raises(
        InputError, match=r"hf:.* has no column 'x'; give input_key=… of im"
    ):
        load_dataset(name, input_key="x")


def test_numbers_and_vectors(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(8, 4)).astype(np.float32)
    rows = {
        "vector": list(vectors),
        "a": range(8),
        "b": [0.5] * 8,
        "label": list("xyxyxyxy"),
    }
    found = datasets.Dataset.from_dict(rows)
    name = save(tmp_path / "rows", train=found, test=found)
    data = load_dataset(name, input_key="vector")
    np.testing.assert_array_equal(data.train.images[:, 0, :, 0], vectors)
    assert data.class_names == ("x", "y")
    assert load_dataset(name, input_key="a,b").train.images.shape == (8, 1, 2, 1)
    with pytest.raises(
        InputError, match=r"column vector of .* holds .*list.*, not numbers"
    ):
        load_dataset(name)


@pytest.mark.parametrize("name", ["hf:nobody/nothing", "hf:mnist", "hf:a/b/c"])
def test_offline(name):
    with pytest.raises(InputError, match=rf"^{name} is not in the cache .*the hub cannot "):
        load_dataset(name)


def test_what_is_no_dataset(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"hf:.*empty cannot be loaded: [^\n]+$"):
        load_dataset(f"hf:{tmp_path / 'empty'}")
    name = save(tmp_path / "other", train=datasets.Dataset.from_dict({"text": ["a", "b"]}))
    with pytest.raises(InputError, match=r"no usual column of the label; give target_key"):
        load_dataset(name)


def test_from_its_cache(tmp_path):
    """What was loaded once loads without a network, also with a configuration."""
    both = make_set()
    load_dataset(save(tmp_path / "pets", train=both, test=both), tmp_path / "cache")
    made = next((tmp_path / "cache").rglob("*-train.arrow")).parent
    for config, name in (("default", "owner/pets"), ("small", "owner/pets/small")):
        kept = tmp_path / "cache/owner___pets" / config / "0.0.0" / ("a" * 40)
        shutil.copytree(made, kept)  # as `datasets` keeps what it has from the hub
        info = json.loads((kept / "dataset_info.json").read_text())
        text = json.dumps({**info, "config_name": config})
        (kept / "dataset_info.json").write_text(text)
        data = load_dataset(f"hf:{name}", tmp_path / "cache")
        assert (data.name, data.recipes) == (name, "pets")
        assert data.train.labels.tolist() == [0, 1] * 4
    with pytest.raises(
        InputError, match=r"multiple 'owner/pets' configurations in the cac"
    ):
        load_dataset("hf:owner/pets", tmp_path / "cache")


def test_without_the_library():
    """As where the extra is not installed."""
    program = (
        "import sys; sys.modules['datasets'] = None\n"
        "import jaxmem\n"
        "try: jaxmem.load_dataset('hf:a/b')\n"
        "except jaxmem.InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ
    )
    assert done.stdout == "hf:a/b needs a library: pip install 'jaxmem[hf]'\n"
