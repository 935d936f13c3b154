"""What was read in one image, and why it may not be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Reason(StrEnum):
    """Why a reading is rejected. The only list of these names; `text` explains each to people."""

    BLANK = "blank"
    SEVERAL = "several"
    UNCERTAIN = "uncertain"

    @property
    def text(self) -> str:
        """One or two sentences: what is wrong, and what to try."""
        return _TEXTS[self]


_TEXTS = {
    Reason.BLANK: "No ink was found. Try a darker pen, or move closer.",
    Reason.SEVERAL: "There is more than one thing to read. Whole numbers: mnist-cnn read, or POST /read.",
    Reason.UNCERTAIN: "This does not look like anything the model knows.",
}


@dataclass(frozen=True, eq=False)
class Reading:
    """The result for one image."""

    digit: int  #: index of the most probable class; the digit itself if the classes are the ten digits
    label: str  #: that class's name
    confidence: float  #: its calibrated probability, 0 to 1
    is_confident: bool  #: the confidence reaches the threshold
    probabilities: NDArray[np.float32]  #: [k], calibrated, sum 1
    has_ink: bool  #: if not, no digit was found, and `digit` is meaningless
    is_single: bool = True  #: if not, there are several things as large as a digit

    @property
    def reason(self) -> str:
        """Why it is rejected, a value of `Reason`; empty if it is accepted."""
        if not self.is_single:
            return Reason.SEVERAL
        if not self.has_ink:
            return Reason.BLANK
        return "" if self.is_confident else Reason.UNCERTAIN

    @property
    def accepted(self) -> bool:
        """Whether there is ink, of one digit, and the confidence reaches the threshold."""
        return not self.reason
