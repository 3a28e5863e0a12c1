"""The driver of a cluster: deals leases to workers, and yields what they return.

It is the only one that writes to the store; all that workers need to know goes through it.
"""

import dataclasses
import functools
import secrets
import time
from collections.abc import Callable, Generator
from typing import Any

from jaxmem._shared.files import location, refusals
from jaxmem._shared.progress import say
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.running import actors
from jaxmem.running.blocks import TOO_LARGE, Finished
from jaxmem.running.leases import Lease, Leases, lease_size
from jaxmem.running.worker import DRIVER, Returned, Task, versions
from jaxmem.storage.layouts import Layout, read_layouts, settle
from jaxmem.training.ensemble import Block, Plan

WAITS = 0.1, 2.0  # seconds between looks: at first, and after a while without news
RETRY_SECONDS = 1.0, 30.0  # before a lost worker is asked again: at first, and at most
TIMING_SECONDS = 600.0  # that a worker has to time widths, until another does too
START_FAILURES = 3  # of a worker, in a row, while none has worked yet

NOWHERE = Layout("", "", 0)  # of a worker that has not told its own yet


@dataclasses.dataclass(eq=False)
class _Worker:
    """What the driver knows of a worker."""

    name: str
    actor: Any
    step: Callable[["_Worker"], None]  # what to begin next
    future: Any = None  # of what it is at
    got: Callable[["_Worker", Any], Finished | None] | None = None  # takes its result
    lease: Lease | None = None
    since: float = 0.0
    retry_at: float = 0.0
    failures: int = 0
    layout: Layout = NOWHERE  # on which its trials are trained
    plan: Plan | None = None
    block_seconds: float | None = None


