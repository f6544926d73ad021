"""What is said of a series that is unlike those a model was trained on: nothing but that, and by how much."""

import numpy as np

from models.findings import Answer, SourceFindings, Spacing, SpacingSource
from models.volume import Volume


def unassessed(volume: Volume, strangeness: float, limit: float) -> SourceFindings:
    """That nothing is said of a series, and why."""
    note = (
        "Not assessed: the series is unlike those that the model was trained on (strangeness "
        f"{strangeness:.1f}, the limit is {limit:.1f}). Read it without the model."
    )
    grid = volume.grid
    return SourceFindings(
        series_instance_uid=volume.series_instance_uid,
        images=volume.images,
        answer=Answer.NOT_ASSESSED,
        probabilities={},
        mask=np.zeros(grid.shape, dtype=np.uint8),
        spacing=Spacing(grid.spacing[1], grid.spacing[2], SpacingSource.CALIBRATED),
        lesions=(),
        notes=(*volume.notes, note),
    )
