"""What a driver of a cluster asks of workers and makes of answers, without a cluster."""

import contextlib

import jax
import pytest

pytest.importorskip("ray")
import jaxmem
from jaxmem import InputError
from jaxmem.running import actors, cluster
from jaxmem.running import worker as workers
from jaxmem.storage.layouts import Layout, read_layouts, settle
from jaxmem.training.ensemble import Plan


class Calls(list):
    """In place of actors: what was asked of them."""

    def call(self, actor, method, *args):
        self.append((actor, method, *args))
        return object()


@pytest.fixture
def calls(monkeypatch):
    calls = Calls()
    monkeypatch.setattr(actors, "call", calls.call)
    return calls


@pytest.fixture
def driver(calls, tmp_path):
    driver = cluster.Driver.__new__(cluster.Driver)
    driver._workdir, driver._given, driver._worked = tmp_path, None, False
    driver._timing = {}
    return driver


def worker(name, driver):
    gpu = Layout("gpu", "1 x gpu", 0)
    return cluster._Worker(name, name, driver._ask_plan, layout=gpu)


def test_a_worker_that_hangs_while_it_times_widths(driver, calls, monkeypatch):
    """Others wait for its answer, but not for ever."""
    for name in ("first", "second"):
        driver._ask_plan(worker(name, driver))
    assert calls == [("first", "plan", None)]
    monkeypatch.setattr(cluster, "TIMING_SECONDS", 0.0)
    driver._ask_plan(worker("second", driver))
    assert calls[1:] == [("second", "plan", None)]


def test_too_wide_to_be_timed(driver, calls, tmp_path):
    """The width is halved, and the worker asked again, as when training is too wide."""
    driver._given = 4
    first = worker("first", driver)
    for width in (4, 2, 1):
        driver._ask_plan(first)
        assert calls.pop() == ("first", "plan", width)
        if width > 1:
            first.got(first, None)
            assert read_layouts(tmp_path).width("gpu") == width // 2
    with pytest.raises(InputError, match="not even one model a device fits"):
        first.got(first, None)


def test_a_late_plan_is_as_narrow_as_the_memory(driver, calls, tmp_path):
    driver._given = 8
    late, other = worker("late", driver), worker("other", driver)
    for each in (late, other):
        driver._ask_plan(each)
    other.got(other, None)
    late.got(late, Plan(1, 8, 3))
    assert late.plan == Plan(1, 4, 6)
    assert read_layouts(tmp_path).width("gpu") == 4
    # Nor does another that found the first width too large make it wider.
    settle(tmp_path, late.layout._replace(width=1))
    driver._halve(late, 8)
    assert read_layouts(tmp_path).width("gpu") == 1


def test_a_worker_whose_gpu_broke_is_started_again(driver, monkeypatch):
    """Its process may live on with a device that gives nothing but errors."""
    ended = []
    monkeypatch.setattr(actors, "restart_worker", ended.append)
    driver._leases = cluster.Leases([1], 2)
    first = worker("first", driver)
    first.plan = Plan(1, 1, 1)
    for gone in (True, False):
        first.lease = driver._leases.take(first, 1, 0.0)
        driver._lose(first, actors.Lost("CUDA_ERROR_ILLEGAL_ADDRESS", gone))
        assert first.plan is None and first.step == driver._ask_versions
        assert ended == [] if gone else ["first"]


def test_a_worker_without_memory_to_time_says_so(monkeypatch):
    def make_plan(*_):
        raise jax.errors.JaxRuntimeError(said)

    monkeypatch.setattr(workers, "make_plan", make_plan)
    one = workers.Worker("one")
    one._ensemble = None
    said = "RESOURCE_EXHAUSTED: out of memory"
    assert one.plan(4) is None
    said = "INTERNAL: broken"
    with pytest.raises(jax.errors.JaxRuntimeError):
        one.plan(4)


def test_a_worker_draws_the_numbers_of_32_bits(monkeypatch):
    """Also where JAX_ENABLE_X64 is set on its node: others draw other subsets."""
    monkeypatch.setattr(workers, "keep_compiled", lambda: None)
    before = jax.config.jax_enable_x64
    try:
        jax.config.update("jax_enable_x64", True)
        task = workers.Task(None, None, "auto", "", "", False)
        assert not workers.Worker("one").set_up(task)
        assert not jax.config.jax_enable_x64
    finally:
        jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("token, seen", [("a", True), ("b", False), (None, False)])
def test_a_copy_of_the_workdir_is_another(tmp_path, token, seen):
    """Models kept in it would be lost with the worker's machine."""
    (tmp_path / "config.json").write_text("{}")
    if token is not None:
        (tmp_path / workers.DRIVER).write_text(token)
    one = workers.Worker("one")
    one._task = workers.Task(None, None, "auto", "", str(tmp_path), True, token="a")
    assert one._sees_workdir() is seen


def test_a_driver_that_has_taken_the_gpu(monkeypatch, tiny, tmp_path):
    """Its workers would find no memory there."""
    slots = contextlib.nullcontext(actors.Slots({}, None, 1))
    monkeypatch.setattr(actors, "connected", lambda _: slots)
    monkeypatch.setattr("jaxmem.running.trials.jax.default_backend", lambda: "gpu")
    with pytest.raises(InputError, match="JAX has started on the gpu, which the workers"):
        jaxmem.run_trials(tiny, 4, tmp_path / "new", cluster="ray")
    assert not (tmp_path / "new").exists()
