"""What trials may share, so that one source of noise is told from another."""

import jax
import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.models import MODELS, Spec
from jaxmem.training.batches import BATCHINGS
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import Arrays, make_job
from jaxmem.training.keys import root_key
from jaxmem.training.subsets import SubsetRule
from jaxmem.training.trial import draw_batches, init_trial


@pytest.fixture
def job(tiny):
    """f(fix, batching) -> job, data and root key."""
    data = Arrays(*map(jax.numpy.asarray, Arrays.of(tiny)[:4]))
    recipe = Recipe(batch_size=8, epochs=2, hidden=(5,))

    def make(fix, batching="packed"):
        model = MODELS["mlp"](Spec(3, recipe.hidden))
        made = make_job(model, recipe, batching, SubsetRule(61, 40), 3, fix=fix)
        return made, data, root_key(0)

    return make


def kernels(state):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.params)])


def test_initial_parameters_are_those_of_the_first_trial(job):
    free, fixed = (
        [kernels(init_trial(*job(fix), np.int32(trial))) for trial in (0, 1, 20)]
        for fix in ((), ("init",))
    )
    assert not np.array_equal(free[0], free[1])
    for state in fixed:
        np.testing.assert_array_equal(state, free[0])


@pytest.mark.parametrize("batching", BATCHINGS)
def test_order_is_one_of_all_examples(job, batching):
    """From which falls out what a trial does not see."""
    made, data, root = job(("order",), batching)
    walks = []
    for trial in map(np.int32, (0, 3, 40)):
        subset = made.subsets.draw(root, trial)
        batches = draw_batches(made, data, root, trial, subset, np.int32(1))
        seen = np.asarray(batches.weight) > 0
        walks.append(np.asarray(batches.index)[seen].tolist())
        assert sorted(walks[-1]) == np.flatnonzero(subset[1]).tolist()
    for walk in walks[1:]:
        both = set(walk) & set(walks[0])
        assert [row for row in walk if row in both] == [
            row for row in walks[0] if row in both
        ]
    assert len({tuple(walk) for walk in walks}) == 3  # subsets still differ


def test_what_is_left_free_decides(tiny, tiny_recipe, tmp_path):
    """On one subset, with both fixed, trials are the same; with one, they are not."""
    masks = np.tile(np.arange(61) % 3 > 0, (2, 1))
    losses = {}
    for fix in ("init,order", ["order"]):
        flags = {**tiny_recipe, "masks": masks, "fix": fix}
        run = jaxmem.run_trials(tiny, workdir=tmp_path / str(fix), **flags)
        losses[str(fix)] = run.final_loss
        assert run.config.fix == tuple(fix.split(",") if isinstance(fix, str) else fix)
    assert losses["init,order"][0] == losses["init,order"][1]
    assert losses["['order']"][0] != losses["['order']"][1]
    with pytest.raises(InputError, match="what trials share"):
        jaxmem.run_trials(tiny, workdir=tmp_path / "init,order", masks=masks, **tiny_recipe)
    with pytest.raises(InputError, match="unknown fix 'subset'; known: init, order"):
        jaxmem.run_trials(tiny, 4, fix="subset", **tiny_recipe)
