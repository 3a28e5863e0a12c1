"""Copies that models are asked about: made by slicing, stored by every trial, refused."""

import numpy as np
import pytest
from scipy.special import logsumexp

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.datamodels import highest_margins
from jaxmem.estimates.shadows import query_margins
from jaxmem.running.prediction import kept_model
from jaxmem.training.queries import check_queries, queried, query_views

BOTH = ("mirror", "shifts")


def copies_of(image, queries):
    """Of one image [H, W, C], by NumPy: all windows of the padded image but its own."""
    h, w, _ = image.shape
    corners = [(1, 1)]
    if "shifts" in queries:
        corners = [(1 - down, 1 - right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    found = []
    for mirrored in (False, True)[: 1 + ("mirror" in queries)]:
        seen = image[:, ::-1] if mirrored else image
        padded = np.pad(seen, ((1, 1), (1, 1), (0, 0)), mode="reflect")
        for top, left in corners:
            if mirrored or (top, left) != (1, 1):
                found.append(padded[top : top + h, left : left + w])
    return np.stack(found)


@pytest.mark.parametrize(
    ("queries", "count"), [(("mirror",), 1), (("shifts",), 8), (BOTH, 17)]
)
def test_copies_are_mirrored_and_shifted(queries, count):
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 2), np.uint8)
    found = np.stack([queried(images, view) for view in query_views(queries)], axis=1)
    assert found.shape == (3, count, 5, 4, 2) and found.dtype == np.uint8
    for image, copies in zip(images, found, strict=True):
        np.testing.assert_array_equal(copies, copies_of(image, queries))


@pytest.mark.parametrize("placement", ["device", "host"])
def test_trials_store_the_margins_of_copies(tiny, tiny_recipe, tmp_path, placement):
    how = {"margins": True, "placement": placement, "keep_models": True, **tiny_recipe}
    run = jaxmem.run_trials(
        tiny, 3, tmp_path / "asked", queries="shifts,mirror", highest_margins=True, **how
    )
    if placement == "device":
        plain = jaxmem.run_trials(tiny, 3, tmp_path / "plain", **how)
        np.testing.assert_array_equal(run.train_margin, plain.train_margin)
    found = query_margins(run)
    assert found.shape == (3, 17, 61) and found.dtype == np.float16
    for trial in run.trials:
        params, _ = kept_model(run.workdir, trial, tiny)
        scaling = _scaling(tiny.train.images[run.included[trial]])

        def logits(images, params=params, scaling=scaling):
            x = ((images - scaling[0]) / scaling[1]).reshape(len(images), -1)
            for k, name in enumerate(sorted(params)):
                x = np.maximum(x, 0) if k else x
                x = x @ params[name]["kernel"] + params[name]["bias"]
            return x

        for row in (0, 17, 60):
            copies = logits(copies_of(tiny.train.images[row], BOTH))
            label = tiny.train.labels[row]
            others = logsumexp(np.delete(copies, label, axis=1), axis=1)
            np.testing.assert_allclose(
                found[trial, :, row], copies[:, label] - others, atol=3e-3
            )
        test, labels = logits(tiny.test.images), tiny.test.labels
        own = test[np.arange(9), labels]
        test[np.arange(9), labels] = -np.inf
        np.testing.assert_allclose(
            highest_margins(run)[trial], own - test.max(axis=1), atol=3e-3
        )


def _scaling(images):
    return images.mean(dtype=np.float64), images.std(dtype=np.float64)


def test_what_has_no_copies(tiny, tiny_recipe, tmp_path):
    assert check_queries(["shifts", "mirror", "shifts"], (8, 8, 1)) == BOTH
    assert check_queries((), (1, 30, 1)) == () and query_views(()).shape == (0, 3)
    with pytest.raises(InputError, match="unknown query 'crop'; known: mirror, shifts"):
        check_queries("crop", (8, 8, 1))
    with pytest.raises(InputError, match="examples of 1 x 30 have no mirror images"):
        check_queries("mirror", (1, 30, 1))
    with pytest.raises(InputError, match="attacks on margins: give --margins too"):
        jaxmem.run_trials(tiny, 2, tmp_path, queries="mirror", **tiny_recipe)
    plain = jaxmem.run_trials(tiny, 2, tmp_path, margins=True, **tiny_recipe)
    with pytest.raises(InputError, match="stored no queries: run it with --queries=mirror"):
        query_margins(plain)
    with pytest.raises(InputError, match="run it with --highest-margins"):
        highest_margins(plain)
