"""`osteon-train phantoms`: writes phantom radiographs as DICOM, or as pictures with masks for training."""

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from models.findings import Answer
from training.diffusion import dataset as diffusion_dataset
from training.hand import dataset as hand_dataset
from training.phantoms import diffusion, diffusion_dicom, hand_dicom, limb, limb_dicom, spine, spine_dicom, truth_seg
from training.phantoms.anatomy import View
from training.phantoms.artefacts import Artefact, drawn
from training.phantoms.chest import chest_phantom
from training.phantoms.dicom import (
    CHEST,
    SYNTAXES,
    Header,
    System,
    compressed,
    image_dataset,
    knee_dataset,
    picture_dataset,
    save,
)
from training.phantoms.hand import hand_patient
from training.phantoms.knee import Phantom, knee_phantom
from training.progress import over
from training.spine import dataset

ANSWERS = {a.value: a for a in (Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT)}
SCANNED = ("hand", "spine", "diffusion", "limb")
ANY = "any"
PARTS = ("knee", "chest", "hand", "spine", "diffusion", "limb")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Put the options of `phantoms` on a parser."""
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the files go")
    parser.add_argument("--count", type=int, default=1, help="how many radiographs (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first; each further one adds 1 (default 1)")
    parser.add_argument("--answer", choices=sorted(ANSWERS), help="only this answer; drawn at random otherwise")
    parser.add_argument("--view", choices=[v.value for v in View], help="only this view; drawn at random otherwise")
    parser.add_argument(
        "--part", choices=PARTS, default="knee", help="knee, hand, spine, diffusion or limb (MR), chest for a decline"
    )
    parser.add_argument("--rows", type=int, default=2400)
    parser.add_argument("--columns", type=int, default=2000)
    parser.add_argument("--system", choices=[s.value for s in System], default="DX", help="DX or CR data set")
    parser.add_argument("--syntax", choices=sorted(SYNTAXES), default="explicit", help="transfer syntax, all lossless")
    parser.add_argument("--monochrome1", action="store_true", help="store bone dark, as MONOCHROME1")
    parser.add_argument(
        "--layout",
        choices=("dicom", "pictures", "arrays"),
        default="dicom",
        help="dicom: files and their truth as segmentations; pictures: images/, masks/ and labels.csv, 8 bit, for "
        "training (knee); arrays: NAME.npz, for training (hand, spine, diffusion)",
    )
    parser.add_argument(
        "--artefact",
        choices=[*Artefact, ANY],
        help="what went wrong in the scanner, of the very patients that the seeds give without it (hand, spine, "
        "diffusion, limb)",
    )
    parser.add_argument(
        "--artefact-share", type=float, default=1.0, metavar="SHARE", help="of the patients that have one (default 1)"
    )
    parser.add_argument("--wrap", type=Path, nargs="+", metavar="PICTURE", help="wrap these PNG or JPEG files instead")


def run(args: argparse.Namespace) -> int:
    """Write what the options ask for; the exit code."""
    if args.count < 1 or args.rows < 64 or args.columns < 64:
        raise SystemExit("phantoms: --count must be at least 1, --rows and --columns at least 64.")
    if args.artefact and (args.wrap or args.part not in SCANNED):
        raise SystemExit(f"phantoms: --artefact is of MR: give it with --part {', '.join(SCANNED)}.")
    if not 0.0 <= args.artefact_share <= 1.0:
        raise SystemExit(f"phantoms: --artefact-share {args.artefact_share:g} is none. Give one from 0 to 1.")
    args.out.mkdir(parents=True, exist_ok=True)
    if args.wrap:
        _wrap(args)
    elif args.part == "hand":
        _each(args, _write_hand)
    elif args.part == "spine":
        _each(args, _write_spine)
    elif args.part == "diffusion":
        _each(args, _write_diffusion)
    elif args.part == "limb":
        _each(args, _write_limb)
    elif args.part == "chest":
        _each(args, _write_chest)
    elif args.layout == "pictures":
        _write_pictures(args)
    else:
        _each(args, _write_knee)
    return 0


def _write_hand(args: argparse.Namespace, seed: int) -> None:
    patient = hand_patient(seed, artefact=_artefact(args, seed))
    if args.layout == "arrays":
        hand_dataset.write(hand_dataset.case_of(patient), args.out)
    else:
        hand_dicom.write(patient, args.out)


def _artefact(args: argparse.Namespace, seed: int) -> Artefact | None:
    if args.artefact is None:
        return None
    return drawn(seed, None if args.artefact == ANY else Artefact(args.artefact), args.artefact_share)


def _each(args: argparse.Namespace, write: Callable[[argparse.Namespace, int], None]) -> None:
    for seed in over(range(args.seed, args.seed + args.count), "phantoms"):
        write(args, seed)


def _phantom(args: argparse.Namespace, seed: int) -> Phantom:
    answer = ANSWERS[args.answer] if args.answer else None
    view = View(args.view) if args.view else None
    return knee_phantom(seed, answer=answer, view=view, rows=args.rows, columns=args.columns)


def _header(args: argparse.Namespace, key: str) -> Header:
    return Header(key, system=System(args.system), monochrome1=args.monochrome1)


def _write_knee(args: argparse.Namespace, seed: int) -> None:
    phantom = _phantom(args, seed)
    ds = knee_dataset(
        phantom, _header(args, f"knee {seed} {args.system} {args.rows}x{args.columns} {args.answer} {args.view}")
    )
    name = f"knee-{seed:05d}-{phantom.answer}"
    _save_truth(phantom, ds, args.out, name)
    save(compressed(ds, args.syntax), args.out / f"{name}.dcm")
    _save_mask(phantom, args.out / f"{name}.mask.png")


def _save_truth(phantom: Phantom, ds: Dataset, folder: Path, name: str) -> None:
    """As an archive keeps it: a segmentation that says benign or malignant, or a name among the normals."""
    lesions, labels = truth_seg.numbered(
        phantom.mask, lambda number: f"{phantom.answer} {phantom.lesions[number - 1].kind} {number}"
    )
    if labels:
        truth = truth_seg.segmentation_of_radiograph(ds, lesions, labels, phantom.spacing_mm)
        save(truth, folder / truth_seg.FOLDER / f"{name}.dcm")
    elif phantom.answer is Answer.NORMAL:
        truth_seg.add_normal(folder / name)


def _write_chest(args: argparse.Namespace, seed: int) -> None:
    header = replace(
        _header(args, f"chest {seed} {args.system}"),
        body_part=CHEST,
        view="PA",
        patient_name="Phantom^Chest",
        spacing_mm=0.2,
    )
    pixels = chest_phantom(seed, rows=args.rows, columns=args.columns)
    save(compressed(image_dataset(pixels, 12, header), args.syntax), args.out / f"chest-{seed:05d}.dcm")


def _write_spine(args: argparse.Namespace, seed: int) -> None:
    patient = spine.spine_patient(
        seed, kind=spine.Kind(args.answer) if args.answer else None, artefact=_artefact(args, seed)
    )
    if args.layout == "arrays":
        dataset.write(dataset.case_of(patient), args.out)
    else:
        spine_dicom.write(patient, args.out)


def _write_diffusion(args: argparse.Namespace, seed: int) -> None:
    if args.answer not in (None, Answer.NORMAL.value):
        raise SystemExit("phantoms: diffusion has tumours, none benign or malignant; --answer normal draws none.")
    patient = diffusion.diffusion_patient(seed, tumours=0 if args.answer else None, artefact=_artefact(args, seed))
    if args.layout == "arrays":
        diffusion_dataset.write(diffusion_dataset.case_of(patient), args.out)
    else:
        diffusion_dicom.write(patient, args.out)


def _write_limb(args: argparse.Namespace, seed: int) -> None:
    if args.layout == "arrays":
        raise SystemExit("phantoms: limb has no arrays: fit limb reads what --layout dicom writes.")
    if args.answer not in (None, Answer.NORMAL.value):
        raise SystemExit("phantoms: limb has tumours, none benign or malignant; --answer normal draws none.")
    patient = limb.limb_patient(seed, tumours=0 if args.answer else None, artefact=_artefact(args, seed))
    limb_dicom.write(patient, args.out)


def _wrap(args: argparse.Namespace) -> None:
    files: Sequence[Path] = args.wrap
    for file in files:
        ds = picture_dataset(file, _header(args, f"picture {file.name}"), shape=(args.rows, args.columns))
        save(compressed(ds, args.syntax), args.out / f"{file.stem}.dcm")


def _save_mask(phantom: Phantom, path: Path) -> None:
    Image.fromarray((phantom.mask > 0).astype(np.uint8) * np.uint8(255)).save(path)


def _write_pictures(args: argparse.Namespace) -> None:
    """The layout of a picture set: one row per image in labels.csv, masks only where there is a lesion."""
    for folder in ("images", "masks"):
        (args.out / folder).mkdir(exist_ok=True)
    with (args.out / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image_id", "cls", "site", "view", "kinds"])
        for seed in range(args.seed, args.seed + args.count):
            phantom, name = _phantom(args, seed), f"PH{seed:06d}"
            grey = (phantom.pixels >> (phantom.bits - 8)).astype(np.uint8)
            Image.fromarray(grey).save(args.out / "images" / f"{name}.png")
            if phantom.mask.any():
                _save_mask(phantom, args.out / "masks" / f"{name}.png")
            kinds = ";".join(lesion.kind for lesion in phantom.lesions)
            table.writerow([name, phantom.answer, "Knee", phantom.view, kinds])
