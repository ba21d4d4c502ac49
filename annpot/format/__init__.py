"""The annpot format: the HDF5 layout of fingerprint sets and potentials."""
