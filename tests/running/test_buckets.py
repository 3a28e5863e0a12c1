"""Workdirs in buckets are those in folders, bit for bit."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest
from runs import LIKE, assert_same

import jaxmem
from jaxmem import InputError, audit, estimate, predict, report, run
from jaxmem._shared import object_locks, objects
from jaxmem.running import planning
from jaxmem.storage import appending, checkpoints
from jaxmem.storage.appending import Appends
from jaxmem.storage.checkpoints import KeptModels, TrainingOnDisk
from jaxmem.storage.masks import read_masks, write_masks
from jaxmem.storage.shares import Share
from jaxmem.storage.workdir import last_one_out, left_in_flight, locked, setting_up
from jaxmem.training.ensemble import Plan
from jaxmem.training.fitting import TrainState


@pytest.fixture(params=["s3", "gcs"])
def bucket(request):
    return request.getfixturevalue(request.param)


def dead(path):
    """A lock whose owner renews no more."""
    path.write_text('{"owner": "process 7 on node-3", "token": "x", "renewed": 3}')


def test_masks_lie_in_a_bucket(bucket):
    bits = np.arange(24, dtype=np.uint8).reshape(6, 4)
    assert read_masks(bucket) is None
    for count in (3, 6):
        write_masks(bucket, bits[:count])
        np.testing.assert_array_equal(read_masks(bucket), bits[:count])


def test_a_run_is_that_of_a_folder(
    bucket, tiny, tiny_recipe, tmp_path, monkeypatch, capsys
):
    """With kept models, topped up; and all that reads it."""
    flags = {**tiny_recipe, "keep_models": True, "margins": True}
    whole = jaxmem.run_trials(tiny, 10, tmp_path / "whole", **flags)
    for trials in (6, 10):
        found = jaxmem.run_trials(tiny, trials, str(bucket), **flags)
    assert_same(found, whole)
    np.testing.assert_array_equal(found.train_margin, whole.train_margin)
    assert str(found.workdir) == str(bucket)
    assert not (bucket / "in_flight").exists()
    predicted = jaxmem.predict_trials(str(bucket), tiny)
    np.testing.assert_array_equal(predicted.trials, np.arange(10))
    np.testing.assert_array_equal(predicted.test_correct, whole.test_correct)
    rows = {"x_train": tiny.train.images, "y_train": tiny.train.labels}
    np.savez(tmp_path / "d.npz", x_test=rows["x_train"], y_test=rows["y_train"], **rows)
    assert predict.main([str(bucket), f"--dataset={tmp_path / 'd.npz'}"]) == 0
    for folder in (str(bucket), str(tmp_path / "whole")):
        assert estimate.main([folder, "--top=2", "--influence-zarr=class"]) == 0
        assert report.main([folder]) == 0
        assert audit.main([folder, "--resamples=2"]) == 0
        with monkeypatch.context() as patch:
            patch.setattr("jaxmem.reporting.report.LARGEST", 0)
            assert report.main([folder]) == report.main([folder]) == 0  # replaces it
    there = {str(path.relative_to(bucket)) for path in bucket.files()}
    here = {
        path.relative_to(tmp_path / "whole").as_posix()
        for path in (tmp_path / "whole").rglob("*")
        if path.is_file()
    }
    mine = {name for name in here if not name.startswith("models/")}
    assert mine - there == set() and there - here >= {"predictions/d.npz"}
    for name in ("config.json", "plan.json"):
        same = json.loads((tmp_path / "whole" / name).read_text())
        assert json.loads((bucket / name).read_text()) == same
    capsys.readouterr()


KILLED = """
import sys
import jaxmem
from jaxmem.running import planning
from jaxmem.storage import checkpoints
planning.BLOCK_SECONDS, checkpoints.SECONDS = 0, 0  # a round a block, kept after each epoch
data = jaxmem.load_dataset("digits")
flags = {"width": 1, "epochs": 8, "hidden": (16,), "model": "mlp", "keep_models": True}
jaxmem.run_trials(data, 4, sys.argv[1], **flags)
"""


def test_killed_and_run_again(gcs, digits, tmp_path, monkeypatch, capsys):
    """The lock is the dead one's until it is stale; then its states are taken up."""
    command = [sys.executable, "-c", KILLED, str(gcs)]
    flags = "--xla_force_host_platform_device_count=4"
    process = subprocess.Popen(command, env={**os.environ, "XLA_FLAGS": flags})
    deadline = time.monotonic() + 120
    while not (gcs / "in_flight" / "3" / "_CHECKPOINT_METADATA").is_file():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert jaxmem.open_run(str(gcs)).trials.size == 0
    assert f"process {process.pid} on" in (gcs / "lock").read_text()
    steps, load = [], TrainingOnDisk.load

    def loaded(self, *args):
        found = load(self, *args)
        steps.append(found[0] if found else 0)
        return found

    monkeypatch.setattr(TrainingOnDisk, "load", loaded)
    monkeypatch.setattr(object_locks, "STALE", 2.0)
    flags = {"width": 1, "epochs": 8, "hidden": (16,), "model": "mlp"}
    with monkeypatch.context() as patch:
        patch.setattr(planning, "BLOCK_SECONDS", 0)
        resumed = jaxmem.run_trials(digits, 4, str(gcs), keep_models=True, **flags)
    assert "has not renewed its lock" in capsys.readouterr().err
    assert steps[0] > 0
    whole = jaxmem.run_trials(digits, 4, tmp_path, **flags)
    assert_same(resumed, whole)
    predicted = jaxmem.predict_trials(str(gcs), digits)
    np.testing.assert_array_equal(predicted.test_correct, whole.test_correct)
    assert not (gcs / "in_flight").exists()


