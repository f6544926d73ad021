"""Says of an answer that the CPU computed it where the GPU was meant to. Pure."""

from dataclasses import replace

from models.findings import Findings
from models.session import CPU
from models.shortage import Tally


def where_computed(findings: Findings, before: Tally, after: Tally) -> Findings:
    """The findings with the provider that ran, and a sentence for the reader where that was not the one configured.

    Parameters
    ----------
    before, after
        What the networks had done when the model was asked, and when it had answered.
    """
    if after.on_cpu == before.on_cpu:
        return findings
    model = findings.model
    provider = CPU if after.on_gpu == before.on_gpu else f"{model.provider} + {CPU}"
    sentence = (
        f"The GPU was full or failed, so the CPU computed the answer of {model.name} {model.version}. The log of the "
        "node says why."
    )
    return replace(findings, model=replace(model, provider=provider), notes=(*findings.notes, sentence))
