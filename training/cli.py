"""`osteon-train`: makes the weights. Each command does one step, and the next is named when it ends.

osteon-train fit knee --preset small --data DIR --out RUN --minutes 45
osteon-train export knee --run RUN --data DIR --bundle BUNDLE --version 1.0.0
osteon-train calibrate knee --bundle BUNDLE --data DIR
osteon-train evaluate knee --bundle BUNDLE --data DIR
osteon-train phantoms --out DIR --count 10

The same for every system. What DIR may hold, each system's own sources say, and a folder that holds none of it is told
what was looked for (training/sources.py):

knee        labels.csv, images/, masks/ (btxrd256); or dataset.xlsx or .csv, images/, Annotations/ (the public BTXRD);
            or DICOM radiographs (CR, DX) with SEGs or RTSTRUCTs that say benign or malignant
limb        nifti/NAME_t1.nii.gz with NAME_mask.nii.gz; or DICOM studies of T1 with a SEG or an RTSTRUCT
diffusion   NAME.npz (phantoms --part diffusion --layout arrays); or DICOM studies of DWI with a SEG or an RTSTRUCT
hand        NAME.npz; or folders of pictures with labelme's files beside millimetres.json; or DICOM studies of MR with
            SEGs or RTSTRUCTs that name the kind
spine       NAME.npz; or DICOM studies of sagittal MR with SEGs or RTSTRUCTs that say benign or malignant

Beyond that:

osteon-train evaluate knee --bundle BUNDLE --data DIR --report report.html --run RUN --montage cases.png
osteon-train compare knee --bundle BUNDLE --other BUNDLE --data DIR
osteon-train folds spine --data DIR --out RUNS
osteon-train ablate spine --bundle BUNDLE --data DIR --kind real
osteon-train ablate knee --out RUN --data DIR --kind real
osteon-train figures --readme README.md

On several GPUs, or several processes: torchrun --nproc-per-node 4 -m -- training.cli fit knee ...
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import models
from models.errors import BundleError
from training import figures, parts, progress
from training.errors import TrainingError
from training.phantoms import cli as phantoms

SYSTEMS = ("diffusion", "hand", "knee", "limb", "spine")
STACKS = ("limb", "diffusion")
"""Those whose thresholds the networks of folds may choose."""
SHIPPED = Path(models.__file__).parent / "bundles"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 2 with a sentence on stderr."""
    args = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        with progress.beside_logs():
            if args.command == "phantoms":
                return phantoms.run(args)
            return _figures(args) if args.command == "figures" else _system(args)
    except (TrainingError, BundleError) as exc:
        print(f"osteon-train: {exc}", file=sys.stderr)
        return 2


def _figures(args: argparse.Namespace) -> int:
    made = figures.table(args.bundles)
    if args.readme is None:
        print(made)
    else:
        changed = figures.put(args.readme, made)
        print(f"{args.readme} {'says now what the cards say' if changed else 'says what the cards say'}.")
    return 0


def _system(args: argparse.Namespace) -> int:
    try:
        module = importlib.import_module(f"training.{args.system}.commands")
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] not in ("torch", "onnx", "onnxscript"):
            raise
        raise TrainingError(
            f"{exc.name} is not installed. Install what training needs: pip install 'osteon[train,cpu]'."
        ) from exc
    if args.command not in module.COMMANDS:
        raise TrainingError(f"{args.system} has no {args.command}; it has {', '.join(module.COMMANDS)}.")
    if args.command in ("fit", "folds") and args.preset not in module.RECIPES:
        raise TrainingError(f"{args.system} has no preset {args.preset}; it has {', '.join(module.RECIPES)}.")
    if getattr(args, "turn", None) is not None and args.system != "knee":
        raise TrainingError(f"fit {args.system} has no --turn: knee has. Leave it out.")
    for option in ("learning", "folds"):
        if getattr(args, option, None) and args.system not in STACKS:
            raise TrainingError(
                f"{args.command} {args.system} has no --{option}: {' and '.join(STACKS)} have. Leave it out."
            )
    said = module.COMMANDS[args.command](args)
    crew = importlib.import_module("training.crew")  # torch, which phantoms do without
    if crew.is_first():
        print(said)
    crew.leave()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="osteon-train", description="Makes the weights of Osteon's models.")
    commands = parser.add_subparsers(dest="command", required=True)
    fit = _command(commands, "fit", "train the networks, or go on with a run that was interrupted")
    fit.add_argument(
        "--preset",
        default="small",
        help="small, strong, paper; of diffusion also -dwi and -adc of each, of hand paper-step, of knee tune, "
        "of limb bent and wide (default: small)",
    )
    fit.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    fit.add_argument("--minutes", type=float, help="budget of all networks together; else the recipe's steps")
    fit.add_argument(
        "--seed",
        type=int,
        default=1,
        help="of batches, views and random weights (default 1); a training that begins with a bundle sees what that "
        "one saw, in its order, unless it has another seed",
    )
    fit.add_argument(
        "--start",
        type=Path,
        metavar="BUNDLE",
        help="begin with the weights of this bundle instead of with random ones; it was made by the same preset "
        "(tune of knee begins with small; where the preset has grown since, the network grows too), and patients that "
        "taught it must not test what comes of it",
    )
    fit.add_argument(
        "--turn",
        metavar="NUMBER/COUNT",
        help="learn from the validation part too, but for this one of so many parts of it: fit all turns, and export "
        "joins them (--with), calibrate has each part judged by the networks that have not learned from it (knee)",
    )
    folds = _command(commands, "folds", "cross-validate by patient")
    folds.add_argument("--preset", default="small", help="recipe (default small)")
    folds.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the runs")
    folds.add_argument("--minutes", type=float, help="budget of all folds together; else the recipe's steps for each")
    folds.add_argument("--count", type=int, help="how many folds (default: the paper's, else 5)")
    folds.add_argument(
        "--learning",
        action="store_true",
        help="of the patients alone who train or validate: calibrate --folds may then choose by them what those whom "
        "the split withheld are to measure (limb, diffusion)",
    )
    _export_options(_command(commands, "export", "write a bundle from a run, and prove that it answers as they do"))
    _measuring(commands)
    ablate = _command(commands, "ablate", "the paper's table of what each part of a system is worth")
    ablate.add_argument("--bundle", type=Path, help="spine: folder of the bundle whose terms are weighed")
    ablate.add_argument("--out", type=Path, metavar="RUN", help="knee: folder of the runs that the table needs")
    ablate.add_argument("--preset", choices=("small", "strong", "paper"), default="small", help="knee: recipe")
    ablate.add_argument("--minutes", type=float, help="knee: budget of each run; else the recipe's steps")
    ablate.add_argument("--kind", choices=("real", "phantom"), required=True, help="what the data are of")
    ablate.add_argument("--part", choices=("test", "validation"), default="test", help="which part (default test)")
    made = commands.add_parser("phantoms", help="draw images from formulas")
    phantoms.add_arguments(made)
    told = commands.add_parser("figures", help="the README's table of figures, from the cards that ship")
    told.add_argument("--bundles", type=Path, default=SHIPPED, help="folder of the bundles (default: those that ship)")
    told.add_argument("--readme", type=Path, metavar="FILE", help="put the table there instead of printing it")
    return parser


