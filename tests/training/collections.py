"""Small collections of drawn radiographs in the layout of btxrd256: `labels.csv`, `images/`, `masks/`."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("malignant", "benign", "normal")


def write(folder: Path, images: int = 240, side: int = 64) -> Path:
    """Limbs with a bright, ragged (malignant), a dark, round (benign) or no lesion; ids run class by class."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image_id", "cls"])
        for number in range(1, images + 1):
            kind = CLASSES[(number - 1) * len(CLASSES) // images]
            pixels, mask = picture(number, kind, side)
            Image.fromarray(pixels).save(folder / "images" / f"IMG{number:06d}.jpg", quality=95)
            if mask.any():
                Image.fromarray(mask).save(folder / "masks" / f"IMG{number:06d}.png")
            table.writerow([f"IMG{number:06d}", kind])
    return folder


def picture(seed: int, kind: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """One radiograph and its mask, both uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side
    middle = 0.5 + 0.1 * np.sin(3 * rows + rng.uniform(0, 6))
    grey = 40.0 + 60.0 * (np.abs(columns - middle) < 0.3) + 70.0 * (np.abs(columns - middle) < rng.uniform(0.1, 0.15))
    mask = np.zeros((side, side), dtype=bool)
    if kind != "normal":
        row, column, radius = rng.uniform(0.25, 0.75), rng.uniform(0.4, 0.6), rng.uniform(0.1, 0.18)
        mask = np.hypot(rows - row, columns - column) < radius
        grey[mask] = 250.0 if kind == "malignant" else 20.0
    grey += rng.normal(0, 6, grey.shape)
    return np.clip(grey, 0, 255).astype(np.uint8), mask.astype(np.uint8) * np.uint8(255)
