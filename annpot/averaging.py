"""The exact average of potentials on one descriptor, as one potential.

E = 1/K sum_k E_k with one network for each species, whose hidden layers are those of
the members side by side: the mean of a committee at the cost of one potential, without
the deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from annpot.errors import FileFormatError
from annpot.networks import Network, average
from annpot.potential import Potential
from annpot.potential_parts import SpeciesModel
from annpot.structures.structure import Array


def average_potentials(members: Sequence[Potential], first: Potential) -> Potential:
    """Return the potential whose energies are the means of those of the members.

    Parameters
    ----------
    first
        The member whose training data tell what extrapolates.

    Raises
    ------
    FileFormatError
        If their descriptors or activation functions differ.
    """
    for k, member in enumerate(members):
        if member.descriptor.recipe != members[0].descriptor.recipe:
            raise FileFormatError(
                f"member {k} has another descriptor than member 0, expected the same: "
                "their mean is not one network; please take the members one by one"
            )
    scales = {member.energy_scale for member in members}
    scale = scales.pop() if len(scales) == 1 else 1.0
    models = [
        _average_models([member.models[s] for member in members], members, scale, model)
        for s, model in enumerate(first.models)
    ]
    potential = Potential(
        descriptor=members[0].descriptor,
        reference_energies=np.mean([m.reference_energies for m in members], axis=0),
        models=tuple(models),
        energy_shift=float(np.mean([member.energy_shift for member in members])),
        energy_scale=scale,
        shortest_st=first.shortest_st,
        provenance={"average_of": [member.provenance for member in members]},
        settings=members[0].settings,
    )
    if members[0].test_vectors is None:
        return potential
    return potential.with_test_vectors(members[0].test_vectors.batch)


def _average_models(
    models: Sequence[SpeciesModel],
    members: Sequence[Potential],
    scale: float,
    first: SpeciesModel,
) -> SpeciesModel:
    """Return the average of the models of one species.

    Parameters
    ----------
    scale
        Of the energy, for the average.
    """
    if len({model.network.activations for model in models}) > 1:
        raise FileFormatError(
            "members with different activation functions or numbers of hidden layers, "
            "expected the same: their mean is not one network; please take the members "
            "one by one"
        )
    scale_f = np.array(models[0].scale_f)
    for model in models[1:]:
        scale_f = np.where(scale_f == 0.0, model.scale_f, scale_f)
    shift_f = models[0].shift_f
    networks = [
        _express(model, shift_f, scale_f, member.energy_scale / scale)
        for model, member in zip(models, members, strict=True)
    ]
    return replace(first, shift_f=shift_f, scale_f=scale_f, network=average(networks))


def _express(
    model: SpeciesModel, shift_f: Array, scale_f: Array, factor: float
) -> Network:
    """Return the network of inputs that are scaled otherwise, times a factor."""
    network = model.network
    weights, biases = list(network.weights), list(network.biases)
    known_f = np.where(scale_f == 0.0, 1.0, scale_f)
    biases[0] = biases[0] + weights[0] @ ((shift_f - model.shift_f) * model.scale_f)
    weights[0] = weights[0] * (model.scale_f / known_f)
    weights[-1] = weights[-1] * factor
    biases[-1] = biases[-1] * factor
    return Network(network.activations, tuple(weights), tuple(biases))
