"""The diffusion system: tumours on diffusion-weighted MR of pelvis and limbs."""

from dataclasses import replace

from models.stack_card import ADC, DIFFUSION, HIGH, NeedSpec
from training.diffusion.dataset import read
from training.diffusion.needs import HIGH_B, LOW_B, MAP, MORE_B
from training.diffusion.recipe import RECIPES, VARIANTS
from training.stacks.recipe import Recipe
from training.stacks.system import System, Words

PHANTOM = Words(
    "Research. Outlines what may be a tumour on axial diffusion-weighted MR of the pelvis or a limb, with its volume, "
    "longest diameter and mean ADC, for a reader to look at. It decides nothing.",
    "Trained on phantoms, pelves and limbs drawn from formulas. It shows that the way from images to report works; "
    "what it says of a patient's images means nothing, and its figures must not be set beside those of the paper, "
    "which are of patients. Nodes, cysts, abscesses and slow flow may be outlined, tumours may be missed.",
    "Apache-2.0: weights trained on phantoms only",
)
REAL = replace(
    PHANTOM,
    limitations=(
        "Axial images with b near 0 and from 600 to 1000 s/mm2 only. Nodes, cysts, abscesses and slow flow may be "
        "outlined, tumours may be missed. It does not tell kinds of tumour apart. Not for any clinical decision."
    ),
    licence="research only: see the licence of the training data",
)


def _needs(recipe: Recipe) -> tuple[NeedSpec, ...]:
    """An ADC alone may be the scanner's; images alone give an ADC of what is found where b near 0 is there too."""
    if recipe.channels == (ADC,):
        return LOW_B, HIGH_B, MAP
    if recipe.channels == (HIGH,):
        return HIGH_B, replace(LOW_B, is_optional=True)
    return LOW_B, HIGH_B, MORE_B


def _described(patients: int, kind: str) -> str:
    made = " of osteon-train phantoms --part diffusion" if kind == "phantom" else ""
    return f"{patients} {kind} patients{made}, each with b near 0 and near 800 s/mm2"


SYSTEM = System(
    name="diffusion",
    system=DIFFUSION,
    recipes=RECIPES,
    read=read,
    needs=_needs,
    body_parts=("pelvis", "limb"),
    takes_derived=False,
    region_min_mm3=200.0,
    words={"phantom": PHANTOM, "real": REAL},
    described=_described,
    paper=(
        "diffusion-unet-dwi: a 2D U-Net for musculoskeletal tumours on DWI and ADC maps of 15 subjects; its Dice "
        "there, on patients, 0.396 (DWI) and 0.530 (ADC)"
    ),
    variants={VARIANTS["dwi"]: "diffusion-dwi", VARIANTS["adc"]: "diffusion-adc"},
)
