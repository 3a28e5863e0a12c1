"""A folder of images: class by class, or with a CSV file that says what is what."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxmem._shared.files import local_path
from jaxmem.data.dataset import Dataset
from jaxmem.data.listings import LISTING, read_listing
from jaxmem.data.options import Options, only
from jaxmem.data.preparation import prepare
from jaxmem.data.rows import Rows, Source, all_labels, check_classes, listed_rows
from jaxmem.data.splits import TEST, split_rows, take_splits
from jaxmem.errors import InputError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".jp2", ".avif"),
)
SYNSET = re.compile(r"n\d{8}")  # of WordNet, as ImageNet's folders are called
SPLITS = ("train", "training", *TEST)


def load_folder(folder: Path, class_names: Sequence[str], options: Options) -> Dataset:
    """The images below a folder, by one of these layouts.

    class/image, or split/class/image, with splits such as train, test and validation; a
    metadata.csv beside the images, or in each split, with their file_name and label; any
    tree of images with options.labels, a CSV file.

    A set that is all grey has one channel, every other is RGB. class_names: numbers of
    classes by their names; default: in alphabetical order. Raises InputError for a folder
    without images or classes, and for whatever stays open.
    """
    takes = "train_split", "test_split", "test_fraction", "skip_unreadable"
    csv = (*takes, "labels", "input_key", "target_key", "groups")
    listing = _listing(folder, options)
    only(f"folder {folder}", options, "image_size", *(csv if listing else takes))
    images = find_images(folder)
    if not images:
        raise InputError(
            f"no images below {folder}, that is no files that end in {', '.join(SUFFIXES)}"
        )
    if listing:
        train, test, read = _take_listed(folder, listing, images, options)
    else:
        train, test, read = _take_split_folders(folder, images, options)
    check_classes(train, test)
    source = Source(
        folder.resolve().name,
        train,
        test,
        _state(images, read),
        tuple(class_names),
        recipes=_recipes(train),
    )
    return prepare(source, options)


def _recipes(rows: Rows) -> str | None:
    """ImageNet's, for its 1,000 class folders, whatever the folder above is called."""
    found = np.unique(all_labels(rows)).tolist()
    is_imagenet = len(found) == 1000 and all(SYNSET.fullmatch(str(c)) for c in found)
    return "imagenet2012" if is_imagenet else None


def _listing(folder: Path, options: Options) -> Path | None:
    """The CSV file that lists all images; None where folders say what they are."""
    if options.labels is None:
        return folder / LISTING if (folder / LISTING).is_file() else None
    given = local_path(options.labels)
    inside = folder / given
    return inside if inside.is_file() and not given.is_file() else given


def find_images(folder: Path) -> list[Path]:
    """All image files below a folder, in order of their paths; hidden ones are left out."""
    found, seen = [], set()
    for root, folders, files in os.walk(folder, followlinks=True):
        here = os.stat(root)
        if (here.st_dev, here.st_ino) in seen:  # a link to a folder above it
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(root, name)
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def _take_listed(folder: Path, listing: Path, images: list[Path], options: Options):
    """Splits of images that one CSV file lists."""
    rows, splits = read_listing(folder, listing, images, options)
    return *split_rows(str(listing), rows, splits, options), [listing]


def _take_split_folders(folder: Path, images: list[Path], options: Options):
    """Splits that are folders; or, where there are none, one that is all of them."""
    splits = {
        part.name.lower(): part
        for part in sorted(folder.iterdir())
        if part.is_dir() and part.name.lower() in SPLITS
    }
    asked = [s for s in (options.train_split, options.test_split) if s and s != "train"]
    splits |= {name: folder / name for name in asked if (folder / name).is_dir()}
    if "training" in splits:
        splits.setdefault("train", splits.pop("training"))
    read = [part / LISTING for part in splits.values() if (part / LISTING).is_file()]

    def open_split(split: str) -> Rows:
        part = splits.get(split) if splits else folder
        if part is None or (not splits and split != "train"):
            raise InputError(
                f"{folder} has no split {split!r}, only "
                f"{', '.join(splits) or 'class folders, which are train'}"
            )
        inside = [image for image in images if image.is_relative_to(part)]
        if (part / LISTING).is_file():
            return read_listing(part, part / LISTING, inside, options, folder)[0]
        return _class_folders(folder, part, inside)

    train, test = take_splits(str(folder), list(splits) or ["train"], open_split, options)
    return train, test, read


def _class_folders(root: Path, folder: Path, images: list[Path]) -> Rows:
    """Images by the folders that they lie in, one a class."""
    if not images:
        raise InputError(f"no images below {folder}")
    inside = [image.relative_to(folder).parts for image in images]
    loose = next((parts[0] for parts in inside if len(parts) == 1), None)
    if loose is not None:
        raise InputError(
            f"{folder / loose} lies in no class folder; move it into one, or give "
            "labels=… with a CSV file that says what each image is"
        )
    names = [image.relative_to(root).as_posix() for image in images]
    return listed_rows(images, np.array([parts[0] for parts in inside]), names)


def _state(images: list[Path], read: list[Path]) -> str:
    """A hash that changes when an image or a list of them does."""
    digest = hashlib.sha256()
    for path in (*images, *read):
        found = path.stat()
        digest.update(f"{path.absolute()}\0{found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
