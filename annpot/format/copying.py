"""Copy potentials and committees between the two forms of the annpot format."""

from __future__ import annotations

from pathlib import Path

from annpot.errors import FileFormatError
from annpot.format import container, reading, writing


def copy(source: Path, target: Path) -> None:
    """Write what is in one file into another, with its header and its digest.

    Parameters
    ----------
    source
        In either form.
    target
        In the text form if its name ends with ``.json``, else HDF5.

    Raises
    ------
    FileFormatError
        If the source is damaged, or a fingerprint set, which is not small.
    """
    with reading.open_checked(source) as file:
        kind = reading.read_attribute(file, container.KIND, str)
        if kind in (container.FINGERPRINTS, container.PART):
            raise FileFormatError(
                f"'{source}' is {container.KINDS[kind].noun}, "
                f"expected {container.KINDS[container.POTENTIAL].noun}"
            )
        reading.verify_checksum(file)
        writing.save(file, target)
