"""Locks in buckets: kept from the dead, never from the living."""

import threading
import time
from types import SimpleNamespace

import pytest

from jaxmem import InputError
from jaxmem._shared import object_locks
from jaxmem._shared.object_locks import OVERDUE, RENEWED, STALE, holding, is_free, see_free


@pytest.fixture
def clock(monkeypatch):
    """Time passes only where somebody sleeps; `then` happens meanwhile."""

    def sleep(seconds):
        clock.now += seconds
        clock.then()

    clock = SimpleNamespace(now=0.0, then=lambda: None, sleep=sleep)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(object_locks, "time", clock)
    return clock


def dead(path, owner="process 7 on node-3"):
    """A lock whose owner renews no more."""
    path.write_text(f'{{"owner": "{owner}", "token": "x", "renewed": 3}}')


def alive(path, clock):
    """A lock whose owner renews it, just in time."""
    lock = object_locks._Lock(path)
    assert lock.take(lock.read().stamp.generation)

    def renew():
        if clock.now - lock._renewed > OVERDUE:
            assert lock._renew()

    clock.then = renew
    return lock


def test_the_living_keep_it(s3, clock):
    """However long another asks, and however late they renew."""
    lock = alive(s3 / "lock", clock)
    for _ in range(2):
        with pytest.raises(InputError, match=r"^busy \(process \d+ on .+\)$"):
            with holding(s3 / "lock", "busy"):
                pytest.fail("two have it")
        with pytest.raises(InputError, match=r"^busy"):
            see_free([s3 / "other", s3 / "lock"], "busy")
    lock.check()
    assert not is_free(s3 / "lock") and is_free(s3 / "other")
    lock.release()
    before = clock.now
    with holding(s3 / "lock", "busy"):
        assert clock.now == before and not is_free(s3 / "lock")
    assert is_free(s3 / "lock")


def test_who_waits_gets_it_at_last(s3, clock):
    lock = alive(s3 / "lock", clock)
    renew = clock.then

    def give_up():
        renew()
        if clock.now > 4 * STALE:
            lock.release()

    clock.then = give_up
    with holding(s3 / "lock", None) as check:
        assert 4 * STALE < clock.now < 5 * STALE
        check()


def test_it_is_taken_from_the_dead(s3, clock, capsys):
    """Not before their time; and of several all at once."""
    dead(s3 / "lock")
    with holding(s3 / "lock", "busy") as check:
        assert STALE <= clock.now < STALE + RENEWED
        check()
        assert "process 7 on node-3" not in (s3 / "lock").read_text()
    said = capsys.readouterr().err
    assert "process 7 on node-3 has the lock of s3://" in said
    assert "process 7 on node-3 has not renewed its lock for 60 s: taken" in said
    for name in "ab":
        dead(s3 / name)
    see_free([s3 / "a", s3 / "b"], "busy")
    assert clock.now < 2 * (STALE + RENEWED)
    assert is_free(s3 / "a") and is_free(s3 / "b")


def test_who_lost_it_stops(s3, monkeypatch):
    """Another took it, while we stood still: we do not free it, nor take it back."""
    monkeypatch.setattr(object_locks, "RENEWED", 0.1)
    with holding(s3 / "lock", "busy") as check:
        check()
        dead(s3 / "lock", "process 9 on node-1")
        until = time.monotonic() + 20
        with pytest.raises(InputError, match=r"lost the lock .*process 9 on node-1 took"):
            while time.monotonic() < until:
                check()
                time.sleep(0.05)
    assert "process 9" in (s3 / "lock").read_text()


def test_what_is_not_renewed_is_lost(s3, clock):
    """Before another may take it."""
    with holding(s3 / "lock", "busy") as check:
        clock.now += OVERDUE
        check()
        clock.now += 1
        assert clock.now < STALE
        with pytest.raises(InputError, match=r"lost the lock .*; what is finished is kept"):
            check()


def test_of_many_at_once_one_has_it(s3, monkeypatch):
    """One after another, where they wait."""
    monkeypatch.setattr(object_locks, "LOOKS", 0.05)
    inside, most, failed = [], [], []

    def enter():
        try:
            with holding(s3 / "lock", None):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.05)
                inside.pop()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and most == [1] * 6


def test_an_answer_that_was_lost_is_no_refusal(s3):
    """The store asks again, and is told that somebody has written: we."""
    lock = object_locks._Lock(s3 / "lock")
    first = lock.read().stamp.generation
    assert lock.take(first)
    value, lock._generation = lock.read().value, first  # as before that write
    assert lock._write(value)
    lock._generation = first
    assert not lock._write(b"something else")