_PART = (
    "which cases: a part that the split withheld (default test), or all of a set that taught nothing, as of elsewhere"
)


def _measuring(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    calibrate = _command(commands, "calibrate", "choose thresholds and calibration on the validation blocks")
    calibrate.add_argument("--bundle", type=Path, required=True, help="folder of the bundle; its card is rewritten")
    calibrate.add_argument(
        "--part",
        choices=parts.CALIBRATES,
        default="validation",
        help="which cases: those that the split withheld for it, or all of a set that taught nothing",
    )
    calibrate.add_argument(
        "--folds",
        type=Path,
        metavar="RUN",
        help="choose by the answers of the networks of folds --learning, each on patients that it did not learn from, "
        "which are more than those of the validation part (limb, diffusion)",
    )
    evaluate = _command(commands, "evaluate", "measure a bundle through the node's pipeline")
    evaluate.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    evaluate.add_argument("--part", choices=parts.MEASURES, default="test", help=_PART)
    evaluate.add_argument(
        "--kind", choices=("real", "phantom"), help="of --part all: what the data are of (default: as the weights)"
    )
    evaluate.add_argument("--write", action="store_true", help="write the figures into the card")
    evaluate.add_argument("--montage", type=Path, metavar="PNG", help="draw the best and the worst cases")
    evaluate.add_argument("--report", type=Path, metavar="HTML", help="write a page with the figures and pictures")
    evaluate.add_argument("--run", type=Path, help="folder that fit wrote to, for the losses in the report")
    compare = _command(
        commands,
        "compare",
        "measure two bundles on the same cases, or one on other images of them: how they differ, and whether that may "
        "be chance",
    )
    compare.add_argument("--bundle", type=Path, required=True, help="folder of the one")
    compare.add_argument("--other", type=Path, metavar="BUNDLE", help="folder of the other")
    compare.add_argument(
        "--other-data",
        type=Path,
        metavar="DIR",
        help="other images of the same cases, under the same names, such as phantoms with an artefact",
    )
    compare.add_argument("--part", choices=parts.MEASURES, default="test", help=_PART)


def _export_options(export: argparse.ArgumentParser) -> None:
    export.add_argument("--run", type=Path, required=True, help="folder that fit wrote to")
    export.add_argument("--bundle", type=Path, required=True, help="folder to write the bundle to")
    export.add_argument("--version", default="0.0.1", help="version of the bundle (default 0.0.1)")
    export.add_argument(
        "--start-share",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of a run that began with a bundle (--start): the share of its weights in a mean with the trained ones, "
        "which is often better than either (0.5: half; default 0; not for spine)",
    )
    export.add_argument(
        "--global-side",
        type=int,
        action="append",
        help="size the global network looks at (default: the recipe's); given twice, it looks at both",
    )
    export.add_argument("--patch-side", type=int, help="size the patch network looks at (default: the input's)")
    export.add_argument(
        "--mirror",
        action="store_true",
        help="let it look at the mirror image too, left to right (all but spine; of the knee the global network)",
    )
    export.add_argument(
        "--with",
        dest="together",
        type=Path,
        action="append",
        default=[],
        metavar="BUNDLE",
        help="a bundle of a preset with the same network, which answers too, with the mean of all; all look at "
        "what this export says, and each costs its time and memory; may be given several times (not for spine)",
    )
    export.add_argument(
        "--outlined-by",
        type=int,
        default=0,
        metavar="COUNT",
        help="of several networks, the run's own first, so many outline, and the others answer for the classes only "
        "(knee; default: all outline)",
    )
    export.add_argument(
        "--half",
        action="store_true",
        help="round the weights to half precision before the proof, and keep them so: the file is half as large (knee)",
    )
    export.add_argument("--kind", choices=("real", "phantom"), required=True, help="what it was trained on")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, words: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=words, description=words)
    parser.add_argument("system", choices=SYSTEMS, help="which system")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the data, in any layout that the system reads: btxrd256 or the public BTXRD (knee), nifti/ "
        "(limb), DICOM with SEG or RTSTRUCT (all), NAME.npz (diffusion, hand, spine), labelme (hand)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of one network (default 1: right on a busy CPU)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
