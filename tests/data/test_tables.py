import datetime

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from jaxmem import InputError, load_dataset

COLUMNS = {
    "length": [i / 4 for i in range(30)],
    "legs": [i % 5 for i in range(30)],
    "wild": [i % 2 == 0 for i in range(30)],
    "kind": [("ant", "bee", "cat")[i % 3] for i in range(30)],
}


def write(path, **changed):
    """The columns as a file, some of them changed, or left out where None."""
    table = pa.table({k: v for k, v in {**COLUMNS, **changed}.items() if v is not None})
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        pyarrow.parquet.write_table(table, path)
    return path


def load(path, **more):
    return load_dataset(path, **{"target_key": "kind", "test_fraction": 0.2, **more})


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_numeric_columns_and_a_label(tmp_path, ending):
    data = load(write(tmp_path / f"zoo.{ending}"))
    assert (data.name, data.class_names) == ("zoo", ("ant", "bee", "cat"))
    assert data.train.images.shape == (24, 1, 3, 1)
    assert data.feature_names == ("length", "legs", "wild")
    assert np.bincount(data.test.labels).tolist() == [2, 2, 2]
    for row, image in zip(data.train.names.astype(int), data.train.images, strict=True):
        expected = [COLUMNS[key][row] for key in ("length", "legs", "wild")]
        assert image[0, :, 0].tolist() == expected
    assert load(write(tmp_path / "zoo.csv")).fingerprint == data.fingerprint


def test_columns_that_are_asked_for(tmp_path):
    path = write(tmp_path / "zoo.csv", note=["text"] * 30)
    data = load(path, input_key="legs, wild")
    assert data.train.images.shape[2] == 2 and data.train.images.dtype == np.int8
    data = load(path, input_key="legs", target_key="wild", test_fraction=0.5)
    assert (data.class_names, data.num_classes) == ((), 2)  # 0 and 1


def test_bytes_of_a_table_are_no_pixels(tmp_path):
    legs = pa.array(COLUMNS["legs"], pa.uint8())
    data = load(write(tmp_path / "zoo.parquet", legs=legs), input_key="legs")
    assert data.train.images.dtype != np.uint8


def test_classes_need_no_order(tmp_path):
    data = load(
        write(tmp_path / "zoo.csv", kind=[(7.0, 2.0, 40.0)[i % 3] for i in range(30)])
    )
    assert data.class_names == ("2", "7", "40")
    known = load(write(tmp_path / "zoo.csv"), class_names=["dog", "cat", "bee", "ant"])
    assert known.num_classes == 4 and known.class_names[3] == "ant"


def test_a_column_that_says_which_split(tmp_path):
    split = ["train"] * 20 + ["test"] * 7 + ["other"] * 3
    path = write(tmp_path / "zoo.csv", split=split)
    data = load(path, test_fraction=None)
    assert data.test.names.tolist() == [str(row) for row in range(20, 27)]
    assert data.train.images.shape == (20, 1, 3, 1)
    assert load(path, test_fraction=None, test_split="other").test.ids.size == 3


def test_vectors(tmp_path):
    """Embeddings: a column of lists."""
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    path = write(tmp_path / "zoo.parquet", vector=list(vectors))
    data = load(path, input_key="vector")
    rows = data.train.names.astype(int)
    np.testing.assert_array_equal(data.train.images[:, 0, :, 0], vectors[rows])
    ragged = [*vectors[:29], vectors[0, :2]]
    with pytest.raises(
        InputError, match=r"column vector .* of lengths \(2,\), \(4,\); exp"
    ):
        load(write(path, vector=ragged), input_key="vector")


BAD = {
    "strings": ({"note": ["text"] * 30}, {}, "note of .* holds string.*=length,legs,wild"),
    "dates": (
        {"note": [datetime.date(2020, 1, 1)] * 30},
        {},
        "column note .* holds date32",
    ),
    "missing": (
        {"legs": [None, None, *range(28)]},
        {},
        "column legs of .* lacks 2 of 30 v",
    ),
    "NaN": (
        {"length": [float("nan"), *range(29)]},
        {},
        "column length of .* lacks 1 of 30",
    ),
    "no such column": (
        {},
        {"input_key": "legs,tail"},
        "column 'tail'; .* length, legs, wild",
    ),
    "no such label": ({}, {"target_key": "class"}, "'class'; give target_key=… one of "),
    "unlabelled": ({"kind": [None, *COLUMNS["kind"][1:]]}, {}, "kind of .* lacks 1 of 30"),
    "fractions": (
        {},
        {"target_key": "length"},
        "column length .* has 0.25, which is no cl",
    ),
    "no columns": (
        {"length": None, "legs": None, "wild": None},
        {},
        "no columns beside ki",
    ),
    "no test": ({}, {"test_fraction": None}, "zoo.csv has no split to test on, only train"),
    "one class": ({"kind": ["ant"] * 30}, {}, "zoo.csv: y_train has only one class, ant"),
    "size": ({}, {"image_size": 9}, "table .*zoo.csv has no use for image_size=9"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(tmp_path, case):
    changed, options, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        load(write(tmp_path / "zoo.csv", **changed), **options)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables(tmp_path):
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(InputError, match=f"{name} does not exist"):
            load(tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(InputError, match=f"{name} is no readable table"):
            load(tmp_path / name)
    (tmp_path / "two.csv").write_text("a,a\n1,2\n")
    with pytest.raises(InputError, match=r"two.csv has two columns 'a'; rename one"):
        load(tmp_path / "two.csv")
    (tmp_path / "head.csv").write_text("a,kind\n")
    with pytest.raises(InputError, match=r"head.csv has no rows"):
        load(tmp_path / "head.csv")
