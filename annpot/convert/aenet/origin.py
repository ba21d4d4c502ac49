"""What potentials of annpot remember of the files of aenet that they come from."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from annpot.convert.aenet.models import flatten_network
from annpot.convert.aenet.networks import (
    NetworkFile,
    Setup,
    TrainingInfo,
    read_records,
    write_records,
)
from annpot.convert.aenet.records import BinaryRecords, BinaryWriter
from annpot.errors import FileFormatError
from annpot.networks import Network

_ARRAYS = {
    "setup": (
        "kinds_f parameters_fk neighbours_fk min_f max_f mean_f mean_square_f".split()
    ),
    "training": ["reference_energies", "energies"],
}


def remember(file: NetworkFile) -> dict[str, Any]:
    """Return what stands in a file beside the network, JSON-ready."""
    setup, training = asdict(file.setup), asdict(file.training)
    return {
        "setup": {key: _plain(value) for key, value in setup.items()},
        "training": {key: _plain(value) for key, value in training.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        # what a symmetry function does not need may be anything
        return np.nan_to_num(value).tolist()
    return list(value) if isinstance(value, tuple) else value


def recall(known: Mapping[str, Any], network: Network) -> NetworkFile:
    """Return the file with a network and with what `remember` returned.

    Raises
    ------
    FileFormatError
        If it makes no sense: anybody may have written it.
    """
    try:
        setup, training = (
            {**known[part], **{key: np.array(known[part][key]) for key in keys}}
            for part, keys in _ARRAYS.items()
        )
        file = NetworkFile(
            *flatten_network(network), Setup(**setup), TrainingInfo(**training)
        )
        return read_again(file)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise FileFormatError(f"what is known of a file of aenet: {error}") from None


def read_again(file: NetworkFile) -> NetworkFile:
    """Return what a file holds once it is written."""
    stream = io.BytesIO()
    write_records(file, BinaryWriter(stream))
    stream.seek(0)
    return read_records(BinaryRecords(stream, file.setup.symbol))
