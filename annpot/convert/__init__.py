"""Potentials, sets, structures and inputs of other programs, in and out."""
