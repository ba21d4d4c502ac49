"""The version of annpot: a leaf module, so that nobody imports the package root."""

__version__ = "0.1.0"
