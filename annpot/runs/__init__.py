"""Runs: what is being worked on, by which process, and what asks it to end."""
