"""CSV files that say which image is what: metadata.csv, and Kaggle's."""

import numpy as np
import pytest
from drawing import draw

from jaxmem import InputError, load_dataset


@pytest.fixture
def kaggle(tmp_path, own_cache):
    """images/ of 20 pictures, and labels.csv that names them without their ending."""
    folder = tmp_path / "leaves"
    (folder / "images").mkdir(parents=True)
    for number in range(20):
        draw(f"leaf{number}").save(folder / f"images/leaf{number}.png")
    write(folder / "labels.csv", [f"leaf{number}" for number in range(20)])
    return folder


def write(path, names, split=None):
    rows = [f"{name},{'rust' if at % 2 else 'scab'}" for at, name in enumerate(names)]
    header = "id,kind"
    if split:
        rows = [f"{row},{split(at)}" for at, row in enumerate(rows)]
        header += ",split"
    path.write_text("\n".join([header, *rows, ""]))


def load(folder, **more):
    options = {"labels": folder / "labels.csv", "input_key": "id", "target_key": "kind"}
    return load_dataset(folder, **{**options, "test_fraction": 0.2, **more})


def test_kaggle(kaggle):
    data = load(kaggle)
    assert (data.name, data.class_names) == ("leaves", ("rust", "scab"))
    assert (data.train.labels.size, np.bincount(data.test.labels).tolist()) == (16, [2, 2])
    for split in (data.train, data.test):
        for image, label, name in zip(split.images, split.labels, split.names, strict=True):
            number = int(name.removeprefix("images/leaf").removesuffix(".png"))
            np.testing.assert_array_equal(image, draw(f"leaf{number}"))
            assert label == 1 - number % 2


@pytest.mark.parametrize("form", ["leaf{}.png", "images/leaf{}.png", "images/leaf{}"])
def test_files_by_any_of_their_names(kaggle, form):
    write(kaggle / "labels.csv", [form.format(number) for number in range(20)])
    assert load(kaggle).fingerprint == load(kaggle, labels="labels.csv").fingerprint


def test_a_column_that_says_which_split(kaggle):
    names = [f"leaf{number}" for number in range(20)]
    write(kaggle / "labels.csv", names, split=lambda at: "val" if at > 15 else "train")
    data = load(kaggle, test_fraction=None)
    assert data.test.names.tolist() == [f"images/leaf{at}.png" for at in range(16, 20)]
    with pytest.raises(
        InputError, match=r"labels.csv has no split 'tset', only train, val"
    ):
        load(kaggle, test_fraction=None, test_split="tset")


def test_metadata_beside_the_images(kaggle):
    rows = [f"images/leaf{at}.png,{at % 2}" for at in range(20)]
    (kaggle / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
    data = load_dataset(kaggle, test_fraction=0.2)
    assert (data.class_names, data.num_classes) == ((), 2)


def test_metadata_in_each_split(pictures):
    for split in ("train", "test"):
        files = sorted((pictures / split).rglob("*.png"))
        rows = [f"{f.relative_to(pictures / split)},{f.parent.name}" for f in files]
        text = "\n".join(["file_name,label", *rows])
        (pictures / split / "metadata.csv").write_text(text)
    listed = load_dataset(pictures)
    assert listed.test.names[0] == "test/cat/0.png" and listed.class_names == ("cat", "dog")
    for split in ("train", "test"):
        (pictures / split / "metadata.csv").unlink()
    assert load_dataset(pictures).fingerprint == listed.fingerprint


def test_images_that_are_missing(kaggle, capsys):
    for number in (3, 7):
        (kaggle / f"images/leaf{number}.png").unlink()
    with pytest.raises(
        InputError, match=r"lists 'leaf3' in row 3 .*, nor are 1 others; giv"
    ):
        load(kaggle)
    data = load(kaggle, skip_unreadable=True)
    assert data.train.labels.size + data.test.labels.size == 18
    assert "labels.csv: 2 images that it lists are not there" in capsys.readouterr().err


BAD = {
    "no file": ({"labels": "none.csv"}, "none.csv does not exist"),
    "no table": ({"labels": "images/leaf0.png"}, "leaf0.png is no readable table"),
    "no column": ({"input_key": "ID"}, "no column 'ID'; give input_key=… one of id, kind"),
    "no label": ({"target_key": "y"}, "has no column 'y'; give target_key=… one of id, ki"),
    "not said": ({"target_key": None}, "no usual column of the label; give target_key=…"),
    "no classes": (
        {"target_key": "id"},
        "another value in each of 20 rows: no classes; gi",
    ),
    "no test": ({"test_fraction": None}, "labels.csv has no split to test on, only train"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(kaggle, own_cache, case):
    options, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        load(kaggle, **options)
    assert "\n" not in str(caught.value) and not list(own_cache.glob("*"))


def test_two_images_of_one_name(kaggle):
    (kaggle / "more").mkdir()
    draw("twin").save(kaggle / "more/leaf4.png")
    with pytest.raises(InputError, match="lists 'leaf4' in row 4, but 2 images below"):
        load(kaggle)


def test_labels_that_are_missing(kaggle):
    text = (kaggle / "labels.csv").read_text().replace("leaf1,rust", "leaf1,", 1)
    (kaggle / "labels.csv").write_text(text.replace("rust", "1").replace("scab", "2"))
    with pytest.raises(
        InputError, match=r"column kind of .* lacks 1 of 20 labels; leave ou"
    ):
        load(kaggle)
