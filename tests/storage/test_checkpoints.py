"""Final models and trainings in flight, through Orbax."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from runs import LIKE

import jaxmem
from jaxmem import InputError, predict
from jaxmem.storage.checkpoints import KeptModels


@pytest.fixture
def kept(tiny, tiny_recipe, tmp_path):
    return jaxmem.run_trials(tiny, 10, tmp_path / "kept", keep_models=True, **tiny_recipe)


def test_predictions_on_the_same_test_set_are_the_outcomes(kept, tiny):
    again = jaxmem.predict_trials(kept.workdir, tiny)
    np.testing.assert_array_equal(again.trials, np.arange(10))
    np.testing.assert_array_equal(again.test_correct, kept.test_correct)
    np.testing.assert_allclose(again.test_accuracy, kept.test_accuracy, rtol=1e-6)
    np.testing.assert_array_equal(again.influence([3]), kept.influence([3]))


def test_influence_on_new_examples(kept, tiny):
    """Those of the training set, as if they were new: infl(i, i) is mem(i)."""
    new = tiny._replace(name="new", test=tiny.train)
    run = jaxmem.predict_trials(kept.workdir, new)
    np.testing.assert_array_equal(run.test_correct, kept.train_correct)
    infl = run.influence(np.arange(61))
    np.testing.assert_array_equal(np.diagonal(infl), kept.memorization)
    np.testing.assert_array_equal(run.tt_ids, tiny.train.ids)


def test_top_up_keeps_the_new_models_too(kept, tiny, tiny_recipe):
    jaxmem.run_trials(tiny, 13, kept.workdir, keep_models=True, **tiny_recipe)
    run = jaxmem.predict_trials(kept.workdir, tiny)
    assert run.trials.size == 13
    whole = jaxmem.open_run(kept.workdir)
    np.testing.assert_array_equal(run.test_correct, whole.test_correct)
    # Trials without a model are left out.
    jaxmem.run_trials(tiny, 15, kept.workdir, **tiny_recipe)
    assert jaxmem.predict_trials(kept.workdir, tiny).trials.size == 13


def test_features_are_what_the_last_layer_is_given(kept, tiny):
    """The last layer on the features is the network."""
    features = jaxmem.extract_features(kept.workdir, tiny, trial=7)
    assert features.train.images.shape == (61, 1, 5, 1)
    for _, block in KeptModels(kept.workdir).blocks(LIKE):
        params = block["params"]
    last = {name: values[7] for name, values in params["Dense_1"].items()}
    for examples, correct in (
        (features.train, kept.train_correct),
        (features.test, kept.test_correct),
    ):
        logits = examples.images.reshape(-1, 5) @ last["kernel"] + last["bias"]
        np.testing.assert_array_equal(logits.argmax(1) == examples.labels, correct[7])
    with pytest.raises(InputError, match="kept no model of trial 10"):
        jaxmem.extract_features(kept.workdir, tiny, trial=10)


def test_predict_command(kept, tiny, tmp_path, capsys):
    path = tmp_path / "new.npz"
    np.savez(
        path,
        x_train=tiny.train.images,
        y_train=tiny.train.labels,
        x_test=tiny.train.images[:20],
        y_test=tiny.train.labels[:20],
    )
    assert predict.main([str(kept.workdir), f"--dataset={path}"]) == 0
    assert "test examples          20" in capsys.readouterr().out
    with np.load(kept.workdir / "predictions" / "new.npz") as file:
        correct = np.unpackbits(file["test_correct"], axis=1, count=20).astype(bool)
        np.testing.assert_array_equal(correct, kept.train_correct[:, :20])
        assert file["tt_ids"].tolist() == tiny.train.ids[:20].tolist()


def test_what_cannot_be_predicted(kept, tiny, tiny_recipe, tmp_path, capsys):
    plain = jaxmem.run_trials(tiny, 4, tmp_path / "plain", **tiny_recipe)
    with pytest.raises(InputError, match="kept no models: train it with --keep-models"):
        jaxmem.predict_trials(plain.workdir, tiny)
    images = np.zeros((3, 5, 4), np.uint8)
    other = jaxmem.make_dataset("other", images, [0, 1, 2], images, [0, 1, 2])
    with pytest.raises(InputError, match=r"shape \(5, 4, 1\); the models .* \(4, 4, 1\)"):
        jaxmem.predict_trials(kept.workdir, other)
    images = images[:, :4]
    more = jaxmem.make_dataset("more", images, [0, 1, 2], images, [0, 1, 3], 4)
    with pytest.raises(InputError, match=r"label 3; the models .* know 3 classes"):
        jaxmem.predict_trials(kept.workdir, more)
    assert predict.main([str(tmp_path / "none"), "--dataset=digits"]) == 2
    assert "holds no jaxmem run" in capsys.readouterr().err


LONG = """
import sys, time
from jaxmem.storage import checkpoints as kept
from jaxmem import load_dataset
from jaxmem.running import planning
from jaxmem import run_trials
planning.BLOCK_SECONDS, kept.SECONDS = 0, 0  # one round a block, kept after every epoch
load = kept.TrainingOnDisk.load
def said(*args):
    found = load(*args)
    print("from step", found[0] if found else 0, flush=True)
    return found
