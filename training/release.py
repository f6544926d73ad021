"""What `export` is told beside run and data: version, kind, and how the network is to be served."""

import argparse
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from training.errors import RunFault

CHOICES = {
    "start_share": "--start-share",
    "mirror": "--mirror",
    "together": "--with",
    "outlined_by": "--outlined-by",
    "half": "--half",
    "global_side": "--global-side",
    "patch_side": "--patch-side",
}
"""What not every system has, by the name in the arguments, and as it is written."""


@dataclass(frozen=True, slots=True)
class Release:
    """One export."""

    version: str
    kind: str
    """"real" or "phantom": what it was trained on."""
    start_share: float = 0.0
    """See `training.run.with_weights`."""
    mirrored: bool = False
    """Whether the exported network looks at mirror images too, and answers with the mean."""
    together: tuple[Path, ...] = ()
    """Folders of the bundles whose networks answer with it, see together.py."""
    outlined_by: int = 0
    """How many of the networks outline, the run's own first; the others answer for the classes only. 0: all outline."""
    half: bool = False
    """Whether the weights are rounded to half precision, and kept so."""


def release_of(args: argparse.Namespace, has: Collection[str]) -> Release:
    """What the arguments say.

    Parameters
    ----------
    has
        Which of `CHOICES` the system has.

    Raises
    ------
    RunFault
        They ask for something that the system has not, or that means nothing: it would be left out in silence.
    """
    for name, written in CHOICES.items():
        if name not in has and getattr(args, name):
            raise RunFault(f"An export of {args.system} has no {written}. Leave it out.")
    if args.outlined_by and not args.together:
        raise RunFault(
            "--outlined-by says how many of several networks outline. Give others by --with, or leave it out."
        )
    return Release(
        version=args.version,
        kind=args.kind,
        start_share=args.start_share,
        mirrored=args.mirror,
        together=tuple(args.together),
        outlined_by=args.outlined_by,
        half=args.half,
    )
