import io
import types

import numpy as np
import pytest
from drawing import draw
from etils import epath
from tensorflow_datasets import features as features_of_tfds

import jaxmem
from jaxmem import InputError
from jaxmem.data import tfds
from jaxmem.data.options import Options

SHARD = "mnist-train.array_record-00000-of-00001"


def test_unknown_tfds_name_suggests_a_known_one(tmp_path):
    with pytest.raises(InputError, match=r"unknown dataset 'mnits': did you mean .*mnist"):
        jaxmem.load_dataset("mnits", tmp_path)


def test_prepared_mnist_is_the_real_one(shared, monkeypatch):
    assert tfds.knows("mnist") and not tfds.knows("mnits")
    data = jaxmem.load_dataset("mnist", shared / "tfds")
    assert data.train.images.shape == (60_000, 28, 28, 1)
    assert data.test.images.shape == (10_000, 28, 28, 1)
    # The class counts and mean pixel of the original files.
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.train.labels).tolist() == counts
    assert round(float(data.train.images.mean()) / 255, 4) == 0.1307

    assert (data.recipes, data.class_names) == ("mnist", ())
    assert data.fingerprint == "b52b884baf055000"  # as of the runs that there are
    assert isinstance(data.train.images, np.memmap)

    # A second start decodes nothing and gives the same.
    monkeypatch.setattr(
        "jaxmem.data.threads.decode", lambda *_: pytest.fail("decoded a second time")
    )
    again = jaxmem.load_dataset("mnist:3.0.1", shared / "tfds")
    assert (again.recipes, again.name) == ("mnist", "mnist:3.0.1")
    assert again.fingerprint == data.fingerprint
    np.testing.assert_array_equal(again.train.images, data.train.images)


def test_prepared_cifar100_is_in_colour(shared):
    data = jaxmem.load_dataset("cifar100", shared / "tfds")
    assert data.train.images.shape == (50_000, 32, 32, 3)
    assert data.num_classes == 100
    assert (data.class_names[0], data.class_names[99]) == ("apple", "worm")
    assert set(np.bincount(data.train.labels)) == {500}
    assert data.fingerprint == "10628c164f56c26f"
    assert data.train.names[0] == "train_16399"  # the feature `id`


def test_unprepared_dataset_without_tensorflow(tmp_path, no_tensorflow):
    with pytest.raises(
        InputError, match=r"'mnist' is not prepared in .*pip install tensorflow"
    ):
        jaxmem.load_dataset("mnist", tmp_path)


def test_dataset_that_is_no_image_classification():
    info = types.SimpleNamespace(supervised_keys=None, features={})
    builder = types.SimpleNamespace(name="wikipedia", info=info)
    with pytest.raises(InputError, match="'wikipedia' is not image classification"):
        tfds._keys(builder, Options())


@pytest.fixture
def pets(tmp_path, own_cache, monkeypatch):
    """load_dataset("pets") by a builder of splits whose labels its `labels` are."""
    features = {
        "image": features_of_tfds.Image(shape=(None, None, 3)),
        "label": features_of_tfds.ClassLabel(names=["cat", "dog"]),
        "kind": features_of_tfds.ClassLabel(names=["a", "b"]),
        "file_name": features_of_tfds.Text(),
    }
    labels = {"train": [0, 1] * 4, "test": [0, 1] * 2}
    splits = {k: types.SimpleNamespace(num_examples=len(v)) for k, v in labels.items()}
    (tmp_path / "prepared").mkdir()
    builder = types.SimpleNamespace(
        name="pets",
        info=types.SimpleNamespace(
            full_name="pets/1.0.0",
            supervised_keys=("image", "label"),
            features=features_of_tfds.FeaturesDict(features),
            splits=splits,
        ),
        is_prepared=lambda: True,
        data_path=epath.Path(tmp_path / "prepared"),
        labels=labels,
        size=(6, 5),
    )

    def examples(builder, split, wanted, encoded):
        assert encoded == "image"
        for row in wanted:
            file = io.BytesIO()
            draw(f"{split}{row}", *builder.size).save(file, "PNG")
            label = builder.labels[split][row]
            name = f"{split}{row}.png".encode()
            yield {"image": file.getvalue(), "label": label, "kind": 0, "file_name": name}

    monkeypatch.setattr(tfds, "_builder", lambda *_: builder)
    monkeypatch.setattr(tfds, "_examples", examples)
    return builder


