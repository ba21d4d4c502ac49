"""The checkpoint: a training that is not done, and what may go on from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from annpot.checkpoints.progress import METHODS, UNFINISHED, Progress
from annpot.errors import AnnpotError, FileFormatError
from annpot.fingerprints import FingerprintSet
from annpot.optimizers import adam
from annpot.posing import Problem
from annpot.settings import TrainSettings
from annpot.version import __version__

FREE = {
    "input",  # the content of the set decides
    "output",
    "log",
    "time_limit",
    "memory",
    "checkpoint_every",
    "patience",
}
"""Settings that may change: what is done so far stays right."""


FREE_OF_RESULT = FREE - {"patience"}
"""Settings that may differ from those of a finished potential."""


@dataclass(frozen=True)
class Checkpoint:
    """A training that is not done, and what it is a training of."""

    set_name: str
    """File name of the fingerprint set."""
    set_sha256: str
    recipe: str
    """Of the descriptor, JSON."""
    settings: dict[str, Any]
    """The section ``train`` of the settings."""
    writer: str
    progress: Progress

    @classmethod
    def of(
        cls, fingerprints: FingerprintSet, settings: TrainSettings, progress: Progress
    ) -> Checkpoint:
        """Return the checkpoint of a training."""
        return cls(
            fingerprints.path.name,
            fingerprints.sha256,
            fingerprints.descriptor.recipe,
            settings.model_dump(mode="json"),
            f"annpot {__version__}",
            progress,
        )

    def check(self, fingerprints: FingerprintSet, settings: TrainSettings) -> None:
        """Check that a training with this set and these settings may go on from it.

        Raises
        ------
        AnnpotError
            If it may not; the message tells what differs.
        """
        differences = list(
            _compare(self, Checkpoint.of(fingerprints, settings, self.progress))
        )
        if differences:
            raise AnnpotError(
                f"the checkpoint is of another training: {'; '.join(differences)}: "
                "please set it back, or start anew with --restart"
            )

    def check_sizes(self, problem: Problem) -> None:
        """Check that the arrays are of this problem.

        Raises
        ------
        FileFormatError
            If they are not, which a sound file of the same training cannot be.
        """
        n_weights = len(problem.training.model.flatten())
        n_structures = problem.training.n_structures
        found = [len(weights_w) for _, weights_w in self.progress.kept]
        state = self.progress.state
        if state is not None:
            found.append(len(state.weights_w))
        if any(n != n_weights for n in found):
            raise FileFormatError(
                f"the checkpoint has {found[0]} weights, expected {n_weights}: "
                "please start anew with --restart"
            )
        if isinstance(state, adam.State) and len(state.order) not in (0, n_structures):
            raise FileFormatError(
                f"the checkpoint has an order of {len(state.order)} structures, "
                f"expected {n_structures}: please start anew with --restart"
            )


def _compare(then: Checkpoint, now: Checkpoint) -> Iterator[str]:
    """Yield what differs, in words."""
    if then.set_sha256 != now.set_sha256:
        yield (
            f"the set was {then.set_name!a} (sha256 {then.set_sha256:.12}...), is "
            f"'{now.set_name}' ({now.set_sha256:.12}...)"
        )
        if then.recipe != now.recipe:
            yield "the descriptor was another one"
    old, new = _flatten(then.settings), _flatten(now.settings)
    default = _flatten(TrainSettings().model_dump(mode="json"))
    free = FREE | _free_by_method(new)
    for key in sorted(set(old) | set(new)):
        # what an older annpot did not know was as it is by default
        was, is_ = old.get(key, default.get(key)), new.get(key)
        if key.split(".")[0] in free or was == is_:
            continue
        if key == "members" and _is_more(was, is_):
            continue
        yield f"train.{key} was {json.dumps(was):.200}, is {json.dumps(is_):.200}"


def _free_by_method(settings: dict[str, Any]) -> set[str]:
    """Return keys that do not matter with the method of a training."""
    if settings["method"] == "lbfgs":
        return {"adam", "epochs"}
    if settings["adam.schedule"] == "constant":
        return {"lbfgs", "epochs"}
    return {"lbfgs"}  # the learning rate depends on the number of epochs


def _is_more(was: Any, is_: Any) -> bool:
    return isinstance(was, int) and isinstance(is_, int) and is_ > was


def _flatten(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings by dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if key in METHODS and isinstance(value, dict):
            flat |= {f"{key}.{name}": item for name, item in value.items()}
        else:
            flat[key] = value
    return flat


def is_result(
    provenance: dict[str, Any], fingerprints: FingerprintSet, settings: TrainSettings
) -> bool:
    """Return whether a potential came from this set by these settings, to the end."""
    set_, then = provenance.get("set"), provenance.get("settings")
    if not isinstance(set_, dict) or not isinstance(then, dict):
        return False
    if provenance.get("ended") in UNFINISHED:
        return False
    old, new = _flatten(then), _flatten(settings.model_dump(mode="json"))
    return set_.get("sha256") == fingerprints.sha256 and all(
        old.get(key) == new.get(key)
        for key in set(old) | set(new)
        if key not in FREE_OF_RESULT
    )
