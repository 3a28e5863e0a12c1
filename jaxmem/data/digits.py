"""scikit-learn's bundled handwritten digits: 1,797 real 8×8 images, no network needed.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
"""

import numpy as np

from jaxmem.data.dataset import Dataset, make_dataset


def load_digits() -> Dataset:
    """The digits in a fixed stratified split: 1,437 to train, 360 to test."""
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    digits = sklearn_digits()
    images = (digits.images / 16).astype(np.float32)  # 17 grey levels
    x_train, x_test, y_train, y_test = train_test_split(
        images, digits.target, test_size=360, stratify=digits.target, random_state=0
    )
    data = make_dataset("digits", x_train, y_train, x_test, y_test)
    return data._replace(recipes="digits")
