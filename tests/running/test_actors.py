"""Connecting to Ray, with a Ray that does nothing."""

import signal

import pytest

pytest.importorskip("ray")
from jaxmem import InputError
from jaxmem.running import actors


@pytest.fixture
def no_ray(monkeypatch):
    """Every start of Ray replaces the handler of SIGTERM; returns the arguments of all."""
    started = []

    def init(address, **_):
        started.append(address)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    monkeypatch.setattr(actors.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(actors.ray, "init", init)
    monkeypatch.setattr(actors.ray, "shutdown", lambda: None)
    monkeypatch.setattr(actors.jax.config, "update", lambda *_: None)
    nodes = [{"Alive": True, "Resources": {"CPU": 2}}]
    monkeypatch.setattr(actors.ray, "nodes", lambda: nodes)
    return started


@pytest.mark.parametrize("address", [None, ""])
def test_sigterm_stays_ours(no_ray, monkeypatch, address):
    """An empty address is none."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with actors.connected(None):
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert no_ray == ["local"]


@pytest.mark.parametrize("kind", [OSError, ValueError, RuntimeError])
def test_a_ray_that_does_not_start(no_ray, monkeypatch, kind):
    def init(*_, **__):
        raise kind("AF_UNIX path length cannot exceed 107 bytes")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(actors.ray, "init", init)
    said = r"does not start here \(AF_UNIX path .*\); set RAY_TMPDIR to a short folder"
    with pytest.raises(InputError, match=said), actors.connected(None):
        pass


def test_workers_wait_for_the_first_node(monkeypatch, capsys):
    """A head of KubeRay has no CPU, and its nodes join later."""
    head = {"Alive": True, "Resources": {"memory": 1.0}}
    looks = [[head], [head], [head], [head, {"Alive": True, "Resources": {"GPU": 2}}]]
    monkeypatch.setattr(actors.ray, "nodes", lambda: looks.pop(0))
    monkeypatch.setattr(actors, "NODE_SECONDS", 0.0)
    assert actors._slots(8, own=False).now == 2 and not looks
    assert capsys.readouterr().err.count("waiting for the first") == 1
    looks.append([head])
    with pytest.raises(InputError, match="has no GPU, TPU or CPU"):
        actors._slots(None, own=False)
