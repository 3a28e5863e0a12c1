"""CSV files that say which image is what."""

from collections import Counter
from pathlib import Path

import numpy as np

from jaxmem._shared.progress import say
from jaxmem.data.columns import column, group_column, label_column, read_csv, text_labels
from jaxmem.data.options import Options
from jaxmem.data.rows import Rows, listed_rows
from jaxmem.data.splits import split_column
from jaxmem.errors import InputError

LISTING = "metadata.csv"  # beside the images, as `datasets` has it
FILES = ("file_name", "filename", "file", "path", "image", "image_id", "id")  # columns


def read_listing(
    folder: Path,
    listing: Path,
    images: list[Path],
    options: Options,
    root: Path | None = None,
) -> tuple[Rows, np.ndarray | None]:
    """The images that a CSV file lists, and its column `split` where it has one.

    images: all below the folder. A row names one by its path there, its file's name, or
    that without its ending. root: what names of examples are relative to. Raises
    InputError for a column that does not exist (listing those that do), and for a row
    whose image is not there or is not the only one.
    """
    table = read_csv(listing)
    files = column(listing, table, options.input_key, FILES, "input_key", "the file")
    key, labels = label_column(listing, table, options.target_key)
    wanted = [str(value) for value in table[files].to_pylist()]
    found = _resolve(folder, listing, files, images, wanted, options.skip_unreadable)
    kept = np.array([row for row, image in enumerate(found) if image], int)
    if kept.size < len(found):
        say(f"{listing}: {len(found) - kept.size} images that it lists are not there")
    if not kept.size:
        raise InputError(f"none of the images in column {files} of {listing} is there")
    paths = [found[row] for row in kept]
    names = [path.relative_to(root or folder).as_posix() for path in paths]
    labels = text_labels(f"column {key} of {listing}", labels)[kept]
    splits = split_column(table)
    groups = group_column(listing, table, options.groups)
    groups = None if groups is None else groups[kept]
    rows = listed_rows(paths, labels, names, groups)
    return rows, None if splits is None else splits[kept]


def _resolve(
    folder: Path,
    listing: Path,
    key: str,
    images: list[Path],
    wanted: list[str],
    skip: bool,
) -> list[Path | None]:
    """The file that each entry names; None where there is none and those are skipped."""
    known: dict[str, Path] = {}
    times: Counter[str] = Counter()
    for path in images:
        inside = path.relative_to(folder)
        bare = inside.with_suffix("").as_posix()
        for name in {inside.as_posix(), bare, path.name, path.stem}:
            known[name] = path
            times[name] += 1
    for row, name in enumerate(wanted):
        if name not in known and not skip:
            missing = sum(other not in known for other in wanted)
            raise InputError(
                f"{listing} lists {name!r} in row {row} (column {key}), but no such image "
                f"is below {folder}, nor are {missing - 1} others; give input_key=… with "
                "another column, or skip_unreadable=True to leave out all such"
            )
        if times[name] > 1:
            raise InputError(
                f"{listing} lists {name!r} in row {row}, but {times[name]} images below "
                f"{folder} are called so; give their paths"
            )
    return [known.get(name) for name in wanted]
