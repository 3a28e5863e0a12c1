"""Everything that decides what the trials of a workdir compute and store."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jaxmem._shared.arguments import number, whole
from jaxmem._shared.files import read_json, write_json
from jaxmem.errors import InputError
from jaxmem.storage.parsing import parsed
from jaxmem.storage.schema import SCHEMA, Quantity, Sizes
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.keys import Fixed
from jaxmem.training.queries import query_views
from jaxmem.training.subsets import SubsetRule, subset_size
from jaxmem.version import __version__

FORMAT = 3  # of a workdir; raised whenever older ones cannot be read or resumed
Occasion = Literal["resume", "merge", "time"]
SEEDS = 2**32


class Inputs(NamedTuple):
    """What training inputs are like, so that others can be compared with them."""

    kind: str  # dtype
    low: float
    high: float


# The fields that may differ: in another command on the same workdir, from anywhere; between
# workdirs whose trials become one run's; where a training step takes as long all the same.
MAY_DIFFER: dict[Occasion, frozenset[str]] = {
    "resume": frozenset({"dataset"}),
    "merge": frozenset({"dataset", "sampling", "masks", "seed"}),
    "time": frozenset(
        {"dataset", "data", "test_size", "inputs", "sampling", "masks", "seed"}
        | {"subset_fraction", "subset_size", "fix"}
    ),
}
# Fields that the first workdirs of format 3 lack, with what was done then.
ADDED: dict[str, Any] = {
    "network": None,
    "dynamics": False,
    "groups": None,
    "fix": (),
    "highest_margins": False,
    "queries": (),
}
# What users call a field, where that is not its name.
TERMS = {
    "data": "examples or labels",
    "train_size": "number of training examples",
    "test_size": "number of test examples",
    "num_classes": "number of classes",
    "image_shape": "shape of an example",
    "inputs": "kind or range of the inputs",
    "parameters": "number of the model's parameters",
    "options": "model options",
    "source": "the network's file",
    "start": "given or frozen parameters",
    "margins": "storing margins",
    "probabilities": "storing probabilities",
    "dynamics": "storing learning dynamics",
    "fix": "what trials share",
    "highest_margins": "storing margins against the highest other",
}


class Difference(NamedTuple):
    """What two configurations differ in."""

    term: str  # as users call it
    mine: Any
    other: Any


@dataclasses.dataclass(frozen=True)
class Network:
    """Where a network of the user's came from, and where its training starts."""

    options: tuple[str, ...]  # as "depth=4", sorted
    source: str | None  # SHA-256 of its file
    start: str | None = None  # a hash of given and of frozen parameters


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's results; None: not known of adopted trials.

    Raises InputError where a value is out of range.
    """

    dataset: str  # a name
    data: str  # `Dataset.fingerprint`
    train_size: int  # N
    test_size: int  # E
    num_classes: int  # K
    image_shape: tuple[int, ...] | None
    inputs: Inputs | None
    model: str
    parameters: int | None
    recipe: Recipe | None
    subset_fraction: float | None  # matters through the size, where that does not vary
    subset_size: int | None  # m; None: it varies
    sampling: Literal["uniform", "balanced", "bernoulli", "given"]
    masks: str | None  # a hash of the given subsets
    seed: int | None
    batching: Literal["packed", "masked"] | None
    margins: bool
    probabilities: bool
    network: Network | None = None  # None: one of ours, from its own start
    dynamics: bool = False
    groups: str | None = None  # a hash of each training example's
    fix: tuple[Fixed, ...] = ()  # what all trials share, sorted
    highest_margins: bool = False
    queries: tuple[str, ...] = ()  # of `training.queries`, in its order

    def __post_init__(self):
        for name in ("train_size", "test_size", "num_classes"):
            whole(TERMS[name], getattr(self, name), least=1)
        if self.seed is not None and not 0 <= whole("seed", self.seed) < SEEDS:
            raise InputError(f"seed {self.seed} is outside 0 … 2**32 - 1")
        if self.subset_fraction is not None:
            number("subset fraction", self.subset_fraction, 0, 1)
        if self.recipe is not None:
            self.recipe.validate()
        if self.probabilities and self.subset_size == self.train_size:
            raise InputError(
                "masks that include everything leave no held-out probabilities"
            )

    @property
    def trained(self) -> bool:
        """Whether jaxmem trained the trials; else others did."""
        return self.recipe is not None

    @property
    def subsets(self) -> SubsetRule:
        """How the trials' subsets are drawn; not of adopted trials."""
        n, fraction = self.train_size, self.subset_fraction
        assert fraction is not None  # only adopted trials have none
        size = self.subset_size or subset_size(n, fraction)
        varies = self.subset_size is None
        padded = varies and (self.sampling == "given" or self.groups is not None)
        return SubsetRule(n, size, self.sampling, fraction, n if padded else None)

    @property
    def sizes(self) -> Sizes:
        """How long the axes of its arrays are."""
        excluded = self.subsets.most_excluded if self.probabilities else 0
        copies = len(query_views(self.queries))
        return Sizes(self.train_size, self.test_size, self.num_classes, excluded, copies)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What its trials store, in the order of the schema."""
        rows = SCHEMA.values()
        return tuple(q for q in rows if q.when is None or getattr(self, q.when))

    def identity(self, occasion: Occasion) -> tuple:
        """The values, hashable, of the fields that must not differ on this occasion."""
        found = []
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in MAY_DIFFER[occasion]:
                continue
            if name not in ADDED:
                found.append(value)
            elif value != ADDED[name]:  # default workdirs keep their names
                # With its name: other omitted fields may have the same value.
                found.append(value if name == "network" else (name, value))
        return tuple(found)

    def differences(self, other: "RunConfig", occasion: Occasion) -> list[Difference]:
        """What differs though it must not on this occasion, in the user's terms."""
        same_size = self.subset_size is not None and self.subset_size == other.subset_size
        found = []
        for field in dataclasses.fields(self):
            name, a, b = field.name, getattr(self, field.name), getattr(other, field.name)
            if a == b or name in MAY_DIFFER[occasion]:
                continue
            if name in ("recipe", "network") and None not in (a, b):
                parts = zip(vars(a), vars(a).values(), vars(b).values(), strict=True)
                differ = [part for part in parts if part[1] != part[2]]
                found += [Difference(TERMS.get(n, n), mine, its) for n, mine, its in differ]
            elif not (name == "subset_fraction" and same_size):
                found.append(Difference(TERMS.get(name, name), a, b))
        return [d._replace(term=d.term.replace("_", " ")) for d in found]

    def to_json(self) -> dict[str, Any]:
        """What JSON can write, with the format and the version of jaxmem."""
        values = dataclasses.asdict(self)
        if self.inputs is not None:
            values["inputs"] = self.inputs._asdict()
        for name, before in ADDED.items():
            if values[name] == before:
                del values[name]  # as in the first workdirs
        return {"format": FORMAT, "jaxmem": __version__, **values}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RunConfig":
        """The inverse of `to_json`; raises InputError for what that did not write."""
        values = {k: v for k, v in values.items() if k not in ("format", "jaxmem")}
        values = {**ADDED, "fix": [], **values}
        return parsed(cls, values, "the configuration")


def default_workdir(config: RunConfig) -> Path:
    """runs/<dataset>-<model>-<hash of what decides the results>."""
    text = json.dumps([repr(value) for value in config.identity("resume")])
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    name = f"{config.dataset}-{config.model}-{digest}"
    return Path("runs") / name.replace("/", "-").replace(":", "-")


def write_config(workdir: Path, config: RunConfig) -> None:
    """Write config.json, whole."""
    write_json(workdir / "config.json", config.to_json())


def read_config(workdir: Path) -> RunConfig:
    """A workdir's config.json; raises InputError if it is damaged or of another format."""
    path = workdir / "config.json"
    values = read_json(path)
    known = values.get("format") if isinstance(values, dict) else None
    if known is None:
        raise InputError(f"{path} is no jaxmem configuration")
    if known != FORMAT:
        raise InputError(
            f"{workdir} was written by jaxmem {values.get('jaxmem')} in format {known}; "
            f"this one reads format {FORMAT}. Use that version, or train again in a new "
            "--workdir"
        )
    try:
        return RunConfig.from_json(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
