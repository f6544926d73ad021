"""Answers that a network cannot mean: the same number at every place of an image that is not the same everywhere.

Weights that are all zero, or an output that is stuck, give just that. Taken for an answer it would be "no tumour" or a
tumour as large as the image; it is neither, and so it is a failure.
"""

import numpy as np
import numpy.typing as npt

from models.errors import InferenceError

_ALIKE = 1e-6
"""Differences below come of the order of additions."""


def refuse_constant(answer: npt.NDArray[np.float32], seen: npt.NDArray[np.float32], name: str) -> None:
    """Refuse an answer that does not depend on the place.

    Parameters
    ----------
    answer
        What the network says of every place of one study or image, before any threshold; classes, slices or windows
        on the first axis.
    seen
        What it was given.
    name
        Of the model, for the message.

    Raises
    ------
    InferenceError
        No part of `answer` has more than one number, and `seen` has.
    """
    if all(map(_is_constant, answer)) and not _is_constant(seen):
        raise InferenceError(
            f"{name} gave the same number, {float(answer.flat[0]):.3g}, for every place of the image, so it gives "
            "no answer. Look at the image by hand; restore the bundle or its former version, then osteon retry."
        )


def _is_constant(values: npt.NDArray[np.float32]) -> bool:
    low, high = float(values.min()), float(values.max())
    return high - low <= _ALIKE * max(1.0, abs(high))
