"""Neural network interatomic potentials in three commands: generate, train, predict.

Data goes one way: structure files -> batches -> neighbour pairs -> features ->
fingerprint set -> loss and gradient -> optimiser -> potential -> predictions. Where
each step is:

    structures   files of others -> Structure, Batch
    pairs        Batch -> Neighbours
    descriptors  settings -> parts -> operators; Neighbours -> Features
    kernels      the compiled loops, which operators call
    generation   structure files -> fingerprint set
    checks       structures and their labels -> what would spoil a fit
    posing       set and settings -> Loss over shards, within a memory plan
    objective, model, networks, loss
                 energies, forces -> loss -> gradient by the weights
    optimizers, training
                 Loss -> members -> a Committee, calibrated; or one Potential
    potential    energies, forces, stresses of a Batch
    committee    several potentials: mean and deviation
    predictor    either of them, as prediction and calculator use it
    extrapolation, explanation, watching
                 features -> how far outside the training data, what is most alike
                 there, what the calculator does about it
    selection    structures -> those most worth a reference calculation
    runs, status, finished
                 what runs, what asked it to end, what became of it
    checkpoints  all that a training needs to go on
    requests     what rank 0 of a training asks the others for
    parallel     ranks of MPI, and sums over them that are the same on any number
    convert      files of other programs -> those of annpot, and back
    format       sets and potentials as HDF5, potentials as JSON
    plotting     data -> pictures
    settings     in.yaml -> frozen models
    cli          commands: options, one function of the above, a report

Public names are imported on first use, so that ``annpot --help`` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from annpot.calculator import Calculator as Calculator
    from annpot.committee import Committee as Committee
    from annpot.potential import Potential as Potential

_HOMES = {
    "Calculator": "annpot.calculator",
    "Committee": "annpot.committee",
    "Potential": "annpot.potential",
    "__version__": "annpot.version",
}

__all__ = ["Calculator", "Committee", "Potential"]


def __getattr__(name: str) -> Any:
    """Return a public name from the module where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module 'annpot' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
