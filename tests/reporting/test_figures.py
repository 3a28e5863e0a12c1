"""What the pictures say, read off their axes."""

import numpy as np
import pytest

import jaxmem
from jaxmem.estimates.pairs import Pairs
from jaxmem.reporting import figures


def shown(figure):
    """(title, pixels) of every image drawn, row by row."""
    return [
        (axes.get_title(), np.asarray(axes.images[0].get_array()))
        for axes in figure.axes
        if axes.images
    ]


@pytest.fixture(params=[1, 3])
def data(request):
    rng = np.random.default_rng(0)
    channels = request.param
    return jaxmem.make_dataset(
        "a",
        rng.integers(0, 256, (60, 4, 4, channels), np.uint8),
        np.arange(60) % 3,
        rng.integers(0, 256, (15, 4, 4, channels), np.uint8),
        np.arange(15) % 3,
    )


def test_histogram_counts_the_memorized():
    mem = np.array([0.0, 0.0, 0.1, 0.25, 0.9, np.nan])
    axes = figures.histogram(mem, 0.25).axes[0]
    assert axes.get_title().startswith("2 of 6 have")
    assert sum(patch.get_height() for patch in axes.patches) == 5
    assert (
        figures.histogram(np.full(4, np.nan), 0.25).axes[0].get_title().startswith("0 of 4")
    )
    axes = figures.influence_histogram(np.array([0.15, 0.2, 0.4]), 0.15).axes[0]
    assert axes.get_title() == "3 pairs have infl ≥ 0.15"
    assert sum(patch.get_height() for patch in axes.patches) == 3
    empty = figures.influence_histogram(np.zeros(0), 0.15).axes[0]
    assert empty.get_title().startswith("0 pairs")


def test_examples_are_low_middle_and_high(data):
    mem = np.linspace(0, 1, 60)[np.random.default_rng(1).permutation(60)]
    images = shown(figures.examples(mem, data))
    assert len(images) == 3 * 9
    for label in range(3):
        titles = [float(title) for title, _ in images[9 * label : 9 * label + 9]]
        of_class = np.sort(mem[data.train.labels == label])
        np.testing.assert_allclose(titles[:3], of_class[:3], atol=0.005)
        np.testing.assert_allclose(titles[6:], of_class[::-1][:3], atol=0.005)
        rest = of_class[:-3]
        middle = rest[np.argsort(np.abs(rest - 0.5))[:3]]
        np.testing.assert_allclose(titles[3:6], middle, atol=0.005)
    lowest = np.nonzero(data.train.labels == 0)[0]
    lowest = lowest[np.argmin(mem[lowest])]
    image = data.train.images[lowest]
    np.testing.assert_array_equal(
        images[0][1], image if image.shape[-1] == 3 else image[..., 0]
    )


def test_small_classes_leave_gaps(data):
    mem = np.full(60, np.nan)
    mem[:4] = 0.5
    assert len(shown(figures.examples(mem, data))) == 4


def test_influence_rows_are_strongest_first(data):
    class Run:
        memorization = np.linspace(0, 1, 60)

        def influence_with_se(self, rows, columns):
            infl = np.asarray(rows)[:, None] / 100 + np.asarray(columns) / 1000
            return infl, infl

    pairs = Pairs(np.array([6, 3, 6]), np.array([0, 0, 3]), *np.zeros((4, 3)))
    images = shown(figures.influence(Run(), data, pairs))
    assert len(images) == figures.ROWS * (1 + figures.INFLUENCED)
    titles = [title for title, _ in images]
    # Row 6, then 3, as the pairs have them; then by mem: 59, 58, ….
    assert titles[0] == "mem 0.10" and titles[5] == "mem 0.05" and titles[10] == "mem 1.00"
    # Test rows of class 0 are 0, 3, …, 12; the highest infl comes first.
    assert titles[1:5] == ["infl 0.07", "infl 0.07", "infl 0.07", "infl 0.06"]
    first = data.test.images[12]
    np.testing.assert_array_equal(
        images[1][1], first if first.shape[-1] == 3 else first[..., 0]
    )
