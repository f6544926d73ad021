"""Which images the diffusion system takes: of b near 0 and near 800, or a scanner's ADC map in their stead.

Further b-values make the ADC steadier.
"""

from models.stack_card import ADC, HIGH, LOW, MORE, NeedSpec

LOW_B = NeedSpec(LOW, ("DWI",), ("axial",), (0.0, 50.0), 0.0, min_slices=3)
HIGH_B = NeedSpec(HIGH, ("DWI",), ("axial",), (600.0, 1000.0), 800.0, min_slices=3)
MORE_B = NeedSpec(MORE, ("DWI",), ("axial",), (100.0, 1000.0), min_slices=3, at_most=6, is_optional=True)
"""Of an ADC that is fitted through more than two b-values; below 100 s/mm2 blood that flows counts as diffusion."""
MAP = NeedSpec(ADC, ("ADC",), ("axial",), min_slices=3, instead_of=(LOW, HIGH))
