"""Which images the diffusion system takes: of b near 0 and near 800, or a scanner's ADC map in their stead."""

from models.stack_card import ADC, HIGH, LOW, NeedSpec

LOW_B = NeedSpec(LOW, ("DWI",), ("axial",), (0.0, 50.0), 0.0, min_slices=3)
HIGH_B = NeedSpec(HIGH, ("DWI",), ("axial",), (600.0, 1000.0), 800.0, min_slices=3)
MAP = NeedSpec(ADC, ("ADC",), ("axial",), min_slices=3, instead_of=(LOW, HIGH))
