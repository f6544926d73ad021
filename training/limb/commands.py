"""The commands of `osteon-train ... limb`."""

from training.limb.system import SYSTEM
from training.stacks.commands import commands_of

COMMANDS = commands_of(SYSTEM)
RECIPES = SYSTEM.recipes