def add_split(builder, split, labels):
    builder.labels[split] = labels
    builder.info.splits[split] = types.SimpleNamespace(num_examples=len(labels))


def test_images_of_any_size(pets):
    data = jaxmem.load_dataset("pets")
    np.testing.assert_array_equal(data.train.images[5], draw("train5"))
    assert data.train.names[5] == "train5.png" and data.class_names == ("cat", "dog")
    assert jaxmem.load_dataset("pets", image_size=4).train.images.shape == (8, 4, 4, 3)


def test_a_test_split_without_labels_is_passed_over(pets):
    """As imagenet2012's."""
    add_split(pets, "test", [-1] * 4)
    add_split(pets, "validation", [1, 1, 0])
    assert jaxmem.load_dataset("pets").test.labels.tolist() == [1, 1, 0]
    with pytest.raises(InputError, match=r"pets: test has rows without a label \(-1\); gi"):
        jaxmem.load_dataset("pets", test_split="test")


def test_without_a_test_split(pets):
    del pets.info.splits["test"]
    with pytest.raises(
        InputError, match=r"'pets' in .* no split to test on, only train; gi"
    ):
        jaxmem.load_dataset("pets")
    data = jaxmem.load_dataset("pets", test_fraction=0.25)
    assert (data.train.labels.size, data.test.labels.tolist()) == (6, [0, 1])


def test_which_features(pets):
    with pytest.raises(InputError, match=r"only one class, a"):
        jaxmem.load_dataset("pets", target_key="kind")
    pets.info.supervised_keys = None
    with pytest.raises(
        InputError, match=r"has label, kind: which is a class\? Give target"
    ):
        jaxmem.load_dataset("pets")
    assert jaxmem.load_dataset("pets", target_key="label").num_classes == 2
    with pytest.raises(
        InputError, match=r"no feature 'label' that is an image, .* is image"
    ):
        jaxmem.load_dataset("pets", input_key="label")


def test_slices_of_a_real_set(shared):
    tenth = jaxmem.load_dataset(
        "mnist", shared / "tfds", train_split="train[:1%]", test_fraction=0.1, image_size=14
    )
    assert tenth.train.images.shape == (540, 14, 14, 1)
    assert tenth.test.labels.size == 60
    with pytest.raises(
        InputError, match=r"no split 'trian': Unknown split 'trian'. Should"
    ):
        jaxmem.load_dataset("mnist", shared / "tfds", train_split="trian")


def test_prepared_dataset_with_rows_missing(pets):
    pets.info.splits["train"].num_examples = 30
    with pytest.raises(InputError, match=r"'pets' cannot be read from .*prepared: "):
        jaxmem.load_dataset("pets")
    pets.info.splits.clear()
    with pytest.raises(InputError, match=r"'pets' in .*prepared has no splits"):
        jaxmem.load_dataset("pets")


DAMAGE = {
    "dataset_info.json cut": ("dataset_info.json", 200, "'mnist' cannot be opened in "),
    "dataset_info.json gone": ("dataset_info.json", None, "'mnist' in .* has no splits"),
    "shard gone": (SHARD, None, r"'mnist' cannot be read from .*mnist/3.0.1: .*No such"),
    "shard cut": (SHARD, 200_000, "'mnist' cannot be read from .*mnist/3.0.1: Corrupted"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_prepared_files_that_are_damaged(shared, tmp_path, monkeypatch, case):
    name, size, message = DAMAGE[case]
    folder = tmp_path / "mnist/3.0.1"
    folder.mkdir(parents=True)
    for file in (shared / "tfds/mnist/3.0.1").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    if size is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])
    monkeypatch.setenv("JAXMEM_CACHE", str(tmp_path / "empty"))
    with pytest.raises(InputError, match=message):
        jaxmem.load_dataset("mnist", tmp_path)


@pytest.mark.parametrize("name", ["mine", "mine.npy", "", "mnist:9.9.9", "mnist/none"])
def test_names_that_tfds_cannot_take(tmp_path, name):
    message = f"dataset '{name}' cannot be opened in|unknown dataset '{name}'"
    with pytest.raises(InputError, match=message):
        jaxmem.load_dataset(name, tmp_path)


def test_data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tfds._data_dir("~/data") == str(tmp_path / "data")
    assert tfds._data_dir("gs://bucket/data") == "gs://bucket/data"
    assert tfds._data_dir(None) is None
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", "~/tensorflow")
    with pytest.raises(InputError, match=r"no home folder .* give data_dir="):
        jaxmem.load_dataset("mnist")
