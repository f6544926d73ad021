"""The composite storage classes of the standard (PS3.6 Table A-1), as text.

Plain text on purpose: pynetdicom has the same list and takes half a second to load, which a listener that was killed
does not have. A test compares the two.
"""

_ROOT = "1.2.840.10008.5.1.4.1.1."

_CURRENT = (
    "1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 3.1 4 4.1 4.2 4.3 4.4 6.1 6.2 6.3 7 7.1 7.2 7.3 7.4 9.1.1 9.1.2 "
    "9.1.3 9.1.4 9.2.1 9.3.1 9.4.1 9.4.2 9.5.1 9.6.1 9.6.2 9.7.1 9.7.2 9.7.3 9.7.4 9.8.1 9.100.1 9.100.2 11.1 11.2 "
    "11.3 11.4 11.5 11.6 11.7 11.8 11.9 11.10 11.11 11.12 12.1 12.1.1 12.2 12.2.1 13.1.1 13.1.2 13.1.3 13.1.4 "
    "13.1.5 14.1 14.2 20 30 66 66.1 66.2 66.3 66.4 66.5 66.6 66.7 66.8 67 68.1 68.2 77.1.1 77.1.1.1 77.1.2 77.1.2.1 "
    "77.1.3 77.1.4 77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.3 77.1.5.4 77.1.5.5 77.1.5.6 77.1.5.7 77.1.5.8 77.1.6 77.1.7 "
    "77.1.8 77.1.9 78.1 78.2 78.3 78.4 78.5 78.6 78.7 78.8 79.1 80.1 81.1 82.1 88.11 88.22 88.33 88.34 88.35 88.40 "
    "88.50 88.59 88.65 88.67 88.68 88.69 88.70 88.71 88.72 88.73 88.74 88.75 88.76 88.77 90.1 91.1 104.1 104.2 "
    "104.3 104.4 104.5 128 128.1 130 131 200.2 200.8 481.1 481.2 481.3 481.4 481.5 481.6 481.7 481.8 481.9 481.10 "
    "481.11 481.12 481.13 481.14 481.15 481.16 481.17 481.18 481.19 481.20 481.21 481.22 481.23 481.24 481.25"
)
_ELSEWHERE = ("1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10")
"""RT Beams Delivery Instruction and RT Brachy Application Setup Delivery Instruction."""

# Ultrasound, nuclear medicine, standalone overlays, curves and tables, biplane, PET curves, and the trial versions of
# waveforms, visible light and structured reports.
_RETIRED = "3 5 6 8 9 10 11 12.3 129 9.1 77.1 77.2 88.1 88.2 88.3 88.4"

CURRENT = frozenset({_ROOT + tail for tail in _CURRENT.split()} | {*_ELSEWHERE})
RETIRED = frozenset({_ROOT + tail for tail in _RETIRED.split()})
"""Archives still hold them."""
