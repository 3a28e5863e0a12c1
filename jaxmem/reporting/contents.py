"""What a report carries, as parts: `core`, with which it starts, and chunks of rows."""

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxmem.data import Dataset
from jaxmem.data.neighbours import Neighbours, alike, duplicate_groups
from jaxmem.errors import InputError
from jaxmem.estimates.agreement import (
    Agreement,
    influence_agreement,
    memorization_agreement,
)
from jaxmem.estimates.bits import Words
from jaxmem.estimates.links import Links, pair_counts
from jaxmem.estimates.overview import Overview, Side
from jaxmem.estimates.results import Run
from jaxmem.estimates.statistics import interval
from jaxmem.reporting.parts import pack
from jaxmem.reporting.sheets import GUTTER, SHEET, plan_thumbnails, sheets
from jaxmem.reporting.summary import Summary
from jaxmem.reporting.words import facts, lead, title

ROWS = 8192  # examples a chunk
PAIRS = 50_000  # the strongest, of which the page has a list
GROUPS = 10_000  # of duplicates
FEATURES = 24  # of rows of numbers, the first ones
THRESHOLDS = np.arange(1, 20) / 20  # at which two runs are compared


class Thresholds(NamedTuple):
    """From where on an example is memorized, and a pair one of high influence."""

    mem: float = 0.25
    infl: float = 0.15


def check_data(run: Run, data: Dataset) -> None:
    """Raises InputError, saying how many, where examples are not those of the run."""
    for split, ids, labels, there in (
        ("training", run.tr_ids, run.tr_labels, data.train),
        ("test", run.tt_ids, run.tt_labels, data.test),
    ):
        if ids.size != there.ids.size:
            problem = f"{there.ids.size:,} {split} examples, the run {ids.size:,}"
        elif (differ := int((ids != there.ids).sum())) > 0:
            problem = f"{differ:,} of {ids.size:,} {split} examples that the run has not"
        elif (differ := int((labels != there.labels).sum())) > 0:
            problem = f"other labels of {differ:,} of {ids.size:,} {split} examples"
        else:
            continue
        raise InputError(
            f"{data.name} are not the data that {run.workdir} was trained on: they have "
            f"{problem}; give the run's"
        )


