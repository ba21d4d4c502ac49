"""Structures most worth a reference calculation: what ``annpot select`` does."""
