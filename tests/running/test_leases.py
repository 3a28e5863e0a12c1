"""Leases, by a clock of our own."""

import pytest

from jaxmem.running import leases
from jaxmem.running.leases import Aside, Leases, lease_size


def test_every_trial_is_dealt_and_returned_once():
    dealt = Leases(range(10))
    assert dealt.take("a", 4, 0.0).trials == (0, 1, 2, 3)
    assert dealt.take("b", 4, 0.0).trials == (4, 5, 6, 7)
    assert dealt.returned("a", 1.0) == [0, 1, 2, 3] and not dealt.over
    assert dealt.take("a", 4, 1.0).trials == (8, 9)
    assert dealt.take("c", 4, 1.0) is None
    assert dealt.returned("b", 2.0) == [0, 1, 2, 3]
    assert dealt.returned("a", 2.0) == [0, 1] and dealt.over


def test_a_lost_lease_comes_first_and_is_set_aside_after_three_losses():
    dealt = Leases(range(6))
    for loss in range(3):
        assert dealt.take("a", 2, 0.0).trials == (0, 1)
        dealt.lost("a", f"reason {loss}")
    assert dealt.aside == [Aside((0, 1), "reason 2")]
    for first in (2, 4):
        assert dealt.take("a", 2, 0.0).trials == (first, first + 1)
        dealt.returned("a", 1.0)
    assert dealt.over


def test_a_broken_worker_sets_nothing_aside():
    """What it loses goes to others, however often it fails."""
    dealt, now, left = Leases(range(40), workers=2), 0.0, 40
    for _ in range(100):
        if dealt.over:
            break
        now += 1.0
        lease = dealt.take("good", 2, now)
        for _ in range(5):  # in the time in which the other trains one
            if dealt.take("broken", 2, now) is not None:
                dealt.lost("broken", "CUDA_ERROR_ILLEGAL_ADDRESS")
        if lease is not None:
            left -= len(dealt.returned("good", now + 0.5))
    assert not dealt.aside and left == 0 and dealt.over


@pytest.mark.parametrize(
    "holders, losses", [("abc", 3), ("abab", 3), ("aaaaaaaaaaaa", 9), ("aaaab", 5)]
)
def test_who_lost_a_lease_counts(holders, losses):
    workers = 2 if holders == "abab" else 3
    dealt = Leases(range(2), workers)
    took = 0
    for holder in holders:
        if dealt.aside:
            break
        assert dealt.take(holder, 2, 0.0).trials == (0, 1)
        dealt.lost(holder, "reason")
        took += 1
    assert took == losses and bool(dealt.aside) == dealt.over == (losses != 5)


def test_what_is_no_fault_of_a_lease_sets_nothing_aside():
    dealt = Leases([7])
    for _ in range(5):
        assert dealt.take("a", 1, 0.0).trials == (7,)
        dealt.lost("a", "out of memory", blame=False)
    assert not dealt.aside and dealt.untaken == 1


@pytest.mark.parametrize("first", ["slow", "fast"])
def test_a_straggler_is_trained_twice_and_the_first_result_wins(first):
    dealt = Leases(range(4))
    for holder in ("slow", "fast"):
        dealt.take(holder, 2, 0.0)
    dealt.returned("fast", 100.0)
    assert dealt.take("fast", 2, 999.0) is None  # ten medians are 1,000 s
    assert dealt.take("fast", 2, 1001.0).trials == (0, 1)
    assert dealt.take("other", 2, 2001.0) is None  # two have it
    second = "fast" if first == "slow" else "slow"
    assert dealt.returned(first, 1002.0) == [0, 1] and dealt.over
    assert dealt.returned(second, 1003.0) == []
    assert not dealt.aside


def test_what_hangs_after_its_lease_was_returned_is_forgotten():
    """Else the others would train that lease for ever, and never the next straggler's."""
    dealt = Leases(range(6))
    for holder in ("first", "second", "fast"):
        dealt.take(holder, 2, 0.0)
    dealt.returned("fast", 1.0)
    assert dealt.take("fast", 2, 700.0).trials == (0, 1)
    dealt.returned("fast", 701.0)
    assert dealt.take("fast", 2, 9000.0).trials == (2, 3)
    # The one that helps hangs too.
    assert dealt.take("third", 2, 9600.0) is None
    assert dealt.take("third", 2, 19000.0).trials == (2, 3)
    assert dealt.returned("third", 19001.0) == [0, 1] and dealt.over


def test_a_straggler_is_given_ten_minutes():
    dealt = Leases(range(2))
    dealt.take("slow", 1, 0.0)
    dealt.take("fast", 1, 0.0)
    dealt.returned("fast", 1.0)
    assert dealt.take("fast", 1, leases.STRAGGLER_SECONDS) is None
    assert dealt.take("fast", 1, leases.STRAGGLER_SECONDS + 1).trials == (0,)
    # The straggler's process dies: somebody has its lease.
    dealt.lost("slow", "dead")
    assert dealt.take("slow", 1, 700.0) is None
    dealt.returned("fast", 700.0)
    assert dealt.over


def test_leases_are_whole_blocks_of_twenty_seconds_or_a_part_of_the_rest():
    assert lease_size(8, None, 1000, 2) == 8
    assert lease_size(8, 2.0, 1000, 2) == 80
    assert lease_size(8, 100.0, 1000, 2) == 8
    assert lease_size(8, 2.0, 100, 2) == 56  # so that both end together
