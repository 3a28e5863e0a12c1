"""ImageNet's layouts at toy size: class folders, what TFDS makes of the tars, Parquet."""

import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest

import jaxmem
import jaxmem.run
from jaxmem import InputError, load_dataset
from jaxmem.data.hub import _title
from jaxmem.training.recipes import IMAGENET, SMALL_IMAGENET, recipe_for

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
PREPARE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import synthetic_imagenet
import jaxmem
images, data_dir = Path(sys.argv[2]), Path(sys.argv[3])
synthetic_imagenet.write_tars(images, data_dir)
jaxmem.load_dataset("imagenet2012", data_dir, image_size=8)  # TFDS prepares it for us
for size in (32, 64):
    synthetic_imagenet.prepare_resized(images, size, data_dir)
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """1,000 class folders of two training images, 300 validation images."""
    folder = tmp_path_factory.mktemp("imagenet") / "ILSVRC2012"
    sys.path.insert(0, str(EXPERIMENTS))
    try:
        import synthetic_imagenet

        synthetic_imagenet.write_folders(folder, validation=300)
    finally:
        sys.path.remove(str(EXPERIMENTS))
    return folder


@pytest.fixture(scope="module")
def prepared(images, tmp_path_factory):
    """The same as TFDS prepares it, in a process of its own: TensorFlow stays loaded."""
    pytest.importorskip("array_record")
    data_dir = tmp_path_factory.mktemp("tfds")
    arguments = [str(EXPERIMENTS), str(images), str(data_dir)]
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, *arguments], capture_output=True, text=True
    )
    if "No module named 'tensorflow'" in done.stderr:
        pytest.skip("needs TensorFlow (the extra tfds)")
    assert done.returncode == 0, done.stderr[-3000:]
    return data_dir


def test_class_folders(images, own_cache):
    data = load_dataset(images, image_size=32)
    assert data.train.images.shape == (2000, 32, 32, 3)
    assert data.test.images.shape == (300, 32, 32, 3)
    assert (data.num_classes, data.recipes) == (1000, "imagenet2012")
    assert data.class_names[0] == "n01440764"
    assert data.train.names[1] == "train/n01440764/n01440764_2.JPEG"
    assert data.test.names[0].startswith("val/")
    # Another folder of folders is anybody's.
    assert load_dataset(images, image_size=8, train_split="val").recipes is None


def test_tfds_array_record(images, prepared, own_cache, no_tensorflow):
    """By the builder itself: test is all -1, so validation is tested on."""
    data = load_dataset("imagenet2012", prepared, image_size=32)
    assert (data.recipes, data.num_classes) == ("imagenet2012", 1000)
    assert data.class_names[:2] == ("n01440764", "n01443537")
    assert isinstance(data.train.images, np.memmap)
    with pytest.raises(InputError, match=r"test has rows without a label \(-1\)"):
        load_dataset("imagenet2012", prepared, image_size=32, test_split="test")
    # The same examples as in the folders, in another order.
    folder = load_dataset(images, image_size=32)
    for mine, other in ((data.train, folder.train), (data.test, folder.test)):
        ours = dict(zip(mine.names, zip(mine.ids, mine.labels, strict=True), strict=True))
        files = [name.rpartition("/")[2] for name in other.names]
        theirs = dict(zip(files, zip(other.ids, other.labels, strict=True), strict=True))
        assert ours == theirs


@pytest.mark.parametrize("size", [32, 64])
def test_imagenet_resized(images, prepared, own_cache, no_tensorflow, size):
    data = load_dataset(f"imagenet_resized/{size}x{size}", prepared)
    assert data.train.images.shape == (2000, size, size, 3)
    assert data.test.images.shape == (300, size, size, 3)
    assert (data.recipes, data.num_classes) == ("imagenet_resized", 1000)
    assert np.bincount(data.train.labels).tolist() == [2] * 1000


@pytest.mark.filterwarnings("ignore:::datasets")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_parquet_with_the_hubs_columns(images, own_cache, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    names = sorted(path.name for path in (images / "train").iterdir())
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    (tmp_path / "imagenet-1k/data").mkdir(parents=True)
    for split, count in (("train", 40), ("validation", 20), ("test", 10)):
        part = "val" if split == "test" else split[:5].removesuffix("id")
        files = sorted((images / part).rglob("*.JPEG"))[:count]
        labels = [names.index(file.parent.name) for file in files]
        labels = [-1] * count if split == "test" else labels
        rows = {"image": [str(file) for file in files], "label": labels}
        found = datasets.Dataset.from_dict(rows, datasets.Features(kinds))
        file = tmp_path / f"imagenet-1k/data/{split}-00000-of-00001.parquet"
        found.to_parquet(file)
    data = load_dataset(f"hf:{tmp_path}/imagenet-1k", image_size=32)
    assert data.train.images.shape == (40, 32, 32, 3) and data.num_classes == 1000
    assert data.test.labels.size == 20 and data.test.labels.min() >= 0
    folder = load_dataset(images, image_size=32)
    np.testing.assert_array_equal(data.train.ids, folder.train.ids[:40])
    assert _title("hf:ILSVRC/imagenet-1k") == ("ILSVRC/imagenet-1k", "imagenet-1k")


def test_recipes():
    for model in ("resnet18", "resnet50"):
        for key in ("imagenet2012", "imagenet-1k"):
            assert recipe_for(key, model, 10**6) == IMAGENET
        assert recipe_for("imagenet_resized", model, 10**6) == SMALL_IMAGENET
    assert (SMALL_IMAGENET.train_size, SMALL_IMAGENET.resized_crop) == (0, 0.25)


def test_too_small_images_say_what_fits(images, own_cache):
    data = load_dataset(images, image_size=32)
    with pytest.raises(InputError, match=r"train size 224 .* 32 x 32 .* --train-size=28"):
        jaxmem.run_trials(data, 1, model="resnet18")


def test_from_the_command_line_to_estimates(prepared, own_cache, tmp_path, capsys):
    """With ImageNet's augmentation, in the smallest network that there is."""
    flags = ["--trials=4", "--model=linear", "--epochs=1", "--width=1", "--mirror"]
    flags += ["--resized-crop=0.08", "--train-size=14", "--image-size=16"]
    workdir = tmp_path / "run"
    named = ["--dataset=imagenet2012", f"--data-dir={prepared}", f"--workdir={workdir}"]
    assert jaxmem.run.main([*named, *flags]) == 0
    run = jaxmem.open_run(workdir)
    assert run.config.recipe.train_size == 14 and run.config.image_shape == (16, 16, 3)
    assert run.included.sum(axis=1).tolist() == [1400] * 4
    assert run.test_correct.shape == (4, 300)
    assert np.isfinite(run.memorization).any()
    assert (workdir / "influence_examples.png").exists()
    assert "memorized" in capsys.readouterr().out