kept.TrainingOnDisk.load = said
run_trials(
    load_dataset("digits"),
    4,
    sys.argv[1],
    placement=sys.argv[2],
    width=2,
    epochs=25,
    hidden=(16,),
    model="mlp",
)
"""
ONE_DEVICE = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}


@pytest.mark.parametrize("placement", ["device", "host"])
def test_killed_in_flight_resumes_from_there_with_the_same_result(tmp_path, placement):
    """Fed from the host, the bits are those of the device, and of one device."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-c", LONG, killed, placement]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (killed / "in_flight" / "3").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert jaxmem.open_run(killed).trials.size == 0

    def finish(workdir, placement, env=None):
        command = [sys.executable, "-c", LONG, workdir, placement]
        out = subprocess.run(
            command, check=True, capture_output=True, text=True, env=env
        ).stdout
        assert not (workdir / "in_flight").exists()
        return int(out.split()[2]), jaxmem.open_run(workdir)

    step, resumed = finish(killed, placement)
    zero, uninterrupted = finish(whole, "device", ONE_DEVICE)
    assert step >= 3 * 16 and zero == 0
    for name in ("included", "train_correct", "test_correct", "final_loss"):
        np.testing.assert_array_equal(
            getattr(resumed, name), getattr(uninterrupted, name), err_msg=name
        )


def test_killed_between_a_model_and_its_trial(tiny, tiny_recipe, tmp_path, monkeypatch):
    """Models were kept, trials not: the same command trains and keeps them again."""
    whole = jaxmem.run_trials(tiny, 6, tmp_path / "whole", keep_models=True, **tiny_recipe)
    flags = {"keep_models": True, **tiny_recipe}

    class Killed(Exception):
        pass

    def append(*_):
        raise Killed

    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr("jaxmem.storage.store.TrialStore.append", append)
            jaxmem.run_trials(tiny, 6, tmp_path / "killed", **flags)
    run = jaxmem.run_trials(tiny, 6, tmp_path / "killed", **flags)
    np.testing.assert_array_equal(run.test_correct, whole.test_correct)
    predicted = jaxmem.predict_trials(run.workdir, tiny)
    np.testing.assert_array_equal(predicted.test_correct, whole.test_correct)
    assert len(list((run.workdir / "models").iterdir())) == 1  # nothing twice


def test_damaged_states_in_flight_are_trained_anew(tiny, tiny_recipe, tmp_path, capsys):
    folder = tmp_path / "run" / "in_flight" / "1"
    whole = jaxmem.run_trials(tiny, 4, tmp_path / "whole", **tiny_recipe)
    jaxmem.run_trials(tiny, 1, tmp_path / "run", **tiny_recipe)
    (folder / "about").mkdir(parents=True)
    (folder / "about" / "metadata").write_text("{")
    (folder / "_CHECKPOINT_METADATA").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxmem.running.planning.BLOCK_SECONDS", 0)
        run = jaxmem.run_trials(tiny, 4, tmp_path / "run", **tiny_recipe)
    np.testing.assert_array_equal(run.test_correct, whole.test_correct)


def test_classes_of_a_new_file_are_the_models(tiny, tiny_recipe, tmp_path, capsys):
    """By name, also where the file lacks one."""
    names = np.array(["cat", "dog", "fox"])
    images = tiny.train.images, tiny.test.images
    labels = [names[split.labels] for split in (tiny.train, tiny.test)]
    data = jaxmem.make_dataset("named", images[0], labels[0], images[1], labels[1])
    run = jaxmem.run_trials(data, 4, tmp_path / "run", keep_models=True, **tiny_recipe)
    assert run.class_names == ("cat", "dog", "fox")
    few = labels[0] != "cat"
    path = tmp_path / "new.npz"
    split = images[0][few], labels[0][few]
    np.savez(path, x_train=split[0], y_train=split[1], x_test=split[0], y_test=split[1])
    assert predict.main([str(run.workdir), f"--dataset={path}"]) == 0
    with np.load(run.workdir / "predictions" / "new.npz") as file:
        correct = np.unpackbits(file["test_correct"], axis=1, count=few.sum()).view(bool)
    np.testing.assert_array_equal(correct, run.train_correct[:, few])
    alone = jaxmem.make_dataset("alone", *split, *split)
    with pytest.raises(InputError, match="alone has the classes dog, fox, "):
        jaxmem.predict_trials(run.workdir, alone)
