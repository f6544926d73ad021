"""What a phantom costs: processor seconds per patient, on one core, as training draws them."""

import time
from collections.abc import Callable

from tests.bench.tables import Table, spread
from training.phantoms.diffusion import diffusion_patient
from training.phantoms.hand import hand_patient
from training.phantoms.knee import knee_phantom
from training.phantoms.spine import spine_patient

PARTS: dict[str, Callable[[int], object]] = {
    "knee, one radiograph": knee_phantom,
    "diffusion, 35 slices": diffusion_patient,
    "hand, three or four series": hand_patient,
    "spine, its sequences": spine_patient,
}


def phantoms_table(count: int) -> Table:
    """Each part's processor seconds over `count` patients, after one that is not counted."""
    table = Table("Drawing phantoms", ("patient", "drawn", "processor seconds"))
    for name, draw in PARTS.items():
        draw(0)
        seconds = []
        for seed in range(1, count + 1):
            begin = time.process_time()
            draw(seed)
            seconds.append(time.process_time() - begin)
        table.add(name, count, spread(seconds))
    return table
