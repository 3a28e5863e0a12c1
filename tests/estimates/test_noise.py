"""How many labels are wrong, by margins of known mixtures."""

import numpy as np
import pytest
from scipy.special import expit

from jaxmem.estimates.noise import chance_wrong, noise_rate, number_wrong


def margins(rate, n=4000, classes=10, seed=0, slope=1.0):
    """Margins of labels of which a share is wrong, as by models that know how sure to be.

    Returns (margin [n], wrong [n]).
    """
    rng = np.random.default_rng(seed)
    # Models waver between two classes: the first is right with the chance that they say.
    sure = np.abs(rng.normal(6, 3, n))
    first = rng.random(n) < expit(sure)
    wrong = np.zeros(n, bool)
    wrong[: round(rate * n)] = True
    # A wrong label is the other of the two, or one of which nobody thinks.
    close = rng.random(n) < 1 / (classes - 1)
    margin = np.where(first ^ wrong, sure, -sure)
    return np.where(wrong & ~close, -sure - 9, margin) / slope, wrong


@pytest.mark.parametrize("rate", [0, 0.01, 0.05, 0.2, 0.4])
def test_the_rate_of_a_known_mixture(rate):
    margin, wrong = margins(rate)
    assert noise_rate(margin, 10) == pytest.approx(rate, abs=0.006)
    number = number_wrong(margin, 10)
    assert number.low <= wrong.sum() <= number.high and number.holds
    assert number.estimate == pytest.approx(wrong.sum(), rel=0.15, abs=12)


def test_the_chance_is_a_frequency():
    """Of labels with a chance of about p, about the share p is wrong."""
    margin, wrong = margins(0.1, n=100_000)
    chance = chance_wrong(margin, noise_rate(margin, 10), 10)
    for low, high in ((0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.9, 1)):
        here = (low <= chance) & (chance < high)
        share, expected = wrong[here].mean(), chance[here].mean()
        assert share == pytest.approx(expected, abs=0.02 + 2 / np.sqrt(here.sum()))


def test_bayes_by_hand():
    (chance,) = chance_wrong(np.array([-2.0]), 0.1, 3)
    right = 1 / (1 + np.exp(2))
    assert chance == pytest.approx(
        0.1 * (1 - right) / 2 / (0.1 * (1 - right) / 2 + 0.9 * right)
    )
    assert chance_wrong(np.array([np.nan]), 0.1, 3)[0] == 0.1
    assert chance_wrong(np.array([0.0]), 0.0, 3)[0] == 0


def test_the_interval_allows_for_models_that_are_too_sure():
    for slope in (0.6, 1.6):
        for rate in (0.02, 0.2):
            margin, wrong = margins(rate, slope=slope)
            number = number_wrong(margin, 10)
            assert number.low <= wrong.sum() <= number.high


def test_more_than_half_wrong_holds_no_longer():
    assert not number_wrong(margins(0.6)[0], 10).holds


def test_unknown_margins_count_as_any():
    margin, _ = margins(0.1)
    some = np.where(np.arange(4000) % 4 == 0, np.nan, margin)
    assert number_wrong(some, 10).estimate == pytest.approx(400, rel=0.1)
    assert number_wrong(margin, 10) == number_wrong(margin.copy(), 10)
