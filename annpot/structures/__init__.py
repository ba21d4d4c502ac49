"""Structures and the files they come from, in eV and angstrom."""
