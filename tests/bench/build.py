"""What building the result objects costs: SEG, presentation state, secondary capture and SR of one large radiograph."""

import time
from datetime import UTC, datetime

import numpy as np

from models.findings import (
    Answer,
    Findings,
    ImageRef,
    Lesion,
    ModelIdentity,
    Outline,
    SourceFindings,
    Spacing,
    SpacingSource,
)
from models.regions import measurements, outline, paint, regions
from node.report.kind import Kind
from node.report.objects import objects, warm_up
from node.report.profile import Profile
from node.report.request import Request, Source
from tests.bench.tables import Table, spread
from tests.e2e import radiographs

ROWS, COLUMNS = 3000, 2400


def case() -> tuple[Findings, Source]:
    """A radiograph with two lesions, and what a model says of it."""
    pixels = radiographs.any_pixels(ROWS, COLUMNS)
    ds = radiographs.radiograph(pixels)
    spacing = Spacing(0.15, 0.15, SpacingSource.DETECTOR)
    row, column = np.ogrid[:ROWS, :COLUMNS]
    mask = ((row - 1000) / 300) ** 2 + ((column - 1200) / 200) ** 2 < 1 + 0.1 * np.sin(column / 9)
    mask |= (row - 2200) ** 2 + (column - 900) ** 2 < 120**2
    found = regions(mask, 30)
    lesions = tuple(
        Lesion(
            number=number,
            answer=Answer.MALIGNANT,
            probability=0.9,
            malignant_probability=0.7,
            measurements=measurements(region, spacing),
            outlines=(Outline(ds.SOPInstanceUID, None, outline(region)),),
        )
        for number, region in enumerate(found, 1)
    )
    probabilities = {Answer.NORMAL: 0.1, Answer.BENIGN: 0.2, Answer.MALIGNANT: 0.7}
    source = SourceFindings(
        series_instance_uid=ds.SeriesInstanceUID,
        images=(ImageRef(ds.SOPInstanceUID),),
        answer=Answer.MALIGNANT,
        probabilities=probabilities,
        mask=paint(found, mask.shape)[None],
        spacing=spacing,
        lesions=lesions,
    )
    model = ModelIdentity("knee-seg-unet", "bench", "0.1.0", "0" * 64, "CPUExecutionProvider", "phantom")
    return Findings(model, Answer.MALIGNANT, probabilities, (source,)), Source((ds,), display=pixels)


def build_table(rounds: int) -> Table:
    """Milliseconds for each kind alone and for all together, encoded to bytes."""
    findings, source = case()
    table = Table(
        f"Building the results of one radiograph of {ROWS}×{COLUMNS}, two lesions", ("object", "ms (min-max)", "kB")
    )
    warm_up()
    asked = {"SEG": {Kind.SEG}, "presentation state": {Kind.GSPS}, "secondary capture": {Kind.SC}, "SR": {Kind.SR}}
    for name, kinds in {**asked, "all four": set(Kind)}.items():
        request = Request(now=datetime(2026, 1, 2, tzinfo=UTC), profile=Profile(kinds=frozenset(kinds)))
        size = sum(len(one.data) for one in objects(findings, [source], request))
        seconds = []
        for _ in range(rounds):
            begin = time.perf_counter()
            objects(findings, [source], request)
            seconds.append((time.perf_counter() - begin) * 1000)
        table.add(name, spread(seconds), round(size / 1000))
    return table
