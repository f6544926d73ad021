"""The DICOM Conformance Statement (PS3.2, outline of Annex N), made from the tables by which the node works.

What it accepts, sends and answers is asked of the code; what its objects hold is read off objects that are made of a
sample study. `osteon conformance` prints it, deploy/CONFORMANCE.md is that, and a test fails when the two differ.
"""

from node.conformance import air, created, network, overview, services


def statement() -> str:
    """The whole statement as Markdown; the same on every machine."""
    parts = (
        *overview.parts(),
        *network.parts(),
        *services.parts(),
        *created.parts(),
        *air.parts(),
    )
    return "\n\n".join(parts) + "\n"
