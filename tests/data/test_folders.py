import numpy as np
import pytest
from drawing import draw, write_classes

from jaxmem import InputError, content_ids, load_dataset


def test_class_folders_in_split_folders(pictures):
    data = load_dataset(pictures)
    assert (data.name, data.class_names, data.recipes) == ("pets", ("cat", "dog"), None)
    assert data.train.images.shape == (8, 6, 5, 3) and data.train.images.dtype == np.uint8
    assert data.train.names.tolist()[3:5] == ["train/cat/3.png", "train/dog/0.png"]
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(data.train.images[4], draw("train/dog/0"))
    np.testing.assert_array_equal(data.test.ids, content_ids(data.test.images))


def test_class_folders_alone(tmp_path, own_cache):
    write_classes(tmp_path / "all", {"9": 10, "10": 20})
    data = load_dataset(tmp_path / "all", test_fraction=0.2, seed=1)
    assert data.class_names == ("9", "10")  # by number
    assert np.bincount(data.test.labels).tolist() == [2, 4]
    assert {*data.train.names, *data.test.names} >= {"9/0.png", "10/19.png"}
    other = load_dataset(tmp_path / "all", test_fraction=0.2, seed=2)
    assert other.test.names.tolist() != data.test.names.tolist()
    same = load_dataset(tmp_path / "all", test_split="train")
    np.testing.assert_array_equal(same.train.ids, same.test.ids)


def test_other_splits_and_deeper_folders(pictures):
    (pictures / "test").rename(pictures / "Validation")
    (pictures / "train/cat/deep").mkdir()
    draw("deep").save(pictures / "train/cat/deep/x.JPEG", quality=90)
    draw("hidden").save(pictures / "train/cat/.hidden.png")
    (pictures / "train/cat/Thumbs.db").write_bytes(b"no image")
    (pictures / "train/loop").symlink_to(pictures / "train")  # no class of its own
    data = load_dataset(pictures)
    assert data.train.names.tolist()[4] == "train/cat/deep/x.JPEG"
    assert (len(data.train.ids), len(data.test.ids)) == (9, 4)
    (pictures / "Validation").rename(pictures / "extra")
    assert len(load_dataset(pictures, test_split="extra").test.ids) == 4


def test_all_grey_is_one_channel(tmp_path, own_cache):
    for split in ("train", "test"):
        write_classes(tmp_path / "grey" / split, {"a": 20, "b": 20}, channels=1)
    grey = load_dataset(tmp_path / "grey")
    assert grey.train.images.shape == (40, 6, 5, 1)
    draw("colour").save(tmp_path / "grey/test/b/9.png")
    coloured = load_dataset(tmp_path / "grey")
    assert coloured.train.images.shape == (40, 6, 5, 3)
    np.testing.assert_array_equal(coloured.train.images[..., 1:2], grey.train.images)
    np.testing.assert_array_equal(coloured.test.images[-1], draw("colour"))
    np.testing.assert_array_equal(coloured.train.ids, content_ids(coloured.train.images))


def test_image_size(pictures):
    draw("large", 40, 90).save(pictures / "train/cat/4.png")
    with pytest.raises(InputError, match=r"pets: images differ .*6 x 5, 40 x 90\); give i"):
        load_dataset(pictures)
    data = load_dataset(pictures, image_size=4)
    assert data.train.images.shape == (9, 4, 4, 3)
    assert data.train.names[4] == "train/cat/4.png"


def test_classes_that_the_models_know(pictures):
    """As `predict` asks for them: numbered as there, also where some have no pictures."""
    data = load_dataset(pictures, class_names=["bee", "dog", "cat"])
    assert data.class_names == ("bee", "dog", "cat")
    assert data.test.labels.tolist() == [2, 2, 1, 1]
    with pytest.raises(InputError, match="label 'dog', which class_names lacks"):
        load_dataset(pictures, class_names=["cat", "ant"])


def loose(pictures):
    draw("loose").save(pictures / "train/loose.png")


def misspelt(pictures):
    (pictures / "test/dog").rename(pictures / "test/Dog")


def empty(pictures):
    for file in pictures.rglob("*.png"):
        file.unlink()


def one_class(pictures):
    for split in ("train", "test"):
        for file in (pictures / split / "dog").iterdir():
            file.unlink()


def no_test(pictures):
    (pictures / "test").rename(pictures.parent / "elsewhere")


BAD = {
    "no images": (empty, {}, r"no images below .*pets, that is no files that end in \.jpg"),
    "loose image": (loose, {}, r"train/loose.png lies in no class folder; .*labels=…"),
    "a class in test alone": (
        misspelt,
        {},
        "class 'Dog' of the test split has no train.*cat, dog; move",
    ),
    "one class": (one_class, {}, "y_train has only one class, cat"),
    "no test": (no_test, {}, "has no split to test on, only train; give test_fraction=0.2"),
    "no such split": (
        None,
        {"test_split": "tset"},
        "has no split 'tset', only test, train",
    ),
    "a slice": (None, {"train_split": "train[:9%]"}, r"no split 'train\[:9%\]', only test"),
    "both": (
        None,
        {"test_split": "a", "test_fraction": 0.1},
        "test_split=a and test_fract",
    ),
    "fraction": (None, {"test_fraction": 1}, "test_fraction 1 must be between 0 and 1"),
    "size": (None, {"image_size": 0}, "image_size 0 must be at least 1"),
    "keys": (None, {"input_key": "id"}, "has no use for input_key=id; leave it out"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_with_nothing_left_behind(pictures, own_cache, case):
    spoil, options, message = BAD[case]
    if spoil:
        spoil(pictures)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset(pictures, **options)
    assert "\n" not in str(caught.value)
    assert not list(own_cache.glob("*")) and not list(own_cache.glob(".*"))


def test_names_of_folders(pictures, monkeypatch):
    monkeypatch.chdir(pictures.parent)
    for name in ("pets", "./pets", "pets/", str(pictures)):
        assert load_dataset(name).name == "pets"
    monkeypatch.chdir(pictures)
    assert load_dataset(".").name == "pets"
    with pytest.raises(InputError, match="there is no folder nowhere"):
        load_dataset("./nowhere")
    (pictures / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"notes.txt is a file of no known kind; give a f"):
        load_dataset("notes.txt")
    (pictures / "mnist").mkdir()  # TFDS's name means TFDS's, as it does elsewhere
    with pytest.raises(InputError, match=r"no images below .*mnist"):
        load_dataset("./mnist")
