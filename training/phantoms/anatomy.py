"""A knee drawn at random: femur, tibia, fibula, patella and the soft tissue around them, posed for one view.

Sizes are those of adults (R: textbook orders of magnitude, not measured); each patient is a draw around them. In a
bone's own frame `x` points to the patient's lateral side and `y` to the front.
"""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from training.phantoms.bodies import Body, Bone, Frame, Knots


class View(StrEnum):
    """How the knee was laid on the detector."""

    AP = "AP"
    """From the front, straight."""
    LATERAL = "LL"
    """From the side, bent."""


@dataclass(frozen=True, slots=True)
class Knee:
    """One posed knee; `muscle` lies within `skin`."""

    bones: tuple[Bone, ...]
    skin: tuple[Bone, ...]
    muscle: tuple[Bone, ...]


@dataclass(frozen=True, slots=True)
class _Patient:
    """What one patient has in all views."""

    scale: float
    girth: float
    fat_mm: float
    cortex: float
    flare: float


def _scaled(knots: Knots, along: float, across: float) -> Knots:
    return tuple((v * along, width * across) for v, width in knots)


def _sized(body: Body, patient: _Patient) -> Body:
    """The body at this patient's size, with this patient's cortex."""
    s = patient.scale
    return dataclasses.replace(
        body,
        half_x=_scaled(body.half_x, s, s),
        half_y=_scaled(body.half_y, s, s),
        centre_x=_scaled(body.centre_x, s, s),
        centre_y=_scaled(body.centre_y, s, s),
        cap_x=(body.cap_x[0] * s, body.cap_x[1] * s),
        cap_y=(body.cap_y[0] * s, body.cap_y[1] * s),
        cortex=_scaled(body.cortex, s, s * patient.cortex),
    )


def _femur(flare: float) -> tuple[Body, ...]:
    """`v` is 0 at the joint surface and grows up the thigh."""
    shaft = Body(
        half_x=((9, 20), (20, 37), (33, 40 * flare), (46, 35 * flare), (66, 25), (95, 17.5), (140, 14.5), (300, 14.5)),
        half_y=((9, 12), (24, 20), (36, 23), (48, 21), (66, 18), (95, 15.5), (140, 15), (300, 15)),
        centre_y=((9, 2), (40, 1), (70, 3), (110, 5), (300, 9)),
        cap_x=(9, 0),
        cap_y=(22, 0),
        cortex=((9, 0.6), (40, 0.9), (60, 1.6), (85, 3.6), (130, 6), (300, 6.5)),
    )

    def condyle(side: int, drop: float) -> Body:
        return Body(
            half_x=((drop, 13), (12, 15.5), (24, 16.5), (40, 15), (56, 9)),
            half_y=((drop, 33), (28, 33), (56, 31)),
            centre_x=((0, side * 23.5), (25, side * 23), (56, side * 18)),
            centre_y=((0, -9), (28, -13), (56, -6)),
            cap_x=(7, 14),
            cap_y=(26, 27),
            cortex=((0, 1.2), (56, 0.8)),
        )

    return shaft, condyle(1, 0.8), condyle(-1, 0)


def _tibia(flare: float) -> tuple[Body, ...]:
    """`v` is 0 at the plateau and grows down the shin."""
    shaft = Body(
        half_x=((0, 38), (7, 39.5), (16, 37 * flare), (30, 29 * flare), (52, 19), (90, 14.5), (150, 13), (320, 12.5)),
        half_y=((0, 24), (8, 25.5), (18, 24), (34, 19.5), (60, 17), (100, 15), (320, 14)),
        centre_y=((0, -5), (20, -4), (60, 0), (320, 3)),
        cap_x=(4.5, 0),
        cap_y=(4, 0),
        cortex=((0, 1.8), (12, 1.2), (35, 1.4), (60, 3), (100, 5.2), (150, 6.2), (320, 6.5)),
    )
    spines = [
        Body(
            half_x=((-7 + low, 1.2), (-3, 3.2), (3, 7.5)),
            half_y=((-7 + low, 2.5), (0, 6), (3, 8)),
            centre_x=((0, x),),
            centre_y=((0, -2),),
            cap_x=(1.5, 0),
            cap_y=(2, 0),
            cortex=((0, 0.9),),
        )
        for x, low in ((-5.5, 0.0), (5.0, 1.2))
    ]
    tuberosity = Body(
        half_x=((14, 8), (34, 10), (62, 6)),
        half_y=((14, 8), (34, 10), (62, 6)),
        centre_y=((14, 12), (34, 14.5), (62, 11)),
        cap_x=(9, 16),
        cap_y=(14, 22),
        cortex=((14, 1.2), (62, 2.2)),
    )
    return shaft, *spines, tuberosity


def _fibula() -> tuple[Body, ...]:
    """In the frame of the tibia."""
    return (
        Body(
            half_x=((12, 6), (22, 10.5), (34, 9), (52, 6), (90, 6.2), (320, 6.6)),
            half_y=((12, 6), (22, 11), (34, 9), (52, 6.2), (90, 6.6), (320, 7)),
            centre_x=((12, 33), (26, 33.5), (60, 31), (120, 29.5), (320, 28)),
            centre_y=((12, -20), (60, -19), (320, -13)),
            cap_x=(7, 0),
            cap_y=(7, 0),
            cortex=((12, 1), (35, 1.2), (60, 2.4), (120, 2.8), (320, 2.8)),
        ),
    )


def _patella() -> tuple[Body, ...]:
    """`v` is 0 at the lower pole."""
    return (
        Body(
            half_x=((0, 12), (16, 21), (28, 22.5), (42, 18)),
            half_y=((0, 6.5), (18, 10.5), (42, 9)),
            centre_y=((0, -2), (20, 0), (42, 0.5)),
            cap_x=(15, 10),
            cap_y=(8, 6),
            cortex=((0, 0.9), (42, 0.9)),
        ),
    )


