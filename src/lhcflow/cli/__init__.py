"""The command ``lhcflow``: one file per group of commands, and no physics."""

from .app import main

__all__ = ["main"]
