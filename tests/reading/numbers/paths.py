"""The slow, obvious reference: every path through the columns, one by one."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnist_cnn.reading.numbers.ctc import log_probabilities


def text_of(path: tuple[int, ...]) -> str:
    """Merge repeated symbols and drop blanks."""
    return "".join(str(symbol - 1) for symbol, _ in itertools.groupby(path) if symbol)


def probabilities(columns: NDArray[np.float64], symbols: tuple[int, ...]) -> Counter[str]:
    """Return the probability of each text, summed over all paths of a few symbols."""
    texts: Counter[str] = Counter()
    for path in itertools.product(symbols, repeat=len(columns)):
        texts[text_of(path)] += np.exp(sum(columns[place, symbol] for place, symbol in enumerate(path)))
    return texts


FEW = (0, 1, 2, 6)  # the blank, and the digits 0, 1 and 5


@st.composite
def few_columns(draw: st.DrawFn, longest: int = 5) -> NDArray[np.float64]:
    """Draw the log-probabilities of some columns, in which digits other than 0, 1 and 5 hardly occur."""
    count = draw(st.integers(1, longest))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = random.normal(0, draw(st.sampled_from([0.1, 1.0, 4.0])), (count, 11))
    others = [symbol for symbol in range(11) if symbol not in FEW]
    scores[:, others] = -60
    return log_probabilities(scores)
