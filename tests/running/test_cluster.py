"""A Ray cluster on loopback: whatever dies, the bits are those of one process."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from runs import assert_same

import jaxmem
from jaxmem import InputError, run
from jaxmem.running import leases
from jaxmem.running.worker import Versions, Worker
from jaxmem.storage.store import TrialStore
from jaxmem.training.ensemble import Plan

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402

from jaxmem.running import actors, cluster  # noqa: E402

NODE = {"num_cpus": 1, "node_ip_address": "127.0.0.2", "object_store_memory": 80 * 2**20}
# Of JAX; what is forked here starts another program at once.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Small(Worker):
    """Not timed: four trials, one after another."""

    def plan(self, width):
        return Plan(1, 1, 4)


class Deadly(Small):
    """Dies of trial 5."""

    def train(self, trials, plan):
        if 5 in trials:
            os._exit(1)
        return super().train(trials, plan)


class Tight(Small):
    """Has no memory for more than one model at a time."""

    def plan(self, width):
        return Plan(1, width, 2)

    def train(self, trials, plan):
        return super().train(trials, plan) if plan.width == 1 else None


@pytest.fixture(scope="module")
def nodes():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Cluster(initialize_head=True, head_node_args=NODE)
    nodes.add_node(**NODE)
    yield nodes
    nodes.shutdown()


@pytest.fixture
def small(nodes, monkeypatch):
    """Leases of four trials, on two nodes."""
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    monkeypatch.setattr(actors, "Worker", Small)
    monkeypatch.setattr(cluster, "lease_size", lambda block, *_: block)
    return nodes


@pytest.fixture
def whole(tiny, tiny_recipe, tmp_path):
    """What one process gives."""
    return jaxmem.run_trials(tiny, 40, tmp_path / "whole", **tiny_recipe)


@pytest.fixture
def after_first(monkeypatch):
    """Calls a function once the first lease is stored."""

    def wait(function):
        append, called = TrialStore.append, []

        def spy(self, *args):
            append(self, *args)
            if not called:
                called.append(function())

        monkeypatch.setattr(TrialStore, "append", spy)

    return wait


def worker_processes():
    """The processes of this test's workers that have begun to train."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words, pid = (path / "cmdline").read_bytes(), int(path.name)
        except OSError:
            continue
        if words.startswith((b"ray::Small", b"ray::Worker", b"ray::Deadly")) and ours(pid):
            found.append(pid)
    return sorted(found)


def ours(pid):
    """Whether a process comes from this one."""
    while pid > 1:
        if pid == os.getpid():
            return True
        stat = Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return False


def train(data, recipe, workdir, **flags):
    return jaxmem.run_trials(data, 40, workdir, cluster="ray", **{**recipe, **flags})


def test_a_worker_is_killed(
    small, whole, tiny, tiny_recipe, tmp_path, after_first, monkeypatch
):
    """Its lease is dealt again; models are kept by who trained them."""
    killed = []

    def kill():
        killed.append(worker_processes()[0])
        os.kill(killed[0], signal.SIGKILL)

    after_first(kill)
    found = train(tiny, tiny_recipe, tmp_path / "run", keep_models=True)
    assert killed and found.trials.size == 40
    assert_same(found, whole)
    predicted = jaxmem.predict_trials(found.workdir, tiny)
    np.testing.assert_array_equal(predicted.test_correct, whole.test_correct)
    assert not (found.workdir / "in_flight").exists()


def test_a_node_goes_and_another_comes(
    small, whole, tiny, tiny_recipe, tmp_path, after_first, monkeypatch
):
    """The third of three workers waits for it; the bar says how many there are."""
    bars = []
    monkeypatch.setattr(
        "jaxmem._shared.progress._Lines.set_postfix_str",
        lambda self, text: bars.append(text),
    )

    def change():
        small.remove_node(small.list_all_nodes()[-1], allow_graceful=False)
        small.add_node(**NODE)

    after_first(change)
    assert_same(train(tiny, tiny_recipe, tmp_path / "run", workers=3), whole)
    assert all(text.split(", ")[2][1:] == " of 3 workers" for text in bars) and bars


def test_a_worker_that_hangs(
    small, whole, tiny, tiny_recipe, tmp_path, after_first, monkeypatch
):
    """After a while another gets its lease."""
    monkeypatch.setattr(leases, "STRAGGLER_SECONDS", 1.0)
    stopped = []

    def stop():
        stopped.append(worker_processes()[0])
        os.kill(stopped[0], signal.SIGSTOP)

    after_first(stop)
    try:
        assert_same(train(tiny, tiny_recipe, tmp_path / "run"), whole)
    finally:
        for pid in stopped:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def test_a_lease_that_kills_its_workers(small, tiny, tiny_recipe, tmp_path, monkeypatch):
    """All others are finished first; the same command tries it again."""
    monkeypatch.setattr(actors, "Worker", Deadly)
    monkeypatch.setattr(cluster, "RETRY_SECONDS", (0.1, 0.1))
    with pytest.raises(InputError, match=r"4 trials could not be trained, 4, 5, 6, 7: "):
        train(tiny, tiny_recipe, tmp_path)
    left = jaxmem.open_run(tmp_path).trials
    assert left.tolist() == [t for t in range(40) if t not in (4, 5, 6, 7)]
    monkeypatch.setattr(actors, "Worker", Small)
    assert train(tiny, tiny_recipe, tmp_path).trials.size == 40


