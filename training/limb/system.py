"""The limb system: soft-tissue sarcoma on T1 MR of the extremities."""

from models.stack_card import LIMB, NeedSpec
from training.limb.dataset import read
from training.limb.recipe import RECIPES
from training.stacks.recipe import Recipe
from training.stacks.system import System, Words

NEEDS = (NeedSpec("t1", ("T1",), ("axial",), min_slices=3, may_be_contrasted=False),)
INTENDED_USE = (
    "Research. Outlines what may be a soft-tissue sarcoma on axial T1 MR of a limb, with its volume and diameters, for "
    "a reader to look at. It decides nothing."
)
REAL = Words(
    INTENDED_USE,
    "Made from 30 patients of one public collection, every one with a sarcoma, cropped about 5 cm around it, freed of "
    "the coil's field and scaled on fat by its publishers: how it does on a whole limb, on a limb without a tumour, or "
    "on images as a scanner makes them was not measured, and false regions must be expected there. T1 without contrast "
    "agent and without fat suppression only. It does not tell kinds of tumour apart. Not for any clinical decision.",
    "research only: weights trained on a part of TCIA Soft-tissue-Sarcoma, CC BY 3.0 as stated by theibsi/data_sets "
    "(ibsi_validation); cite Vallieres et al., Phys Med Biol 2015, 60:5471",
)
PHANTOM = Words(
    INTENDED_USE,
    "Trained on made volumes. It shows that the way from images to report works; what it says of a patient's images "
    "means nothing.",
    "Apache-2.0: weights trained on phantoms only",
)


def _needs(recipe: Recipe) -> tuple[NeedSpec, ...]:
    return NEEDS


def _described(patients: int, kind: str) -> str:
    if kind == "phantom":
        return f"{patients} made volumes in the layout of sts-mr"
    return (
        f"sts-mr: {patients} patients of TCIA Soft-tissue-Sarcoma (Vallieres et al. 2015) as theibsi/data_sets gives "
        "them, axial T1 MR of limbs cropped around the tumour, with the expert's gross tumour volume"
    )


SYSTEM = System(
    name="limb",
    system=LIMB,
    recipes=RECIPES,
    read=read,
    needs=_needs,
    body_parts=("limb",),
    takes_derived=True,
    region_min_mm3=500.0,
    words={"real": REAL, "phantom": PHANTOM},
    described=_described,
    paper=(
        "none: a U-Net (Ronneberger et al. 2015); the preset strong takes spacing, grey values, deep supervision and "
        "loss from nnU-Net (Isensee et al. 2021), the preset small the last two"
    ),
)
