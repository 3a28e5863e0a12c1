"""scikit-learn's bundled handwritten digits: 1,797 real 8×8 images, no network needed.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
"""

import numpy as np

from jaxmem.data.dataset import Dataset, make_dataset
from jaxmem.data.options import Options, only


def load_digits(options: Options) -> Dataset:
    """The digits in a fixed stratified split: 1,437 to train, 360 to test.

    Names are row numbers in scikit-learn's own order.
    """
    only("digits", options)
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    digits = sklearn_digits()
    images = (digits.images / 16).astype(np.float32)  # 17 grey levels
    y, rows = digits.target, np.arange(1797)
    train, test = train_test_split(rows, test_size=360, stratify=y, random_state=0)
    data = make_dataset(
        "digits",
        *(images[train], y[train], images[test], y[test]),
        train_names=train.astype("U"),
        test_names=test.astype("U"),
    )
    return data._replace(recipes="digits")