def test_shares(s3, tiny, tiny_recipe, tmp_path, monkeypatch):
    """Together they are one process; N may change."""
    monkeypatch.setattr("jaxmem.storage.store.CHUNK_TRIALS", 4)
    monkeypatch.setattr("jaxmem.storage.shares.CHUNK_TRIALS", 4)
    monkeypatch.setattr(planning, "make_plan", lambda *_: Plan(4, 1, 1))
    monkeypatch.setattr(planning, "TIMED", {})
    whole = jaxmem.run_trials(tiny, 24, tmp_path, **tiny_recipe)
    for share in ("1/2", "0/3", None):
        found = jaxmem.run_trials(tiny, 24, str(s3), share=share, **tiny_recipe)
    assert_same(found, whole)


def test_who_excludes_whom(s3, monkeypatch):
    """As in a folder (`tests/storage/test_shares.py`)."""
    monkeypatch.setattr(object_locks, "RENEWED", 0.2)
    monkeypatch.setattr(object_locks, "LOOKS", 0.1)
    (s3 / "config.json").write_text("{}")
    with locked(s3, Share(0, 2)), locked(s3, Share(1, 2)):
        for share, said in (
            (Share(0, 2), r"another process trains share 0/2 of"),
            (Share(0, 3), r"is being trained in 2 shares, not 3"),
            (None, "another run is writing"),
        ):
            with pytest.raises(InputError, match=said), locked(s3, share):
                pass
        with last_one_out(s3) as last:
            assert not last
        (s3 / "in_flight" / "share-0-of-2" / "x").write_text("")
        assert left_in_flight(s3, Share(0, 3)) == []
    assert left_in_flight(s3, Share(0, 3)) == ["share-0-of-2"]
    with locked(s3), pytest.raises(InputError, match="another run is writing"):
        with locked(s3, Share(0, 2)):
            pass
    with locked(s3, Share(0, 3)), setting_up(s3):
        pass
    with last_one_out(s3) as last:
        assert last
    monkeypatch.setattr(object_locks, "STALE", 0.5)
    dead(s3 / "locks" / "share-1-of-9")
    with locked(s3, Share(0, 3)):
        pass
    assert not (s3 / "locks" / "share-1-of-9").read_bytes()


def test_a_run_that_lost_its_lock_stops(s3, tiny, tiny_recipe, monkeypatch):
    """What it trained since is not stored."""
    monkeypatch.setattr(object_locks, "RENEWED", 0.05)
    append, trials = Appends.add, []

    def add(self, numbers, *args):
        trials.extend(numbers)
        if len(trials) == 8:
            dead(s3 / "lock")
            time.sleep(0.05)
            while not (s3 / "lock").read_bytes() or not lost():
                time.sleep(0.05)
        append(self, numbers, *args)

    def lost():
        return not any("renew_on" in str(t) for t in threading.enumerate())

    monkeypatch.setattr(Appends, "add", add)
    monkeypatch.setattr(planning, "BLOCK_SECONDS", 0)
    monkeypatch.setattr(planning, "TIMED", {})  # by other tests, in other blocks
    with pytest.raises(InputError, match=r"lost the lock s3://.*process 7 on node-3"):
        jaxmem.run_trials(tiny, 16, str(s3), **tiny_recipe)
    assert trials == list(range(8))
    assert jaxmem.open_run(str(s3)).trials.tolist() == [0, 1, 2, 3]
    assert "process 7" in (s3 / "lock").read_text()


class Store:
    """Remembers what is appended."""

    def __init__(self, workdir):
        self.workdir, self.appended = workdir, []

    def append(self, trials, outcomes, layout):
        self.appended.append((trials, outcomes["a"].tolist(), layout.tolist()))


