"""Which rows are for training and which for testing."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxmem.data.options import Options
from jaxmem.data.rows import Rows, all_labels, have_labels, select
from jaxmem.errors import InputError

TEST = ("test", "validation", "valid", "val", "dev")  # what is tested on, the first of them


def take_splits(
    source: str, found: Sequence[str], open_split: Callable[[str], Rows], options: Options
) -> tuple[Rows, Rows]:
    """The rows to train on and to test on, as the options say, or else by their names.

    found: the splits that there are. open_split: the rows of one, or of a slice where the
    source has slices. Raises InputError, listing the splits, where it stays open.
    """
    train = options.train_split or _train(source, found)
    rows = open_split(train)
    if options.test_fraction is not None:
        fraction, seed = options.test_fraction, options.seed
        chosen = stratified(all_labels(rows), fraction, seed)
        return select(rows, chosen[0]), select(rows, chosen[1])
    test = options.test_split or _test(source, found, open_split)
    return rows, rows if test == train else open_split(test)


def _train(source: str, found: Sequence[str]) -> str:
    if "train" in found:
        return "train"
    if len(found) == 1:
        return found[0]
    have = f"splits {', '.join(found)}" if found else "no splits"
    raise InputError(f"{source} has {have}; give train_split=… and test_split=…")


def _test(source: str, found: Sequence[str], open_split: Callable[[str], Rows]) -> str:
    candidates = [split for split in TEST if split in found]
    if len(candidates) == 1:
        return candidates[0]
    labelled = (split for split in candidates if have_labels(open_split(split)))
    test = next(labelled, None)
    if test is not None:
        return test
    of = "of which the labels are known " if candidates else ""
    raise InputError(
        f"{source} has no split {of}to test on, only {', '.join(found)}; give "
        "test_fraction=0.2 to set a part of train aside, or test_split=…"
    )


def stratified(
    labels: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers, ascending, to train and to test on: of each class about that share.

    A class keeps at least one row to train on. The shares are rounded so that they add up
    over the classes, and so do not all round down. Raises InputError where nothing is left
    to test on.
    """
    rng = np.random.default_rng(seed)
    _, classes = np.unique(labels, return_inverse=True)
    order = rng.permutation(labels.size)
    order = order[np.argsort(classes[order], kind="stable")]  # class by class, shuffled
    sizes = np.bincount(classes)
    ends = np.floor(np.cumsum(sizes) * fraction + 0.5).astype(int)
    takes = np.minimum(np.diff(ends, prepend=0), sizes - 1)
    starts = np.cumsum(sizes) - sizes
    test = np.concatenate([order[s : s + t] for s, t in zip(starts, takes, strict=True)])
    if not test.size:
        raise InputError(
            f"test_fraction {fraction:g} of {labels.size} rows in {sizes.size} classes is "
            "none; give a larger one"
        )
    return np.setdiff1d(np.arange(labels.size), test), np.sort(test)


def split_column(table) -> np.ndarray | None:
    """What a table's column `split` says of each row; None where it has none."""
    if "split" not in table.column_names:
        return None
    return np.array(table["split"].to_pylist(), str)


def split_rows(
    source: str, rows: Rows, splits: np.ndarray | None, options: Options
) -> tuple[Rows, Rows]:
    """Rows to train on and to test on: by a column that says so, or else as options do."""
    known = ["train"] if splits is None else np.unique(splits).tolist()

    def open_split(split: str) -> Rows:
        if split not in known:
            raise InputError(f"{source} has no split {split!r}, only {', '.join(known)}")
        return rows if splits is None else select(rows, np.flatnonzero(splits == split))

    return take_splits(source, known, open_split, options)
