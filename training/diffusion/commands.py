"""The commands of `osteon-train ... diffusion`."""

from training.diffusion.system import SYSTEM
from training.stacks.commands import commands_of

COMMANDS = commands_of(SYSTEM)
RECIPES = SYSTEM.recipes