class Contents(NamedTuple):
    """All that a report carries, but for how it is written."""

    shown: Overview
    summary: Summary
    thresholds: Thresholds
    data: Dataset | None = None  # None: without pictures
    notes: tuple[str, ...] = ()  # warnings beside the summary's
    other: Run | None = None  # compared with
    decisions: tuple[tuple[int, str, str], ...] = ()  # row, decision, new label
    near: dict[str, Neighbours] | None = None  # where it is known already

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """(name, bytes) of every part; "core" comes first."""
        near = self.near
        if near is None and self.data is not None:
            near = alike(self.data)
        yield "core", self._core(near)
        for split in ("train", "test"):
            yield from self._chunks(split, near[split] if near else None)
        if self.data is None:
            return
        plan = plan_thumbnails(self.data.train.images, self.data.test.labels.size)
        if plan is not None:
            for split in ("train", "test"):
                images = getattr(self.data, split).images
                for number, sheet in enumerate(sheets(images, plan)):
                    yield f"sheet-{split}-{number}", sheet

    def _core(self, near: dict[str, Neighbours] | None) -> bytes:
        shown, run, pairs = self.shown, self.shown.run, self.shown.pairs
        groups = duplicate_groups(run.tr_ids, run.tt_ids)
        kept = slice(PAIRS)
        included, correct = map(Words.of, run.packed())
        counts = pair_counts(included, correct, pairs.tr_idx[kept], pairs.tt_idx[kept])
        pair_low, pair_high = interval(counts)
        # A browser keeps apart what was made of other decisions.
        decided = zlib.crc32(repr(self.decisions).encode())
        meta: dict[str, Any] = {
            "title": title(shown),
            "key": f"jaxmem-{run.config.data}-{decided:08x}",
            "lead": lead(shown, *self.thresholds),
            "facts": [
                fact._asdict() for fact in facts(shown, self.summary, *self.thresholds)
            ],
            "warnings": [*self.summary.warnings, *self.notes],
            "thresholds": self.thresholds._asdict(),
            "sizes": {"train": run.tr_labels.size, "test": run.tt_labels.size},
            "chunk": ROWS,
            "classes": list(run.all_class_names),
            "named": bool(run.class_names),
            "says": shown.train.votes is not None,
            "harmful": shown.train.harmed is not None,
            "pairs": pairs.infl.size,
            "sameClass": shown.same_class_only,
            "pictures": self._pictures(),
            "features": self._features(),
            "groups": groups[:GROUPS],
            "near": near is not None,
            "decisions": self.decisions,
            "compare": self._compare(),
        }
        arrays = {
            "mem": run.memorization,
            # By the float64 estimates: the page's are float32.
            "memorized": (run.memorization >= self.thresholds.mem).astype(np.uint8),
            "low": shown.low,
            "high": shown.high,
            **{f"train_{k}": v for k, v in _said(shown.train, run.tr_labels).items()},
            **{f"test_{k}": v for k, v in _said(shown.test, run.tt_labels).items()},
            "duplicate": self._duplicates(groups, near),
            "suspects": shown.suspects.astype(np.uint32),
            "pair_train": pairs.tr_idx[kept].astype(np.uint32),
            "pair_test": pairs.tt_idx[kept].astype(np.uint32),
            "pair_infl": pairs.infl[kept],
            "pair_low": pair_low,
            "pair_high": pair_high,
            "pair_discovery": (pairs.infl_p[kept] <= shown.pairs_level).astype(np.uint8),
        }
        if shown.margin is not None:
            arrays["margin"] = shown.margin.astype(np.float32)
        if self.other is not None:
            arrays["other_mem"] = self.other.memorization
            memorized = self.other.memorization >= self.thresholds.mem
            arrays["other_memorized"] = memorized.astype(np.uint8)
            low, high = self.other.memorization_interval()
            arrays |= {"other_low": low, "other_high": high}
        return pack(meta, arrays, _fractions(arrays))

    def _pictures(self) -> dict[str, Any] | None:
        if self.data is None:
            return None
        plan = plan_thumbnails(self.data.train.images, self.data.test.labels.size)
        return plan and {**plan._asdict(), "sheet": SHEET, "gutter": GUTTER}

    def _features(self) -> list[str] | None:
        """Names of the features that are shown, of rows of numbers."""
        if self.data is None or self._pictures():
            return None
        names = self.data.feature_names
        count = self.data.train.images.shape[2]
        return [names[k] if names else f"feature {k}" for k in range(min(count, FEATURES))]

    def _duplicates(self, groups, near: dict[str, Neighbours] | None) -> np.ndarray:
        """Of training examples, bits uint8 [N]: 1 twice in train, 2 in test, 4 nearly."""
        bits = np.zeros(self.shown.run.tr_labels.size, np.uint8)
        for train, test in groups:
            bits[train] |= (len(train) > 1) | 2 * bool(test)
        if near is not None:
            alike = near["train"].near(near["train"].typical).any(axis=1)
            bits[alike & (bits & 1 == 0)] |= 4
        return bits

    def _compare(self) -> dict[str, Any] | None:
        if self.other is None:
            return None
        run, other = self.shown.run, self.other
        return {
            "names": [_name(run), _name(other)],
            "mem": _curves(memorization_agreement(run, other, THRESHOLDS)),
            "infl": _curves(
                influence_agreement(run, other, THRESHOLDS, self.thresholds.mem)
            ),
        }

    def _chunks(self, split: str, near: Neighbours | None) -> Iterator[tuple[str, bytes]]:
        run = self.shown.run
        side: Side = getattr(self.shown, split)
        first = "tr" if split == "train" else "tt"
        names, ids = getattr(run, f"{first}_names"), getattr(run, f"{first}_ids")
        numbered = np.array_equal(names, np.arange(names.size).astype("U"))
        for number, start in enumerate(range(0, ids.size, ROWS)):
            rows = slice(start, start + ROWS)
            meta = {
                "names": None if numbered else names[rows].tolist(),
                "ids": ids[rows].tolist(),
            }
            arrays: dict[str, np.ndarray] = {}
            if side.votes is not None:
                arrays["vote_label"] = side.votes.label[rows].astype(np.uint16)
                arrays["vote_share"] = side.votes.share[rows]
            for kind, links in (("helped", side.helped), ("harmed", side.harmed)):
                if links is not None:
                    arrays |= _links(kind, Links(*(values[rows] for values in links)))
            if near is not None:
                arrays["near"] = near.index[rows].astype(np.int32)
                arrays["distance"] = near.distance[rows]
            if self._features():
                values = getattr(self.data, split).images[rows, 0, :FEATURES, 0]
                arrays["values"] = values.astype(np.float32)
            yield f"{split}-{number}", pack(meta, arrays, _fractions(arrays))


def _said(side: Side, labels: np.ndarray) -> dict[str, np.ndarray]:
    """What the page filters and sorts by: label, accuracy, and what held-out models say."""
    arrays = {"label": labels.astype(np.uint16), "accuracy": side.accuracy}
    if side.votes is not None:
        arrays["said"] = side.votes.label[:, 0].astype(np.uint16)
        arrays["share"] = side.votes.share[:, 0]
    return arrays


def _links(kind: str, links: Links) -> dict[str, np.ndarray]:
    return {
        f"{kind}_index": links.index.astype(np.int32),
        f"{kind}_infl": links.infl,
        f"{kind}_low": links.low,
        f"{kind}_high": links.high,
        f"{kind}_discovery": links.discovery.astype(np.uint8),
    }


def _fractions(arrays: dict[str, np.ndarray]) -> tuple[str, ...]:
    """What is in [-3, 3], float64 as estimates are."""
    return tuple(name for name, array in arrays.items() if array.dtype == np.float64)


def _curves(agreement: Agreement) -> dict[str, list]:
    """J and D by threshold, as JSON has them."""
    columns = agreement._asdict().items()
    return {
        name: [float(x) if np.isfinite(x) else None for x in values]
        for name, values in columns
    }


def _name(run: Run) -> str:
    return f"{run.workdir.name} ({run.config.model})"
