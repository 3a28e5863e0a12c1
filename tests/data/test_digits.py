import numpy as np

import jaxmem
from jaxmem.data import count_duplicates


def test_digits_are_a_fixed_stratified_split(digits):
    assert digits.train.images.shape == (1437, 8, 8, 1)
    assert digits.test.images.shape == (360, 8, 8, 1)
    assert digits.train.images.max() == 1.0
    shares = [np.bincount(s.labels) / s.labels.size for s in (digits.train, digits.test)]
    np.testing.assert_allclose(*shares, atol=0.005)
    assert digits.fingerprint == jaxmem.load_dataset("digits").fingerprint
    assert count_duplicates(digits.train.ids, digits.test.ids) == (0, 0)
    assert (digits.recipes, digits.class_names) == ("digits", ())
    assert digits.fingerprint == "d5fc9b93d7546d23"  # as of the runs that there are
