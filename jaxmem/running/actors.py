"""Ray: connect to a cluster, or start one here, and make actors of workers.

Ray Core alone. Importing this module imports Ray, which not everybody has.
"""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from jaxmem._shared.devices import cores
from jaxmem._shared.files import reason
from jaxmem._shared.progress import say
from jaxmem.errors import InputError
from jaxmem.running.worker import Worker

NODE_SECONDS = 2.0  # between looks for a first node
ANSWER_SECONDS = 20.0  # that an address has to take a connection
# What an HTTP/2 connection begins with, on either side: a frame of settings, type 4.
SETTINGS = b"\x04"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + SETTINGS + bytes(5)
# One TPU host that trains alone, and does not wait for the others of its slice.
TPU_ALONE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_PROCESS_BOUNDS": "1,1,1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}


class Slots(NamedTuple):
    """What a worker takes of a node, and how many there are."""

    options: Mapping[str, Any]  # of an actor
    cpus: int | None  # CPU cores to train on; None: on an accelerator
    now: int  # workers that fit the nodes that have joined


@contextlib.contextmanager
def connected(workers: int | None) -> Iterator[Slots]:
    """Connect to RAY_ADDRESS, or start Ray on this machine, for this run.

    Must come before JAX starts, which stays on the CPU here: accelerators are the workers'.
    Raises InputError where the address does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ours = not ray.is_initialized()
    address = os.environ.get("RAY_ADDRESS") or None
    if ours:
        with _same_sigterm():
            _connect(address)
    jax.config.update("jax_platforms", "cpu")
    try:
        yield _slots(workers, own=ours and address is None)
    finally:
        if ours:
            ray.shutdown()


@contextlib.contextmanager
def _same_sigterm() -> Iterator[None]:
    """`ray.init` would have SIGTERM end this process as it sees fit."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError, TypeError):  # no main thread, not Python's
            signal.signal(signal.SIGTERM, handler)


def _connect(address: str | None) -> None:
    start: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        if sys.platform == "linux":  # stay on this machine; Ray hangs on 127.0.0.1
            start["_node_ip_address"] = "127.0.0.2"
        try:
            ray.init("local", include_dashboard=False, num_cpus=cores(), **start)
        except (OSError, ValueError, RuntimeError, RayError) as error:
            raise InputError(
                f"Ray does not start here ({reason(error)}); set RAY_TMPDIR to a short "
                "folder with room, or RAY_ADDRESS to a running head"
            ) from None
        return
    way = "give RAY_ADDRESS=HOST:6379 of a running head, or unset it to start Ray here"
    if address.startswith("ray://"):
        raise InputError(f"RAY_ADDRESS={address} is Ray's client, no head; {way}")
    try:
        host, _, port = address.rpartition(":")
        if host:  # else "auto", which looks for a head on this machine
            _check_answer(host, int(port))
        ray.init(address, **start)
    except (OSError, ValueError, RuntimeError, RayError) as error:
        said = reason(error)
        raise InputError(f"RAY_ADDRESS={address} does not answer ({said}); {way}") from None


def _check_answer(host: str, port: int) -> None:
    """Raises OSError where no gRPC server is; `ray.init` would wait there for minutes."""
    with socket.create_connection((host, port), ANSWER_SECONDS) as opened:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return
        opened.sendall(PREFACE)
        if opened.recv(9)[3:4] != SETTINGS:
            raise OSError("it is no head of Ray")


def _slots(workers: int | None, own: bool) -> Slots:
    """One worker a GPU, a TPU host, or else a CPU node.

    workers: wanted; then the first node is waited for, since others may join at any time.
    """
    nodes = _nodes()
    if workers is not None and not nodes:
        say("no node has joined the Ray cluster yet; waiting for the first")
        while not (nodes := _nodes()):
            time.sleep(NODE_SECONDS)
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    tpus = [node["TPU"] for node in nodes if node.get("TPU")]
    if gpus:
        return Slots({"num_gpus": 1, "num_cpus": 1}, None, gpus)
    if tpus:
        alone = {"env_vars": TPU_ALONE}
        options = {"resources": {"TPU": min(tpus)}, "runtime_env": alone}
        return Slots(options, None, len(tpus))
    counts = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    if not counts:
        raise InputError("the Ray cluster has no GPU, TPU or CPU; start nodes with some")
    # On a machine of our own, workers share the cores; nodes that join are theirs alone.
    cpus = max(1, min(counts) // (workers or 1)) if own else min(counts)
    on_cpus = {"num_cpus": cpus, "scheduling_strategy": "SPREAD"}
    return Slots(on_cpus, cpus, counts[0] // cpus if own else len(counts))


def _nodes() -> list[Mapping[str, float]]:
    """Resources of the nodes that are there and can have a worker."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    some = "GPU", "TPU", "CPU"
    return [node for node in nodes if any(node.get(name, 0) >= 1 for name in some)]


def start_worker(name: str, slots: Slots) -> Any:
    """An actor, which starts as soon as a node has room, and again when it dies."""
    actor = ray.remote(Worker)
    return actor.options(max_restarts=-1, max_task_retries=0, **slots.options).remote(name)


def share_data(data: Any) -> Any:
    """A reference to a dataset in Ray's store; raises InputError where it has no room."""
    try:
        return ray.put(data)
    except RayError as error:
        raise InputError(
            f"the dataset does not fit into Ray's object store ({reason(error)}); give a "
            "name that every node can load, or a larger --object-store-memory to ray start"
        ) from error


def call(actor: Any, method: str, *args: Any) -> Any:
    """Begin a call; returns its future."""
    return getattr(actor, method).remote(*args)


def wait_for_one(futures: list, seconds: float) -> list:
    """Those that are ready as soon as one is, or after so many seconds."""
    if not futures:
        return []
    ray.wait(futures, num_returns=1, timeout=seconds)
    return ray.wait(futures, num_returns=len(futures), timeout=0)[0]


class Lost(Exception):
    """A call that brings no result. gone: its worker's process is, and starts again."""

    def __init__(self, text: str, gone: bool):
        super().__init__(text)
        self.gone = gone


def result(future: Any) -> Any:
    """What a call gave. Raises InputError as the worker does, and Lost for the rest."""
    try:
        return ray.get(future)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise InputError(str(error.cause)) from None
        cause = error.cause if isinstance(error.cause, Exception) else error
        raise Lost(f"{type(cause).__name__}: {reason(cause)}", gone=False) from error
    except RayActorError as error:
        raise Lost("its process died", gone=True) from error
    except RayError as error:
        raise Lost(f"{type(error).__name__}: {reason(error)}", gone=True) from error


def restart_worker(actor: Any) -> None:
    """End an actor's process; Ray starts it again."""
    with contextlib.suppress(RayError):
        ray.kill(actor, no_restart=False)


def end_worker(actor: Any) -> None:
    """End an actor for good, also one that hangs."""
    with contextlib.suppress(RayError):
        ray.kill(actor)
