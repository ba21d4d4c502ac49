"""What is fuzzed: a function of the path of a file, and valid files to start from."""

from __future__ import annotations

from dataclasses import dataclass

from commands import run


@dataclass(frozen=True)
class Target:
    """One parser: how the file is called, what reads it, and valid files."""

    name: str
    read: object
    """Function of the path of the file."""
    seeds: tuple[bytes, ...]
    slow: bool = False
    """A read takes tens of milliseconds."""


def command(*words):
    """Return a function that runs a command with the file at ``FILE``."""

    def read(path):
        arguments = [path.name if word == "FILE" else word for word in words]
        result = run(*arguments, folder=path.parent)
        if result.exception is not None and not isinstance(
            result.exception, SystemExit
        ):
            raise result.exception
        assert "Traceback" not in result.output

    return read
