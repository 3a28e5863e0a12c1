"""What the pictures say, read off their axes."""

import numpy as np
import pytest

import jaxmem
from jaxmem.estimates.pairs import Pairs
from jaxmem.estimates.predictions import HeldOutPrediction
from jaxmem.reporting import figures, rows


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
    assert axes.get_title().startswith("2 of 5 have")
    assert sum(patch.get_height() for patch in axes.patches) == 5
    assert (
        figures.histogram(np.full(4, np.nan), 0.25).axes[0].get_title().startswith("0 of 0")
    )
    axes = figures.influence_histogram(np.array([0.15, 0.2, 0.4]), 0.15).axes[0]
    assert axes.get_title() == "3 pairs have infl ≥ 0.15"
    assert sum(patch.get_height() for patch in axes.patches) == 3
    empty = figures.influence_histogram(np.zeros(0), 0.15).axes[0]
    assert empty.get_title().startswith("0 pairs")


def test_examples_are_low_middle_and_high(data):
    order = np.random.default_rng(1).permutation(20)
    mem = np.repeat(np.linspace(0, 0.97, 20)[order], 3)  # each class has all of it
    images = shown(figures.examples(mem, data))
    assert len(images) == 9 + 3 * 9
    highest = [float(title) for title, _ in images[:9]]  # of all classes
    np.testing.assert_allclose(highest, np.sort(mem)[::-1][:9], atol=0.005)
    images = images[9:]
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


def test_what_is_not_there_stays_empty(data):
    mem = np.full(60, np.nan)
    mem[:4] = 0.5
    figure = figures.examples(mem, data)
    assert len(shown(figure)) == 4 + 4  # first of all classes, then in three lines
    mem[:4] = [0.1, 0.1, 0.1, 0.9]  # classes 1 and 2 have nothing memorized
    figure = figures.examples(mem, data)
    assert [title for title, _ in shown(figure)][4:] == ["0.10", "0.90"]
    names = {axes.get_xlabel() for axes in figure.axes if axes.images}
    assert names == {"row 0", "row 1", "row 2", "row 3"}


def test_influence_is_shown_where_there_is_some(data):
    class Run:
        memorization = np.linspace(0, 1, 60)

        def influence_with_se(self, rows, columns):
            infl = np.zeros((1, len(columns)))
            infl[:, 0] = np.where(np.asarray(rows) == 57, 0.5, 0.02)
            return infl, np.full(infl.shape, 0.01)

    none = Pairs(*np.zeros((2, 0), np.int64), *np.zeros((4, 0)))
    figure = figures.influence(Run(), data, none)
    assert [t for t, _ in shown(figure)] == ["mem 0.97", "infl 0.50"]
    Run.memorization = np.full(60, np.nan)
    Run.influence_with_se = lambda self, rows, columns: (np.zeros((1, 5)), np.ones((1, 5)))
    figure = figures.influence(Run(), data, none)
    assert not shown(figure) and "no influence" in figure.texts[0].get_text()


def test_influence_rows_are_strongest_first(data):
    class Run:
        memorization = np.linspace(0, 1, 60)

        def influence_with_se(self, rows, columns):
            infl = np.asarray(rows)[:, None] / 100 + np.asarray(columns) / 1000
            return infl, infl / 10

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


@pytest.fixture
def table():
    """Three features of ten training rows; row 9 lies among the others' class."""
    x = np.zeros((10, 3), np.float32)
    x[:, 0] = [0, 1, 2, 3, 4, 20, 21, 22, 23, 2.2]
    x[:, 1] = 7  # constant
    x[:, 2] = [0, 0, 0, 0, 0, 1, 1, 1, 1, 0]
    y = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    data = jaxmem.make_dataset("t", x, y, x[:4], y[:4], class_names=("ant", "bee"))
    return data._replace(feature_names=("length", "legs", "wings"))


def test_nearest_rows_by_class(table):
    scale = rows.scale_of(table)
    values = table.train.images[:, 0, :, 0]
    np.testing.assert_allclose(scale.mean, values.mean(axis=0), rtol=1e-6)
    deviation = np.where(values.std(axis=0) > 0, values.std(axis=0), 1)
    near = rows.nearest_by_class(table, 9, scale)
    assert [n.row for n in near] == [2, 5]  # of ants, then of bees; never itself
    expected = np.sqrt((((values[9] - values[5]) / deviation) ** 2).sum())
    np.testing.assert_allclose(near[1].distance, expected, rtol=1e-5)


def test_memorized_rows_show_values(table):
    class Run:
        memorization = np.array([*[0.0] * 8, np.nan, 0.9])

        def held_out_prediction(self):
            return HeldOutPrediction(np.array([0] * 10), np.full(10, 0.95))

    figure = rows.memorized_rows(Run(), table)
    first = figure.axes[0]
    said = "mem 0.90; 95% of the models that never saw it say ant"
    assert first.get_title(loc="left") == said
    cells = {
        k: cell.get_text().get_text() for k, cell in first.tables[0].get_celld().items()
    }
    lines = [[cells[line, column] for column in range(6)] for line in range(4)]
    assert lines[0] == ["row", "class", "distance", "length", "legs", "wings"]
    assert lines[1] == ["9", "bee", "0.00", "2.2", "7", "0"]
    assert lines[2][:2] == ["5", "bee"] and lines[2][3:] == ["20", "7", "1"]
    assert lines[3][:2] == ["2", "ant"] and lines[3][3:] == ["2", "7", "0"]
    assert len(figure.axes) == 8  # the row without an estimate is none of them


def test_rows_are_drawn_as_values_not_pixels(table):
    figure = figures.examples(np.linspace(0, 1, 10), table)
    assert not shown(figure)
    drawn = [patch for axis in figure.axes for patch in axis.patches]
    scale = rows.scale_of(table)
    expected = scale.standardised(table.train.images[9])  # the highest of all
    np.testing.assert_allclose(drawn[0].get_data().values, expected)


def test_pictures_are_no_rows(data):
    assert rows.scale_of(data) is None
