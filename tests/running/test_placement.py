"""Images on the host, through the public door: runs, kept models, features."""

import re

import numpy as np
import pytest
from runs import assert_same

import jaxmem
from jaxmem import InputError
from jaxmem.running import planning
from jaxmem.training import chunks


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 400)
    monkeypatch.setattr("jaxmem.training.fitting.EVAL_ROWS", (4, 4))


@pytest.fixture
def mapped(tiny, tmp_path):
    """`tiny` as a folder of files that are mapped."""
    for split in ("train", "test"):
        part = getattr(tiny, split)
        np.save(tmp_path / f"x_{split}.npy", part.images)
        np.save(tmp_path / f"y_{split}.npy", part.labels)
    data = jaxmem.load_dataset(tmp_path)
    return data._replace(name="tiny")


@pytest.mark.parametrize("batching", ["packed", "masked"])
def test_a_run_from_the_host_is_the_run_from_the_device(
    mapped, tiny_recipe, tmp_path, batching
):
    how = {"margins": True, "probabilities": True, "keep_models": True, **tiny_recipe}
    host = jaxmem.run_trials(
        mapped, 6, tmp_path / "host", placement="host", batching=batching, **how
    )
    device = jaxmem.run_trials(
        mapped, 6, tmp_path / "device", placement="device", batching=batching, **how
    )
    assert_same(host, device)
    for name in ("train_margin", "test_margin", "held_out_probability", "test_predicted"):
        ours, theirs = (run.reader.read(name, run.trials) for run in (host, device))
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    # Topped up from the other place, it is one run still.
    more = jaxmem.run_trials(
        mapped, 9, host.workdir, placement="device", batching=batching, **how
    )
    whole = jaxmem.run_trials(
        mapped, 9, device.workdir, placement="host", batching=batching, **how
    )
    assert_same(more, whole)
    assert not list(host.workdir.glob("tmp*"))  # probabilities went through a file

    runs = [
        jaxmem.predict_trials(place, mapped, placement)
        for place, placement in ((host.workdir, "host"), (device.workdir, "device"))
    ]
    np.testing.assert_array_equal(runs[0].test_correct, runs[1].test_correct)
    np.testing.assert_array_equal(runs[0].test_correct, whole.test_correct)


def test_given_masks_are_fed_from_the_host(mapped, tiny_recipe, tmp_path):
    masks = np.random.default_rng(0).permuted(np.tile(np.arange(61) < 40, (5, 1)), axis=1)
    runs = [
        jaxmem.run_trials(
            mapped, workdir=tmp_path / place, masks=masks, placement=place, **tiny_recipe
        )
        for place in ("host", "device")
    ]
    assert_same(*runs)
    np.testing.assert_array_equal(runs[0].included, masks)


def test_large_images_stay_on_the_host(monkeypatch, capsys):
    monkeypatch.setattr(planning, "device_memory", lambda: 3 * 2**30)
    assert planning.choose_placement("auto", 2**30) == "device"
    assert not capsys.readouterr().err
    assert planning.choose_placement("auto", 2**30 + 1) == "host"
    assert re.search(r"1\.0 GiB, stay on the host.*3\.0 GiB", capsys.readouterr().err)
    assert planning.choose_placement("device", 2**40) == "device"
    with pytest.raises(InputError, match=r"placement 'disk'.*auto, device, host"):
        planning.choose_placement("disk", 1)


def test_a_wrong_placement_writes_nothing(tiny, tmp_path):
    with pytest.raises(InputError, match="placement 'gpu'"):
        jaxmem.run_trials(tiny, 1, tmp_path / "run", placement="gpu")
    assert not (tmp_path / "run").exists()
