"""What trials compute, apart from their numbers; and the data that they compute it on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.models import Model
from jaxmem.models.contract import PyTree
from jaxmem.training.batches import (
    Batching,
    steps_per_epoch,
)
from jaxmem.training.fitting import Learner
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.keys import Fixed
from jaxmem.training.outcomes import DYNAMICS
from jaxmem.training.subsets import SubsetRule


class Job(NamedTuple):
    """What a trial computes, apart from the data and the root key."""

    learner: Learner
    batching: Batching
    subsets: SubsetRule
    num_classes: int
    quantities: tuple[str, ...]  # of `outcomes.QUANTITIES`
    first_steps: int | None = None  # of each epoch, to time them; None: all
    fix: tuple[Fixed, ...] = ()  # what all trials share
    queries: tuple[str, ...] = ()  # of `queries.QUERIES`, about the training examples

    @property
    def steps(self) -> int:
        """How many an epoch has."""
        return min(self.learner.steps, self.first_steps or self.learner.steps)

    def drawn_by(self, what: Fixed, trial: jax.Array) -> jax.Array:
        """The trial by whose key something is drawn: of what is fixed, the first."""
        return jnp.zeros_like(trial) if what in self.fix else trial

    @property
    def probabilities(self) -> bool:
        """Whether class probabilities are wanted."""
        return "held_out_probability" in self.quantities

    @property
    def dynamics(self) -> bool:
        """Whether what training shows of each example is wanted."""
        return not DYNAMICS.isdisjoint(self.quantities)

    def bound(self, data: "Arrays") -> "Job":
        """With the parameters that all trials share, as they lie on the devices."""
        shared = self.learner.model.shared
        if shared is None:
            return self
        model = shared.bind(data.shared)
        return self._replace(learner=self.learner._replace(model=model))


class Arrays(NamedTuple):
    """The part of a Dataset that lies on the devices.

    Where images stay on the host, the first one alone is here, for its shape.
    """

    train_images: jax.Array  # [N, H, W, C], uint8 or float32
    train_labels: jax.Array  # int32 [N]
    test_images: jax.Array  # [E, H, W, C]
    test_labels: jax.Array  # int32 [E]
    masks: jax.Array | None = None  # bits of given subsets, uint8 [T, ceil(N / 8)]
    shared: PyTree = None  # frozen parameters
    groups: jax.Array | None = None  # each training example's, int32 [N]

    @classmethod
    def of(
        cls,
        data: Dataset,
        masks: np.ndarray | None = None,
        with_images: bool = True,
        groups: np.ndarray | None = None,
    ) -> "Arrays":
        """The arrays of a dataset, still in NumPy."""
        train, test = data.train, data.test
        rows = slice(None) if with_images else slice(1)
        images = train.images[rows], test.images[rows]
        arrays = images[0], train.labels, images[1], test.labels, masks
        # They are JAX's once they are on devices.
        return cls(*arrays, groups=groups)  # type: ignore[arg-type]


def make_job(
    model: Model,
    recipe: Recipe,
    batching: Batching,
    subsets: SubsetRule,
    num_classes: int,
    quantities: tuple[str, ...] = (),
    fix: tuple[Fixed, ...] = (),
    queries: tuple[str, ...] = (),
) -> Job:
    """The job of training a model on subsets.

    Raises InputError if a batch is larger than the subset, or the warm-up the training.
    """
    if recipe.batch_size > subsets.size:
        raise InputError(
            f"batch size {recipe.batch_size} is larger than the subset of {subsets.size} "
            f"examples; give --batch-size={subsets.size} or less"
        )
    steps = steps_per_epoch(batching, subsets.n, subsets.size, recipe.batch_size)
    if recipe.warmup_steps(steps) >= recipe.epochs * steps:
        raise InputError(
            f"warmup {recipe.warmup:g} is all of the {recipe.epochs * steps} steps of "
            f"{recipe.epochs} epochs; give a shorter --warmup, or more --epochs"
        )
    learner = Learner(model, recipe, steps)
    return Job(
        learner, batching, subsets, num_classes, quantities, fix=fix, queries=queries
    )
