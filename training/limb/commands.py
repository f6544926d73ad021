"""What the commands of `osteon-train ... limb` do; each returns the text to print."""

import argparse
from collections.abc import Callable, Mapping

import torch

from training.limb import fit
from training.limb.dataset import read
from training.limb.recipe import RECIPES

__all__ = ["COMMANDS", "RECIPES"]


def run_fit(args: argparse.Namespace) -> str:
    """Train, or go on."""
    torch.set_num_threads(args.threads)
    net = fit.train(read(args.data), RECIPES[args.preset], args.out, args.minutes)
    return f"Trained a network of {sum(value.numel() for value in net.parameters())} parameters into {args.out}."


COMMANDS: Mapping[str, Callable[[argparse.Namespace], str]] = {"fit": run_fit}