def test_a_bucket_is_written_to_now_and_then(s3, tmp_path, monkeypatch):
    """A folder at once."""
    now = [0.0]
    monkeypatch.setattr(appending.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(appending, "CHUNK_TRIALS", 4)
    checks = []

    def add(appends, *trials, layout=1):
        appends.add(list(trials), {"a": np.array(trials) * 2}, layout)

    store = Store(tmp_path)
    appends = Appends(store, lambda: None)
    add(appends, 0)
    add(appends, 1, layout=2)
    assert store.appended == [([0], [0], [1]), ([1], [2], [2])]
    store = Store(s3)
    appends = Appends(store, lambda: checks.append(now[0]))
    add(appends, 0)  # the first time, at once
    assert store.appended.pop() == ([0], [0], [1])
    add(appends, 1)
    now[0] = appending.SECONDS
    add(appends, 2, layout=2)
    assert not store.appended
    now[0] += 0.1
    add(appends, 3)
    assert store.appended.pop() == ([1, 2, 3], [2, 4, 6], [1, 2, 1])
    add(appends, 4, 5)
    add(appends, 6)
    assert not store.appended
    add(appends, 7, 8)
    assert store.appended.pop()[0] == [4, 5, 6, 7, 8]
    add(appends, 9)
    appends.flush()
    appends.flush()
    assert store.appended == [([9], [18], [1])] and checks


def states(value, count=2):
    """Of so many models, all numbers the same."""
    full = jax.tree.map(lambda a: np.full((count, *a.shape), value, a.dtype), LIKE)
    return TrainState(full["params"], full["model_state"], None, full["scaling"])


def test_states_in_flight(bucket, monkeypatch):
    """The newest of each writer; any writer takes up those of any, also in part copied."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    trials = np.array([4, 5], np.int32)
    writers = {name: TrainingOnDisk(bucket, name) for name in ("worker-0", "worker-1")}
    for name, steps in (("worker-0", 3), ("worker-1", 5), ("worker-1", 8)):
        writers[name].steps_done(trials, steps, states(steps))
    folder = bucket / "in_flight" / "worker-1"
    assert [path.name for path in folder.iterdir()] == ["2"]
    other = TrainingOnDisk(bucket, "worker-2")
    steps, found = other.load(trials, states(0))
    assert steps == 8 and all((leaf == 8).all() for leaf in jax.tree.leaves(found))
    (folder / "2" / "_CHECKPOINT_METADATA").unlink()
    assert other.load(trials, states(0))[0] == 3
    writers["worker-1"].remove()
    writers["worker-0"].remove()
    assert other.load(trials, states(0)) is None and not (bucket / "in_flight").exists()


def test_kept_models(bucket):
    """Who trains a block again replaces its own."""
    kept = KeptModels(bucket)
    kept.save([0, 1], states(1.0))
    kept.save([2], states(2.0, 1))
    again = KeptModels(bucket)
    again.save([0, 1], states(3.0))
    assert again.trials().tolist() == [0, 1, 2]
    found = {
        trial: block["params"]["Dense_0"]["bias"][place, 0]
        for trials, block in again.blocks(LIKE)
        for place, trial in enumerate(trials.tolist())
    }
    assert found == {0: 3.0, 1: 3.0, 2: 2.0}
    assert len(list((bucket / "models").iterdir())) == 2


def test_a_lost_chunk_is_trained_again(s3, tiny, tiny_recipe, capsys):
    """A server that is away is no damage."""
    whole = jaxmem.run_trials(tiny, 4, str(s3), **tiny_recipe)
    (s3 / "trials.zarr" / "included" / "c" / "0" / "0").write_bytes(b"what is this")
    again = jaxmem.run_trials(tiny, 4, str(s3), **tiny_recipe)
    assert "is damaged: included (unreadable) of trials 0" in capsys.readouterr().err
    assert_same(again, whole)


@pytest.fixture
def forbidding(monkeypatch):
    """A server that lets nobody in, of both kinds."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>"
            if "/storage/v1/" in self.path:
                body = b'{"error": {"code": 403, "message": "No."}}'
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, address)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    yield
    server.shutdown()
    server.server_close()


def said_by(command, capsys, *arguments):
    """The line with which a command ends that does not work."""
    assert command.main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and err.startswith("jaxmem: "), err
    return err


FLAGS = ("--trials=4", "--epochs=1", "--width=1")


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_without_credentials(forbidding, capsys, scheme):
    url = f"{scheme}://not-ours/run"
    said = said_by(run, capsys, *FLAGS, f"--workdir={url}")
    assert f"cannot write to {url}: PERMISSION_DENIED" in said and "No." in said
    said = said_by(estimate, capsys, url)
    assert f"cannot read {url}: PERMISSION_DENIED" in said


def test_a_bucket_that_does_not_exist(bucket, capsys):
    url = f"{bucket.parts[0]}//no-such-bucket/run"
    said = said_by(run, capsys, *FLAGS, f"--workdir={url}")
    assert f"cannot write to {url}: NOT_FOUND: " in said
    # TensorStore says of what is not there in Cloud Storage that it is empty.
    why = "The specified bucket does not exist" if "s3" in url else "holds no jaxmem run"
    assert why in said_by(estimate, capsys, url)


def test_a_server_that_is_away(s3, capsys, monkeypatch):
    monkeypatch.setattr(objects, "RETRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert f"cannot read {s3}: ABORTED: " in said_by(report, capsys, str(s3))


def test_strangers_are_left_alone(s3, capsys):
    (s3 / "theirs" / "file").write_text("")
    said = said_by(run, capsys, *FLAGS, f"--workdir={s3}")
    assert f"{s3} holds other files (theirs, …) and no jaxmem run" in said


def test_adopting_needs_a_folder(tmp_path):
    ones = np.ones((2, 3), bool)
    with pytest.raises(InputError, match="s3://bucket/run is a URL; give a folder"):
        jaxmem.adopt_trials("s3://bucket/run", ones, ones, ones)
