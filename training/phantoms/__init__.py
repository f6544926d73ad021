"""Phantom radiographs: bones from formulas, lesions with a known outline, as DX or CR. No torch, no real patient."""
