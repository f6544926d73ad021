"""What goes wrong in a scanner: artefacts that ordinary phantoms have not, or not so strongly (MODELS.md §4.4).

A phantom drawn with an artefact is the very patient that its seed gives without one, so that the loss of Dice between
both is the artefact's doing. A network that learned from ordinary ones has not seen it, or not so strong.

Legend: images `(slices, rows, columns)` before noise, any unit; rows are the direction of phase encoding.
"""

import copy
from collections.abc import Callable, Mapping
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rng = np.random.Generator


class Artefact(StrEnum):
    """One kind of them."""

    MOTION = "motion"
    """The patient breathes or trembles: each line of k-space is of another place, and ghosts follow."""
    GIBBS = "gibbs"
    """Half of the k-space was measured along both axes: edges ring, and details are lost."""
    WRAP = "wrap"
    """A body longer than the field, or the other limb, folds in from one side."""
    NOISE = "noise"
    """Noise of a sixth to a ninth of the mean signal, on top of what ordinary phantoms have."""
    COIL = "coil"
    """A surface coil far to one side: the signal falls to a third or a fifth across the field."""


def drawn(seed: int, asked: Artefact | None, share: float) -> Artefact | None:
    """The artefact of one patient among many, of whom `share` have one; of any kind where none is asked for."""
    rng = np.random.default_rng((20261130, seed))
    kind = Artefact(rng.choice(list(Artefact)))
    return (asked or kind) if rng.random() < share else None


def named(key: str, artefact: Artefact | None) -> str:
    """The key of an examination, from which its identifiers come: with an artefact it is another one."""
    return key if artefact is None else f"{key} {artefact}"


def spoiler(artefact: Artefact | None, rng: Rng) -> Callable[[Floats], Floats]:
    """What gives an artefact to each image of one acquisition; without one, what leaves them as they are.

    Draws come from children of `rng`, so that none that follow is another than without the artefact. Geometry and
    strength are those of the acquisition, noise and the phase of a motion those of each image.
    """
    if artefact is None:
        return lambda image: image
    of_all, of_each = rng.spawn(2)
    spoil = _SPOILERS[artefact]
    return lambda image: np.asarray(spoil(image, copy.deepcopy(of_all), of_each), dtype=np.float32)


def _moved(image: Floats, rng: Rng, own: Rng) -> Floats:
    slices, rows, _ = image.shape
    line = np.fft.fftfreq(rows) * rows
    turns, amplitude = rng.uniform(6.0, 20.0), rng.uniform(0.8, 1.6)
    phases = own.uniform(0.0, 2.0 * np.pi, (slices, 1))
    away = amplitude * (np.sin(2.0 * np.pi * turns * line / rows + phases) - np.sin(phases))
    lines = np.fft.fft(image, axis=1) * np.exp(-2j * np.pi * np.fft.fftfreq(rows) * away)[:, :, None]
    return np.asarray(np.abs(np.fft.ifft(lines, axis=1)), dtype=np.float32)


def _truncated(image: Floats, rng: Rng, _: Rng) -> Floats:
    kept = rng.uniform(0.45, 0.6)
    spectrum = np.fft.fft2(image)
    for axis in (1, 2):
        beyond = np.abs(np.fft.fftfreq(image.shape[axis])) > kept / 2.0
        spectrum[(slice(None),) * axis + (beyond,)] = 0.0
    return np.asarray(np.abs(np.fft.ifft2(spectrum)), dtype=np.float32)


def _folded(image: Floats, rng: Rng, _: Rng) -> Floats:
    rows = image.shape[1]
    beyond = image[:, ::-1] if rng.random() < 0.5 else image
    is_below, share, strength = rng.random() < 0.5, rng.uniform(0.15, 0.35), np.float32(rng.uniform(0.5, 0.9))
    made, second = (image[:, ::-1].copy(), beyond[:, ::-1]) if is_below else (image.copy(), beyond)
    first, last = _extent(made)
    reach = min(rows, int(rows - _extent(second)[1] + first + share * (last - first)))
    made[:, :reach] += strength * second[:, rows - reach :]
    return np.asarray(made[:, ::-1] if is_below else made)


def _extent(image: Floats) -> tuple[int, int]:
    """The first row that shows the body, and the one behind the last."""
    profile = image.mean(axis=(0, 2))
    there = np.flatnonzero(profile > 0.1 * profile.max())
    return int(there[0]), int(there[-1]) + 1


def _noisy(image: Floats, rng: Rng, own: Rng) -> Floats:
    level = image[image > 0.1 * np.percentile(image, 99.0)].mean()
    grain = np.float32(level / rng.uniform(6.0, 9.0))
    return image + grain * own.standard_normal(image.shape, dtype=np.float32)


def _one_sided(image: Floats, rng: Rng, _: Rng) -> Floats:
    fall = np.linspace(0.0, -rng.uniform(1.1, 1.6), image.shape[1], dtype=np.float32)
    sides = fall[::-1] if rng.random() < 0.5 else fall
    return image * np.exp(sides)[:, None]


_SPOILERS: Mapping[Artefact, Callable[[Floats, Rng, Rng], Floats]] = {
    Artefact.MOTION: _moved,
    Artefact.GIBBS: _truncated,
    Artefact.WRAP: _folded,
    Artefact.NOISE: _noisy,
    Artefact.COIL: _one_sided,
}