def test_short_memory_and_a_goal(small, tiny, tiny_recipe, tmp_path, monkeypatch):
    """Too wide is halved; at a goal, leases that are out are dropped."""
    monkeypatch.setattr(actors, "Worker", Tight)
    goal = {"until_se": 0.3, "se_quantile": 0.5, "se_of": "all", "width": 4}
    found = train(tiny, tiny_recipe, tmp_path, **goal)
    assert 8 <= found.trials.size < 40
    assert set(found.reader.read("layout", found.trials)) == {3}  # of widths 4, 2, 1


def finished(workdir):
    try:
        return jaxmem.open_run(workdir).trials.size
    except InputError:
        return 0


def test_the_driver_is_killed(small, digits, tmp_path):
    """The dataset goes by its name; the same command resumes, alone or on the cluster."""
    flags = {"trials": 400, "width": 1, "epochs": 20}
    killed = tmp_path / "killed"
    words = [f"--{key}={value}" for key, value in flags.items()]
    command = [sys.executable, "-m", "jaxmem.run", "--cluster=ray", *words]
    process = subprocess.Popen([*command, f"--workdir={killed}"], stderr=subprocess.DEVNULL)
    try:
        while not finished(killed):
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    assert finished(killed) < 400
    resumed = jaxmem.run_trials(digits, workdir=killed, cluster="ray", **flags)
    assert_same(resumed, jaxmem.run_trials(digits, workdir=tmp_path / "whole", **flags))


def test_a_dataset_that_a_worker_cannot_load(small, whole, tiny, tiny_recipe, tmp_path):
    """It goes through the object store: also where another lies there by this name."""
    path = tmp_path / "own.npz"
    for source in {"name": str(path)}, {"name": "digits"}:
        data = tiny._replace(source=source)
        found = train(data, tiny_recipe, tmp_path / source["name"][-6:])
        assert_same(found, whole)


def test_another_version_is_refused(small, tiny, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "versions", lambda: Versions("9.9", "0.1"))
    with pytest.raises(InputError, match=r"the driver jaxmem 9\.9 and jax 0\.1; install"):
        train(tiny, tiny_recipe, tmp_path)


def test_one_worker_a_gpu_a_tpu_host_or_a_cpu_node(monkeypatch):
    def slots(*resources, workers=None, own=False):
        nodes = [{"Alive": True, "Resources": each} for each in resources]
        monkeypatch.setattr(actors.ray, "nodes", lambda: nodes)
        return actors._slots(workers, own)

    gpus = slots({"CPU": 64, "GPU": 8}, {"CPU": 64, "GPU": 8}, {"CPU": 8})
    assert gpus.now == 16 and gpus.cpus is None and gpus.options["num_gpus"] == 1
    tpus = slots({"CPU": 200, "TPU": 4}, {"CPU": 200, "TPU": 4})
    assert tpus.now == 2 and tpus.options["resources"] == {"TPU": 4}
    alone = tpus.options["runtime_env"]["env_vars"]
    assert alone["TPU_PROCESS_BOUNDS"] == "1,1,1" and alone["TPU_SKIP_MDS_QUERY"] == "1"
    cpus = slots({"CPU": 16}, {"CPU": 8}, {})
    assert (cpus.now, cpus.cpus) == (2, 8)
    here = slots({"CPU": 8}, workers=2, own=True)
    assert (here.now, here.cpus) == (2, 4)
    with pytest.raises(InputError, match="has no GPU, TPU or CPU"):
        slots({})


@pytest.mark.parametrize(
    "address, said",
    [
        ("127.0.0.2:1", "does not answer (Connection refused); give RAY_ADDRESS=HOST:6379"),
        ("ray://127.0.0.2:10001", "is Ray's client, no head; give RAY_ADDRESS"),
        ("nowhere", "does not answer"),
    ],
)
def test_an_address_that_refuses(monkeypatch, tmp_path, capsys, address, said):
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert run.main(["--cluster=ray", "--trials=4", f"--workdir={tmp_path / 'new'}"]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not (tmp_path / "new").exists()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request", None])
def test_an_address_without_a_head(monkeypatch, answer):
    """Of what answers otherwise, or takes the connection and says nothing."""
    monkeypatch.setattr(actors, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.2", 0)) as server:

        def serve():
            opened, _ = server.accept()
            with opened:
                if answer is None:
                    opened.recv(1000), opened.recv(1)  # until the other goes
                opened.sendall(answer or b"")

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.2:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=f"RAY_ADDRESS={address} does not answer"):
            actors._connect(address)
        thread.join()


@pytest.mark.parametrize(
    "flags, said",
    [
        ({"cluster": "dask"}, "unknown cluster 'dask'; known: ray"),
        ({"workers": 2}, "workers 2 are a cluster's: give --cluster=ray too"),
        ({"cluster": "ray", "workers": 0}, "workers 0 must be at least 1"),
        ({"cluster": "ray", "share": "0/2"}, "give either a share or a cluster"),
    ],
)
def test_what_cannot_be_asked_of_a_cluster(tiny, tiny_recipe, tmp_path, flags, said):
    with pytest.raises(InputError, match=said):
        jaxmem.run_trials(tiny, 4, tmp_path / "new", **flags, **tiny_recipe)


def test_without_ray(tiny, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "jaxmem.running.actors")
    monkeypatch.delattr("jaxmem.running.actors", raising=False)
    with pytest.raises(InputError, match=r"needs Ray .*: pip install 'jaxmem\[ray\]'"):
        train(tiny, tiny_recipe, tmp_path)
