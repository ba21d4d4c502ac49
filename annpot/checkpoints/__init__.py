"""Checkpoints: all that a training needs to go on later, and the files of it."""
