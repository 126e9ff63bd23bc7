"""Published tables and figures, one file each: ``lhcflow reproduce NAME`` runs them."""

from .registry import ENTRIES, Entry, Outcome, find

__all__ = ["ENTRIES", "Entry", "Outcome", "find"]
