"""A small set with the layout, names and features of ImageNet, for tests and benchmarks.

Images are JPEGs of noise over a pattern of their class, so that networks learn something.
The same images come as class folders, as the tar files from which TFDS makes
imagenet2012, and as the archives from which it makes imagenet_resized.
"""

import io
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from jaxmem._shared.devices import cores

UNLABELLED = 50  # images of TFDS's test split, whose labels are all -1


def wnids() -> list[str]:
    """The 1,000 synsets, in the order of TFDS's class numbers."""
    return _lines("labels.txt")


def _lines(name: str) -> list[str]:
    from tensorflow_datasets.core import tfds_path

    return tfds_path(f"datasets/imagenet2012/{name}").read_text().split()


def write_folders(
    folder: Path, per_class: int = 2, validation: int = 1000, height: int = 48, width=64
) -> None:
    """train/<synset>/<synset>_1.JPEG and val/<synset>/ILSVRC2012_val_00000001.JPEG, …

    Which class a validation image is of, the real set's list says.
    """
    names = wnids()
    files = [
        f"train/{wnid}/{wnid}_{number}.JPEG"
        for wnid in names
        for number in range(1, per_class + 1)
    ]
    labels = _lines("validation_labels.txt")[:validation]
    files += [
        f"val/{wnid}/ILSVRC2012_val_{number:08}.JPEG"
        for number, wnid in enumerate(labels, 1)
    ]
    for part in {str(Path(file).parent) for file in files}:
        (folder / part).mkdir(parents=True, exist_ok=True)

    def write(place: tuple[int, str]) -> None:
        row, file = place
        label = names.index(file.split("/")[1])
        image = _draw(row, label, height, width)
        image.save(folder / file, quality=85)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(write, enumerate(files)))


def _draw(row: int, label: int, height: int, width: int) -> Image.Image:
    coarse = np.random.default_rng(label).integers(0, 256, (3, 4, 3), np.uint8)
    clouds = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = np.random.default_rng([1, row]).integers(-40, 41, (height, width, 3), np.int16)
    return Image.fromarray(np.clip(np.asarray(clouds) + noise, 0, 255).astype(np.uint8))


def write_tars(images: Path, data_dir: Path) -> None:
    """What TFDS wants in <data_dir>/downloads/manual, of the folders of `write_folders`."""
    manual = data_dir / "downloads/manual"
    manual.mkdir(parents=True)
    with tarfile.open(manual / "ILSVRC2012_img_train.tar", "w") as tar:
        for part in sorted((images / "train").iterdir()):
            content = io.BytesIO()
            with tarfile.open(fileobj=content, mode="w") as inner:
                for image in sorted(part.iterdir()):
                    inner.add(image, image.name)
            info = tarfile.TarInfo(f"{part.name}.tar")
            info.size = len(content.getvalue())
            content.seek(0)
            tar.addfile(info, content)
    for split in ("val", "test"):
        found = sorted((images / "val").rglob("*.JPEG"), key=lambda path: path.name)
        with tarfile.open(manual / f"ILSVRC2012_img_{split}.tar", "w") as tar:
            for image in found[: UNLABELLED if split == "test" else None]:
                tar.add(image, image.name.replace("val", split))


def write_archives(images: Path, size: int, folder: Path) -> list[Path]:
    """What TFDS downloads for imagenet_resized/<size>x<size>: its paths, train's first.

    Of 64x64 it wants the training images in two parts.
    """
    parts = {"train": sorted((images / "train").rglob("*.JPEG"))}
    if size == 64:
        found = parts.pop("train")
        parts |= {"train_part1": found[::2], "train_part2": found[1::2]}
    parts["val"] = sorted((images / "val").rglob("*.JPEG"))
    paths = []
    for part, found in parts.items():
        paths.append(folder / f"Imagenet{size}_{part}_npz.zip")
        with zipfile.ZipFile(paths[-1], "w") as archive:
            archive.writestr(f"{part}_data_batch_1.npz", _batch(found, size))
    return paths


def _batch(images: list[Path], size: int) -> bytes:
    """An .npz of pixels, channels first, and of classes from 1."""
    number = {wnid: number for number, wnid in enumerate(wnids(), 1)}
    small = [np.asarray(Image.open(image).resize((size, size))) for image in images]
    data = np.stack(small).transpose(0, 3, 1, 2).reshape(len(images), -1)
    content = io.BytesIO()
    np.savez(content, data=data, labels=[number[i.parent.name] for i in images])
    return content.getvalue()


def prepare_resized(images: Path, size: int, data_dir: Path) -> None:
    """Let TFDS prepare imagenet_resized as ArrayRecord; imports TensorFlow."""
    import tensorflow_datasets as tfds

    found = write_archives(images, size, data_dir)
    download = tfds.download.DownloadManager.download
    name = f"imagenet_resized/{size}x{size}"
    builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
    try:
        # In place of the network.
        tfds.download.DownloadManager.download = lambda *_: found
        builder.download_and_prepare()
    finally:
        tfds.download.DownloadManager.download = download
