"""Models and states in flight of several processes on one workdir."""

import shutil

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


def test_what_another_is_replacing_is_passed_over(tmp_path, monkeypatch, capsys):
    """Our own states stay, and are taken up; only our own are removed when damaged."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    trials = np.array([4, 5], np.int32)
    for name, steps in (("worker-0", 3), ("worker-1", 8)):
        TrainingOnDisk(tmp_path, name).steps_done(trials, steps, states(steps))
    theirs = tmp_path / "in_flight" / "worker-1" / "1"
    shutil.rmtree(theirs / "model")
    ours = TrainingOnDisk(tmp_path, "worker-0")
    assert ours.load(trials, states(0))[0] == 3
    shutil.rmtree(theirs / "about")
    assert ours.load(trials, states(0))[0] == 3
    assert theirs.exists() and "damaged" not in capsys.readouterr().err
    shutil.rmtree(tmp_path / "in_flight" / "worker-0" / "1" / "about")
    assert ours.load(trials, states(0)) is None and "damaged" in capsys.readouterr().err
    ours.steps_done(trials, 4, states(4))
    assert ours.load(trials, states(0))[0] == 4


def test_states_of_another_machine_are_not_taken_up(tmp_path, monkeypatch):
    """They would be stored as trained here, and other machines round otherwise."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    trials = np.array([4, 5], np.int32)
    TrainingOnDisk(tmp_path).steps_done(trials, 3, states(3))
    assert TrainingOnDisk(tmp_path).load(trials, states(0))[0] == 3
    monkeypatch.setattr(checkpoints, "rounding", lambda: "8 x gpu, jax 0.1")
    assert TrainingOnDisk(tmp_path).load(trials, states(0)) is None


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
