"""The commands of docs/how-to/own-data.md, on data of the kinds that it describes."""

import re
import shlex
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from drawing import draw, write_classes

import jaxmem.predict
import jaxmem.run
from jaxmem.data.flags import take_dataset

pytestmark = pytest.mark.filterwarnings("ignore:::datasets")
PAGE = Path(__file__).parents[2] / "docs/how-to/own-data.md"
COMMANDS = re.findall(r"^python -m jaxmem\.(\w+) (.+)$", PAGE.read_text(), re.MULTILINE)


@pytest.fixture
def examples(tmp_path, own_cache, monkeypatch):
    """The folders and files that the page names, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    for split in ("photos/train", "photos/test", "new"):
        write_classes(tmp_path / split, {"cat": 5, "dog": 5})
    (tmp_path / "leaves/images").mkdir(parents=True)
    for number in range(20):
        draw(f"{number}").save(tmp_path / f"leaves/images/{number}.png")
    rows = [f"{number},{'rust' if number % 2 else 'scab'}" for number in range(20)]
    (tmp_path / "leaves/labels.csv").write_text("\n".join(["id,kind", *rows]))
    legs, kinds = list(range(30)), ["ant", "bee", "cat"] * 10
    zoo = {"length": [i / 4 for i in legs], "legs": legs, "kind": kinds}
    pyarrow.csv.write_csv(pa.table(zoo), tmp_path / "zoo.csv")
    (tmp_path / "embeddings").mkdir()
    for split in ("train", "test"):
        vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
        np.save(tmp_path / f"embeddings/x_{split}.npy", vectors)
        np.save(tmp_path / f"embeddings/y_{split}.npy", np.arange(30) % 3)
    (tmp_path / "flowers/data").mkdir(parents=True)
    rows = {"image": [draw(f"{i}") for i in range(20)], "label": ["a", "b"] * 10}
    flowers = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    flowers.to_parquet(tmp_path / "flowers/data/train-00000-of-00001.parquet")
    return tmp_path


@pytest.mark.parametrize("command, flags", COMMANDS, ids=[flags for _, flags in COMMANDS])
def test_commands(examples, request, command, flags):
    if "--data-dir=tfds" in flags:
        (examples / "tfds").symlink_to(request.getfixturevalue("shared") / "tfds")
    parser = getattr(jaxmem, command).make_parser()
    data = take_dataset(vars(parser.parse_args(shlex.split(flags))))
    assert data.train.labels.size and data.test.labels.size
    assert len(data.test.names) == len(data.test.ids) == len(data.test.images)


def test_the_page_has_commands():
    assert len(COMMANDS) == 9
