"""Potentials, sets and inputs of other programs, read and written."""
