"""All N x E influences, searched in tiles that never leave the device whole.

`strongest` is what a run answers with; `search` gives rows, columns and counts. A tile's
counts stay on the device; what leaves it are two kinds of maxima: over each group of 16
columns, and over all 256 rows of each column. A pair above a threshold, or among the k
highest of its row or column, lies in a group or a block of rows whose maximum is as high:
only those are counted again, one by one.
"""

from jaxmem.estimates.search.best import Best
from jaxmem.estimates.search.discoveries import discovery_level
from jaxmem.estimates.search.memory import MEMORY
from jaxmem.estimates.search.pairs_above import TooManyPairs
from jaxmem.estimates.search.streaming import Found, search, search_parts
from jaxmem.estimates.search.strongest import Strongest, strongest
from jaxmem.estimates.search.tiles import MOST_TRIALS

__all__ = [
    "MEMORY",
    "MOST_TRIALS",
    "Best",
    "Found",
    "Strongest",
    "TooManyPairs",
    "discovery_level",
    "search",
    "search_parts",
    "strongest",
]
