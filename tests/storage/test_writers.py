"""Models and states in flight of several processes on one workdir."""

import jax
import numpy as np
from runs import LIKE

from jaxmem.storage import checkpoints
from jaxmem.storage.checkpoints import KeptModels, TrainingOnDisk
from jaxmem.training.fitting import TrainState


def states(value, count=2):
    """Of so many models, all numbers the same."""
    full = jax.tree.map(lambda a: np.full((count, *a.shape), value, a.dtype), LIKE)
    return TrainState(full["params"], full["model_state"], None, full["scaling"])


def test_another_worker_takes_up_a_training(tmp_path, monkeypatch):
    """Of the very trials, where it came furthest; and nobody removes what is another's."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    trials = np.array([4, 5], np.int32)
    for name, steps in (("worker-0", 3), ("worker-1", 8), ("worker-2", 5)):
        TrainingOnDisk(tmp_path, name).steps_done(trials, steps, states(steps))
    other = TrainingOnDisk(tmp_path, "worker-3")
    steps, found = other.load(trials, states(0))
    assert steps == 8
    assert all((leaf == 8).all() for leaf in jax.tree.leaves(found))
    assert other.load(trials + 1, states(0)) is None
    TrainingOnDisk(tmp_path, "worker-1").remove()
    assert other.load(trials, states(0))[0] == 5
    TrainingOnDisk(tmp_path).remove()  # the run's end
    assert not (tmp_path / "in_flight").exists()


def test_the_newest_model_of_a_trial_counts(tmp_path):
    first, second = (KeptModels(tmp_path, name) for name in ("worker-9", "worker-1"))
    first.save([0, 1], states(1.0))
    second.save([1, 2], states(2.0))
    first.save([3], states(3.0, 1))
    whole = KeptModels(tmp_path)
    assert whole.trials().tolist() == [0, 1, 2, 3]
    model = {}
    for trials, block in whole.blocks(LIKE):
        for place, trial in enumerate(trials.tolist()):
            model[trial] = block["params"]["Dense_0"]["bias"][place, 0]
    assert model == {0: 1.0, 1: 2.0, 2: 2.0, 3: 3.0}
    # Who trains a block again replaces its own.
    second.save([1, 2], states(4.0))
    assert len(list(whole.blocks(LIKE))) == 3
