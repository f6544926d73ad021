"""Many honest associations at once, each with images of its own."""

import hashlib

from tests.bench import flood
from tests.bench.loads import MR_IMAGE, Kind, made
from tests.bench.tables import percentile
from tests.faults.checks import Check, Job, Outcome
from tests.faults.senders import missing
from tests.faults.targets import KINDS, running

_IMAGES, _SHORT_IMAGES = 20, 5
_P99_S = 0.5
_MR128 = Kind("MR 128²", MR_IMAGE, "MR", 128, 128)


def run(job: Job) -> Outcome:
    """So many associations at the same moment; every image must be acknowledged and held."""
    outcome = Outcome(count=job.count)
    images = _SHORT_IMAGES if job.short else _IMAGES
    loads = [made(_MR128, images, seed=1000 * job.seed + number) for number in range(job.count)]
    sent = {item.sop_instance_uid: hashlib.sha256(item.data).hexdigest() for items in loads for item in items}
    with running(KINDS[job.against](job.folder / "target")) as target:
        calling, called = target.titles
        try:
            answers = flood.send(target.port, loads, calling=calling, called=called)
        except (AssertionError, OSError) as error:
            outcome.fail(f"an association had no proper end: {error}")
            return outcome
        lost, changed = missing(sent, target.held())
    good = sum(status == 0 for status in answers.statuses)
    p99 = percentile(answers.waits_s, 0.99)
    outcome.figures = {
        "acknowledged": f"{good} of {len(sent)}",
        "lost": str(lost),
        "changed": str(changed),
        "images a second": f"{len(sent) / answers.seconds:.0f}",
        "answer p99": f"{1000 * p99:.0f} ms",
    }
    if good < len(sent) or lost or changed:
        outcome.fail(f"{len(sent) - good} of {len(sent)} not acknowledged, {lost} lost, {changed} changed")
    if not job.short and p99 > _P99_S:
        outcome.fail(f"p99 is {1000 * p99:.0f} ms; {1000 * _P99_S:.0f} ms are allowed")
    return outcome


CHECK = Check(
    "flood",
    "50 associations at once are all accepted, every image is acknowledged and held, p99 within 500 ms",
    run,
    full_count=50,
    short_count=20,
)
