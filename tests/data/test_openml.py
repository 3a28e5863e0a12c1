"""OpenML through scikit-learn, from its cache: no network is asked."""

import gzip
import hashlib
import json
import urllib.error

import numpy as np
import pytest

from jaxmem import InputError, load_dataset

NAMES = ["length", "legs", "colour", "kind"]
ROWS = [
    (i / 4, i % 5, ("red", "blue")[i % 2], ("ant", "bee", "cat")[i % 3]) for i in range(30)
]
KINDS = ["numeric", "numeric", "nominal", "nominal"]


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """The cache of scikit-learn with the set 7, called zoo; nothing else is reached."""
    arff = "@relation zoo\n@attribute length numeric\n@attribute legs numeric\n"
    arff += "@attribute colour {red,blue}\n@attribute kind {ant,bee,cat}\n@data\n"
    arff += "\n".join(",".join(map(str, row)) for row in ROWS)
    answers = {
        "api/v1/json/data/list/data_name/zoo/limit/2/status/active/": {
            "data": {
                "dataset": [{"did": 7, "name": "zoo", "version": 1, "status": "active"}]
            }
        },
        "api/v1/json/data/7": {
            "data_set_description": {
                "id": "7", "name": "zoo", "version": "1", "format": "ARFF",
                "status": "active", "file_id": "7", "default_target_attribute": "kind",
                "md5_checksum": hashlib.md5(arff.encode()).hexdigest(),
                "url": "https://www.openml.org/data/v1/download/7/zoo.arff",
                "processing_date": "2020", "description": "",
            }
        },
        "api/v1/json/data/features/7": {
            "data_features": {
                "feature": [
                    {"index": str(at), "name": name, "data_type": kind,
                     "is_target": str(name == "kind").lower(), "is_ignore": "false",
                     "is_row_identifier": "false", "number_of_missing_values": "0"}
                    for at, (name, kind) in enumerate(zip(NAMES, KINDS, strict=True))
                ]
            }
        },
        "api/v1/json/data/qualities/7": {
            "data_qualities": {"quality": [{"name": "NumberOfInstances", "value": "30"}]}
        },
    }  # fmt: skip
    files = {path: json.dumps(answer) for path, answer in answers.items()}
    files["data/v1/download/7/zoo.arff"] = arff
    for path, text in files.items():
        file = tmp_path / "openml/openml.org" / f"{path}.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(text.encode()))

    def unreachable(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("sklearn.datasets._openml.urlopen", unreachable)
    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda _: None)
    return tmp_path


def load(folder, name="openml:zoo", **more):
    options = {"test_fraction": 0.2, "input_key": "length,legs", **more}
    return load_dataset(name, folder, **options)


@pytest.mark.parametrize("name", ["openml:zoo", "openml:7"])
def test_a_table(fetched, name):
    data = load(fetched, name)
    assert (data.name, data.class_names) == (name.replace(":", "-"), ("ant", "bee", "cat"))
    assert np.bincount(data.test.labels).tolist() == [2, 2, 2]
    for row, image in zip(data.train.names.astype(int), data.train.images, strict=True):
        assert image[0, :, 0].tolist() == list(ROWS[row][:2])


def test_another_target(fetched):
    data = load(fetched, target_key="colour")
    assert data.class_names == ("blue", "red")


def test_refused(fetched):
    with pytest.raises(
        InputError, match=r"column colour of openml:zoo holds words .*=leng"
    ):
        load(fetched, input_key=None)
    with pytest.raises(
        InputError, match=r"no column 'tail'; give input_key=… of length, le"
    ):
        load(fetched, input_key="tail")
    with pytest.raises(
        InputError, match=r"^openml:zoo has no split to test on, only train;"
    ):
        load(fetched, test_fraction=None)
    with pytest.raises(InputError, match=r"openml:zoo has no use for image_size=3"):
        load(fetched, image_size=3)
    with pytest.raises(InputError, match=r"openml:zoo cannot be fetched .*: .*'tail'"):
        load(fetched, target_key="tail")


def test_not_in_the_cache_and_no_network(fetched):
    with pytest.raises(
        InputError, match=r"openml:none cannot be fetched from OpenML: .*not kn"
    ):
        load(fetched, "openml:none")
