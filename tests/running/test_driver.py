"""What a driver of a cluster asks of workers and makes of answers, without a cluster."""

import pytest

pytest.importorskip("ray")
from jaxmem.running import actors, cluster
from jaxmem.storage.layouts import Layout


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
