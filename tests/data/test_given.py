"""What `make_dataset` takes from other libraries, known by what it can do."""

import datasets
import numpy as np
import pandas as pd
import pytest
from drawing import draw

from jaxmem import InputError, content_ids, make_dataset

pytestmark = pytest.mark.filterwarnings("ignore:::datasets")
PICTURES = [draw(f"{row}") for row in range(8)]
PIXELS = np.stack([np.asarray(picture) for picture in PICTURES])
LABELS = [0, 1] * 4


def test_pil_images():
    data = make_dataset("a", PICTURES, LABELS, PICTURES[:2], LABELS[:2])
    np.testing.assert_array_equal(data.train.images, PIXELS)
    grey = [picture.convert("L") for picture in PICTURES]
    assert make_dataset("a", grey, LABELS, grey, LABELS).train.images.shape[3] == 1
    mixed = make_dataset("a", [grey[0], *PICTURES[1:]], LABELS, PICTURES, LABELS)
    np.testing.assert_array_equal(mixed.train.images[0, ..., 2], np.asarray(grey[0]))
    with pytest.raises(
        InputError, match=r"x_test has images of 2 sizes .*6 x 5, 9 x 9\); r"
    ):
        make_dataset("a", PICTURES, LABELS, [draw("b", 9, 9), PICTURES[0]], [0, 1])


def test_frames():
    frame = pd.DataFrame(
        {"a": np.arange(8), "b": np.arange(8) / 2, "c": [True, False] * 4},
        index=[f"row {row}" for row in range(8)],
    )
    kinds = pd.Series(["x", "y"] * 4, dtype="category")
    data = make_dataset("a", frame, kinds, frame[:2], kinds[:2])
    assert data.train.images.shape == (8, 1, 3, 1) and data.class_names == ("x", "y")
    assert data.train.images[3, 0, :, 0].tolist() == [3, 1.5, 0]
    assert data.test.names.tolist() == ["row 0", "row 1"]
    one = frame[["a"]].astype("uint8")  # no pixels
    assert make_dataset("a", one, LABELS, one, LABELS).train.images.dtype != np.uint8
    frame["d"] = ["text"] * 8
    with pytest.raises(
        InputError, match=r"x_train has column 'd' of str.*, not numbers; tu"
    ):
        make_dataset("a", frame, LABELS, frame, LABELS)


class Tensor:
    """As PyTorch's: NumPy reads it only after detach and cpu."""

    def __init__(self, values, ready=False):
        self.values, self.ready = np.asarray(values), ready

    def detach(self):
        return self

    def cpu(self):
        return Tensor(self.values, ready=True)

    def item(self):
        return self.values.item()

    def __array__(self, dtype=None, copy=None):
        if not self.ready:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return self.values


class Pairs:
    """As a map-style dataset of PyTorch, or of torchvision."""

    def __init__(self, images, labels, classes=()):
        self.images, self.labels, self.classes = images, labels, list(classes)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        if row >= len(self.images):
            raise IndexError
        return self.images[row], self.labels[row]


def test_tensors():
    data = make_dataset("a", Tensor(PIXELS), Tensor(LABELS), Tensor(PIXELS), Tensor(LABELS))
    np.testing.assert_array_equal(data.train.ids, content_ids(PIXELS))


def test_datasets_of_pairs():
    pairs = Pairs(PICTURES, LABELS, ["cat", "dog"])
    data = make_dataset("a", pairs, x_test=pairs)
    np.testing.assert_array_equal(data.train.ids, content_ids(PIXELS))
    assert data.class_names == ("cat", "dog")
    tensors = [Tensor(image.transpose(2, 0, 1) / np.float32(255)) for image in PIXELS]
    floats = Pairs(tensors, [Tensor(label) for label in LABELS])
    data = make_dataset("a", floats, x_test=floats)
    np.testing.assert_allclose(data.train.images, PIXELS / 255, rtol=1e-6)
    assert data.train.labels.tolist() == LABELS


def test_hugging_face_datasets():
    features = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog"]),
    }
    rows = {"image": PICTURES, "label": LABELS}
    given = datasets.Dataset.from_dict(rows, datasets.Features(features))
    data = make_dataset("a", given, x_test=given)
    assert data.class_names == ("cat", "dog")
    columns = make_dataset("a", given["image"], given["label"], given["image"], LABELS)
    for found in (data, columns):
        np.testing.assert_array_equal(found.train.ids, content_ids(PIXELS))
    other = given.rename_column("label", "kind")
    with pytest.raises(
        InputError, match=r"x_train has columns image, kind, none of them ca"
    ):
        make_dataset("a", other, x_test=other)


def test_names():
    names = [f"{row}.jpg" for row in range(8)]
    data = make_dataset("a", PIXELS, LABELS, PIXELS, LABELS, train_names=names)
    assert data.train.names.tolist() == names
    assert data.test.names.tolist() == list("01234567")
    assert data.train.names.dtype.kind == data.test.names.dtype.kind == "U"
    with pytest.raises(
        InputError, match=r"test_names has shape \(3,\); expected a name for"
    ):
        make_dataset("a", PIXELS, LABELS, PIXELS, LABELS, test_names=names[:3])


def test_labels_that_are_missing():
    with pytest.raises(
        InputError, match=r"y_train is missing, and x_train is no dataset of"
    ):
        make_dataset("a", PIXELS, x_test=PIXELS)
    with pytest.raises(
        InputError, match=r"y_test is missing; give labels, or as x_test a d"
    ):
        make_dataset("a", PIXELS, LABELS)
