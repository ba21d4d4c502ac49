"""Compiled loops over atoms and neighbours: arrays in, arrays out.

Kernels know integers, doubles and contiguous arrays; no files, units or errors. The
callers (``annpot.pairs`` and ``annpot.descriptors``) check shapes and dtypes, and
allocate the results.
"""
