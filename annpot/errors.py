"""The errors that are the user's to mend: one line each, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AnnpotError(Exception):
    """Base of all errors whose cause is the input, not the program.

    The message is one line that names where the problem is (file, line or key), what
    was found, what was expected and, if possible, what to do.
    """


class InputError(AnnpotError):
    """Settings or command-line options are wrong."""


class SettingsError(InputError):
    """A setting is wrong, which only its use could tell.

    Parameters
    ----------
    key
        Its path, ``descriptor[1].functions[0]``.
    text
        What is wrong with it.
    """

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key, self.text = key, text


class StructureError(AnnpotError):
    """A structure file or a structure in it is wrong."""


class FileFormatError(AnnpotError):
    """A file in the annpot format is not what it should be."""


class ForeignFileError(FileFormatError):
    """A file is not in the annpot format, whatever it is."""


class TrainingError(AnnpotError):
    """A potential cannot be fitted to this set with these settings."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``, did you mean 'x'?`` for the known word nearest to ``word``, if any."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean '{near[0]}'?" if near else ""