def _limb(patient: _Patient, inset_mm: float, *, thigh: bool) -> Body:
    """Thigh or lower leg as one tube, `inset_mm` within the skin."""
    g, s = patient.girth, patient.scale
    # Seen from the joint outwards; both reach past it and end rounded, so that a bent knee is closed.
    widths: Knots = (
        ((-42, 46), (0, 54), (30, 57), (80, 63), (160, 76), (320, 92))
        if thigh
        else ((-42, 46), (0, 53), (25, 50), (60, 53), (110, 60), (170, 56), (260, 38), (330, 34))
    )
    depths: Knots = (
        ((-42, 44), (0, 57), (40, 60), (90, 66), (160, 78), (320, 94))
        if thigh
        else ((-42, 44), (0, 55), (25, 51), (60, 53), (110, 60), (170, 57), (260, 40), (330, 36))
    )
    start = widths[0][0] + inset_mm
    return Body(
        half_x=((start, max(widths[0][1] * g - inset_mm, 5)), *((v * s, w * g - inset_mm) for v, w in widths[1:])),
        half_y=((start, max(depths[0][1] * g - inset_mm, 5)), *((v * s, w * g - inset_mm) for v, w in depths[1:])),
        centre_y=((-42, 0), (0, -6), (60, -12 if not thigh else -4), (120, -20 if not thigh else -6), (330, -8)),
        cap_x=(30, 0),
        cap_y=(42, 0),
        cortex=((0, 0.5),),
    )


def draw_knee(rng: np.random.Generator, view: View, side: int) -> Knee:
    """One knee in one view.

    Parameters
    ----------
    side
        1 when the patient's lateral side is on the right of the picture, -1 otherwise; in a lateral view 1 when the
        front of the knee is.
    """
    patient = _Patient(
        scale=float(rng.uniform(0.88, 1.1)),
        girth=float(rng.uniform(0.86, 1.14)),
        fat_mm=float(rng.uniform(4, 15)),
        cortex=float(rng.uniform(0.75, 1.15)),
        flare=float(rng.uniform(0.95, 1.05)),
    )
    thigh, shin, patella = _pose(rng, view, side, patient.scale)

    def bone(name: str, bodies: tuple[Body, ...], frame: Frame) -> Bone:
        return Bone(name, tuple(_mirrored(_sized(b, patient), side, view) for b in bodies), frame)

    bones = (
        bone("femur", _femur(patient.flare), thigh),
        bone("tibia", _tibia(patient.flare), shin),
        bone("fibula", _fibula(), shin),
        bone("patella", _patella(), patella),
    )

    def flesh(inset_mm: float) -> tuple[Bone, ...]:
        return tuple(
            Bone("flesh", (_mirrored(_limb(patient, inset_mm, thigh=frame is thigh), side, view),), frame)
            for frame in (thigh, shin)
        )

    return Knee(bones, flesh(0), flesh(patient.fat_mm))


def _mirrored(body: Body, side: int, view: View) -> Body:
    """The body with its lateral (front view) or front (side view) on the other side of the picture."""
    if side > 0:
        return body
    if view is View.AP:
        return dataclasses.replace(body, centre_x=tuple((v, -c) for v, c in body.centre_x))
    return dataclasses.replace(body, centre_y=tuple((v, -c) for v, c in body.centre_y))


def _pose(rng: np.random.Generator, view: View, side: int, scale: float) -> tuple[Frame, Frame, Frame]:
    """Frames of thigh, shin and patella."""
    x, z = rng.uniform(-8, 8), rng.uniform(-14, 14)
    gap = rng.uniform(4, 6) * scale
    turn = rng.normal(0, np.radians(5))
    if view is View.AP:
        whole, valgus = rng.normal(0, np.radians(4)), rng.normal(np.radians(3), np.radians(2)) * side
        thigh = Frame(x, z, -whole + valgus, turn, up=True)
        shin = Frame(x, z + gap, whole, turn, up=False)
        low = rng.uniform(8, 16) * scale
        at_x = x + np.sin(valgus - whole) * low + rng.normal(0, 3)
        return thigh, shin, Frame(at_x, z - low, valgus - whole, turn, up=True)
    turn += np.pi / 2
    bend = rng.uniform(np.radians(20), np.radians(65))
    lean = rng.uniform(0.35, 0.65) * bend
    # The joint turns about the middle of the condyles, 28 mm above the surface and 12 mm behind the axis.
    radius, back = 28 * scale, -12 * scale * side
    thigh_tilt, shin_tilt = -lean * side, -(bend - lean) * side
    centre_x, centre_z = x, z
    thigh = _through(centre_x, centre_z, thigh_tilt, turn, (back, radius), up=True)
    shin = _through(centre_x, centre_z, shin_tilt, turn, (-4 * scale * side, -(radius + gap)), up=False)
    patella_tilt = thigh_tilt + 0.62 * bend * side
    front = (-rng.uniform(43.5, 46) * scale * side, rng.uniform(13, 25) * scale)
    return thigh, shin, _through(centre_x, centre_z, patella_tilt, turn, front, up=True)


def _through(x: float, z: float, tilt: float, turn: float, point: tuple[float, float], *, up: bool) -> Frame:
    """The frame in which the image point `(x, z)` has the coordinates `point`."""
    u, v = point
    cos, sin = np.cos(tilt), np.sin(tilt)
    # Inverse of Frame.coordinates: dx = u cos + v sin, dz = -u sin + v cos.
    dx, dz = u * cos + v * sin, -u * sin + v * cos
    return Frame(float(x - dx), float(z + dz if up else z - dz), float(tilt), float(turn), up)