class Driver:
    """Trains on the workers of a cluster what one process would train by itself."""

    def __init__(self, slots: actors.Slots, wanted: int | None, task: Task, data: Dataset):
        self._task, self._data = task._replace(cpus=slots.cpus, source=data.source), data
        self._task = self._task._replace(token=secrets.token_hex())
        self._workdir = location(task.workdir)
        self._stored: Any = None  # the dataset in the object store, once somebody needs it
        self._worked = False  # whether any worker has come as far as a plan
        self._timing: dict[str, float] = {}  # kinds whose width is being timed, since when
        self._workers = [
            self._new(f"worker-{k}", slots) for k in range(wanted or slots.now)
        ]
        say(f"{slots.now} of {len(self._workers)} workers have a node")

    def at_work(self) -> str:
        """How many workers train, in words."""
        ready = sum(worker.plan is not None for worker in self._workers)
        return f", {ready} of {len(self._workers)} workers"

    def blocks(self, trials: list[int], width: int | None) -> Generator[Finished]:
        """The trials, in the order in which workers return them.

        width: models side by side on a device; None: what the workdir remembers of a
        worker's kind, or else the first of a kind times it. Raises InputError where a
        worker cannot train this run, and at the end for trials that no worker survived.
        """
        self._leases, self._given = Leases(trials, len(self._workers)), width
        pause = WAITS[0]
        driver = self._workdir / DRIVER
        try:
            with refusals(self._workdir):
                driver.write_text(self._task.token)
            while not self._leases.over:
                self._begin()
                waiting = {w.future: w for w in self._workers if w.future is not None}
                ready = actors.wait_for_one(list(waiting), pause)
                if not waiting:
                    time.sleep(pause)
                pause = WAITS[0] if ready else min(2 * pause, WAITS[1])
                for future in ready:
                    finished = self._take(waiting[future])
                    if finished is not None:
                        yield finished
        finally:
            for worker in self._workers:
                actors.end_worker(worker.actor)
            driver.unlink(missing_ok=True)
        if aside := self._leases.aside:
            lost = [trial for lease in aside for trial in lease.trials]
            raise InputError(
                f"{len(lost)} trials could not be trained, {_few(lost)}: lost with their "
                f"workers again and again ({aside[0].reason}); the others are kept, and "
                "the same command tries these again"
            )

    def _new(self, name: str, slots: actors.Slots) -> _Worker:
        return _Worker(name, actors.start_worker(name, slots), self._ask_versions)

    def _begin(self) -> None:
        """Give work to the workers that have none."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.future is None and now >= worker.retry_at:
                worker.step(worker)

    def _call(self, worker: _Worker, got: Callable, method: str, *args: Any) -> None:
        worker.future = actors.call(worker.actor, method, *args)
        worker.since, worker.got = time.monotonic(), got

    def _take(self, worker: _Worker) -> Finished | None:
        """Take what a worker has for us."""
        future, worker.future = worker.future, None
        got, worker.got = worker.got, None
        assert got is not None  # it was called
        try:
            return got(worker, actors.result(future))
        except actors.Lost as lost:
            self._lose(worker, lost)
            return None

    def _lose(self, worker: _Worker, lost: actors.Lost) -> None:
        """Deal a worker's lease again, and start over with it when it is back."""
        worker.failures += 1
        if worker.lease is not None:
            self._leases.lost(worker, str(lost))
            worker.lease = None
            if not lost.gone:  # but perhaps its GPU, until another process has it
                actors.restart_worker(worker.actor)
                lost.gone = True
        elif worker.failures >= START_FAILURES and not self._worked:
            raise InputError(
                f"workers cannot start: {lost}; is this jaxmem installed on all nodes?"
            )
        self._timing.pop(worker.layout.kind, None)
        if lost.gone:
            worker.plan, worker.step = None, self._ask_versions
        pause = RETRY_SECONDS[0] * 2 ** (worker.failures - 1)
        worker.retry_at = time.monotonic() + min(pause, RETRY_SECONDS[1])

    # What a worker goes through: versions, data, plan, and then leases.

    def _ask_versions(self, worker: _Worker) -> None:
        self._call(worker, self._got_versions, "versions")

    def _got_versions(self, worker: _Worker, theirs: Any) -> None:
        if theirs != versions():
            raise InputError(
                f"a worker has {theirs}, the driver {versions()}; install the same on all "
                "nodes"
            )
        worker.step = self._set_up

    def _set_up(self, worker: _Worker) -> None:
        self._call(worker, self._got_data, "set_up", self._task)

    def _got_data(self, worker: _Worker, loaded: bool) -> None:
        worker.step = self._ask_layout if loaded else self._send_data

    def _send_data(self, worker: _Worker) -> None:
        if self._stored is None:
            self._stored = actors.share_data(self._data)
        self._call(worker, self._got_data, "receive", self._stored)

    def _ask_layout(self, worker: _Worker) -> None:
        self._call(worker, self._got_layout, "layout")

    def _got_layout(self, worker: _Worker, layout: Layout) -> None:
        worker.layout, worker.step = layout, self._ask_plan

    def _ask_plan(self, worker: _Worker) -> None:
        since, now = self._timing.get(worker.layout.kind), time.monotonic()
        if since is not None and now - since < TIMING_SECONDS:
            return  # another worker's answer will do
        width = self._given or read_layouts(self._workdir).width(worker.layout.kind)
        if width is None:
            self._timing[worker.layout.kind] = now
        got = functools.partial(self._got_plan, asked=width or 1)
        self._call(worker, got, "plan", width)

    def _got_plan(self, worker: _Worker, plan: Plan | None, asked: int) -> None:
        self._timing.pop(worker.layout.kind, None)
        if plan is None:
            return self._halve(worker, asked)  # and ask again
        self._worked = True
        known = read_layouts(self._workdir).width(worker.layout.kind)
        if self._given is None and known is not None and known != plan.width:
            # Settled since it was asked: another was faster, or its memory short.
            rounds = max(1, plan.rounds * plan.width // known)
            plan = plan._replace(width=known, rounds=rounds)
        settle(self._workdir, worker.layout._replace(width=plan.width))
        worker.plan, worker.step, worker.block_seconds = plan, self._deal, None

    def _deal(self, worker: _Worker) -> None:
        plan = self._plan(worker)
        block = plan.devices * plan.width * plan.rounds
        args = worker.block_seconds, self._leases.untaken, len(self._workers)
        now = time.monotonic()
        worker.lease = self._leases.take(worker, lease_size(block, *args), now)
        if worker.lease is not None:
            self._call(worker, self._got_lease, "train", worker.lease.trials, plan)

    def _plan(self, worker: _Worker) -> Plan:
        """A worker's plan, as narrow as its kind of device has turned out to need."""
        assert worker.plan is not None  # it was asked
        width = read_layouts(self._workdir).width(worker.layout.kind)
        if self._given is None and width is not None:
            worker.plan = worker.plan._replace(width=width)
        return worker.plan

    def _got_lease(self, worker: _Worker, returned: Returned | None) -> Finished | None:
        lease, plan = worker.lease, worker.plan
        assert lease is not None and plan is not None
        worker.lease, worker.failures = None, 0
        if returned is None:
            self._leases.lost(worker, "out of memory", blame=False)
            self._halve(worker, plan.width)
            return None
        now, side_by_side = time.monotonic(), plan.devices * plan.width
        blocks = -(-len(lease.trials) // (side_by_side * plan.rounds))
        worker.block_seconds = (now - worker.since) / blocks
        new = self._leases.returned(worker, now)
        if not new:
            return None  # a straggler's, which another has returned
        rows = {name: rows[new] for name, rows in returned.outcomes.items()}
        block = Block([lease.trials[k] for k in new], rows, None, returned.waited)
        return Finished(block, worker.layout._replace(width=plan.width))

    def _halve(self, worker: _Worker, width: int) -> None:
        """Settle half a width for a kind of device whose memory was short."""
        if width == 1:
            raise InputError(TOO_LARGE)
        self._given = None
        known = read_layouts(self._workdir).width(worker.layout.kind)
        width = min(width // 2, known or width)  # another may have halved it twice
        settle(self._workdir, worker.layout._replace(width=width))


def _few(trials: list[int]) -> str:
    shown = ", ".join(map(str, sorted(trials)[:8]))
    return shown if len(trials) <= 8 else f"{shown}, …"
