"""ImageNet's way from its files to estimates, on a small set of its layout; and its pace.

    python experiments/benchmark_imagenet.py              # some minutes on two cores
    python experiments/benchmark_imagenet.py --per-class=1 --epochs=1  # fewer images

Synthesises 1,000 class folders of JPEGs of 350 x 400, and the tars from which TFDS makes
imagenet2012 (needs TensorFlow). The first command prepares, decodes, trains ResNet18 on
subsets and estimates; the same again, with nothing left to train, says what a start takes.
Then: images a second that resized crops take alone, and ResNet50's steps at 224 pixels
with and without them. The set says nothing of ImageNet's accuracy.
"""

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import synthetic_imagenet
from experiment import command, save

import jaxmem
from jaxmem._shared.devices import cores
from jaxmem.models import Spec, make_model
from jaxmem.training import fitting
from jaxmem.training.augmentation import augment, draw_views, of_centre
from jaxmem.training.fitting import Learner
from jaxmem.training.keys import root_key
from jaxmem.training.recipes import IMAGENET

VALIDATION = 1000
RUN = (
    *("--dataset=imagenet2012", "--image-size=160", "--train-size=96", "--model=resnet18"),
    *("--trials=2", "--batch-size=64", "--learning-rate=0.05", "--warmup=0.5", "--width=1"),
)
BATCH = 8  # of ResNet50


def timed(call) -> float:
    """Seconds of a call, the first of three left out: it compiles."""
    jax.block_until_ready(call())
    start = time.perf_counter()
    for _ in range(2):
        jax.block_until_ready(call())
    return (time.perf_counter() - start) / 2


def end_to_end(folder: Path, per_class: int, epochs: int) -> dict:
    """From tars to estimates.npz by the command, and what each part took."""
    images, data_dir = folder / "images", folder / "tfds"
    start = time.perf_counter()
    synthetic_imagenet.write_folders(images, per_class, VALIDATION, 350, 400)
    synthetic_imagenet.write_tars(images, data_dir)
    synthesised = time.perf_counter() - start
    arguments = [*RUN, f"--epochs={epochs}", f"--data-dir={data_dir}"]
    line = [sys.executable, "-m", "jaxmem.run", *arguments, f"--workdir={folder / 'run'}"]
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        subprocess.run(line, check=True)
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    data = jaxmem.load_dataset(images, image_size=160)
    from_folders = time.perf_counter() - start
    run = jaxmem.open_run(folder / "run")
    assert sorted(data.train.ids) == sorted(run.tr_ids)  # the same images by both doors
    return {
        "jaxmem_run": [a for a in arguments if not a.startswith("--data-dir")],
        "train_images": int(run.tr_ids.size),
        "validation_images": int(run.tt_ids.size),
        "encoded_bytes": sum(f.stat().st_size for f in images.rglob("*.JPEG")),
        "seconds_synthesising": synthesised,
        "seconds_command_prepares_decodes_trains_estimates": seconds[0],
        "seconds_command_again": seconds[1],
        "seconds_decoding_from_class_folders": from_folders,
        "train_accuracy": run.train_accuracy.tolist(),
        "test_accuracy": run.test_accuracy.tolist(),
        "with_estimate": int(np.isfinite(run.memorization).sum()),
    }


def resized_crops(rows: int = 64) -> float:
    """Images of 256 x 256 x 3 a second that are cropped, scaled to 224 and mirrored."""
    images = jnp.zeros((rows, 256, 256, 3), jnp.uint8)
    views = draw_views(root_key(0), (1, rows), images.shape[1:], IMAGENET)
    views = jax.tree.map(lambda a: a[0], views)
    program = jax.jit(lambda images, views: augment(images, views, IMAGENET))
    return rows / timed(lambda: program(images, views))


def steps_of_resnet50(resized_crop: float) -> float:
    """Examples a second of training steps at 224 pixels, batches of BATCH."""
    recipe = dataclasses.replace(IMAGENET, resized_crop=resized_crop, batch_size=BATCH)
    model = of_centre(make_model("resnet50", Spec(1000)), recipe.train_size)
    learner = Learner(model, recipe, 100)
    images = jnp.ones((BATCH, 256, 256, 3), jnp.uint8)
    labels, weights = jnp.arange(BATCH), jnp.ones(BATCH)
    views = draw_views(root_key(0), (1, BATCH), images.shape[1:], recipe)
    views = jax.tree.map(lambda a: a[0], views)
    state = fitting.init(learner, root_key(0), images)

    @jax.jit
    def step(state, images, views):
        seen = augment(images, views, recipe)
        return fitting.train_step(learner, state, seen, labels, weights)[0]

    return BATCH / timed(lambda: step(state, images, views))


def main(argv: list[str] | None) -> None:
    """Synthesise, run, time; write results/benchmark_imagenet.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=3, help="default: 3")
    parser.add_argument("--epochs", type=int, default=4, help="default: 4")
    parser.add_argument("--folder", help="where all goes (default: temporary)")
    args = parser.parse_args(argv)
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        os.environ["JAXMEM_CACHE"] = str(Path(folder) / "cache")
        numbers = end_to_end(Path(folder), args.per_class, args.epochs)
    numbers |= {
        "cores": cores(),
        "load_average_before": load_before,  # above 0.5: others slowed the clock's figures
        "resized_crops_a_second_256_to_224": resized_crops(),
        "resnet50_examples_a_second_224": steps_of_resnet50(0.08),
        "resnet50_examples_a_second_224_plain_crops": steps_of_resnet50(0.0),
    }
    print(f"{save('benchmark_imagenet', numbers)}\n{numbers}")


if __name__ == "__main__":
    command(main)
