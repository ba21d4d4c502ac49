"""Settings of a training that reproduce input.nn of n2p2 and RuNNer."""

from __future__ import annotations

import re

from annpot.convert.n2p2.input_nn import InputNN, Line
from annpot.convert.n2p2.keywords import TRAINING
from annpot.convert.n2p2.setup import Setup
from annpot.convert.yaml_text import Section

ACTIVATIONS = {
    "l": "linear",
    "t": "tanh",
    "s": "sigmoid",
    "p": "softplus",
    "r": "relu",
    "g": "gaussian",
    "c": "cosine",
    "S": "sigmoid",
    "e": "exponential",
    "h": "square",
}
REMARKS = {
    "g": "exp(-x^2), where n2p2 has exp(-x^2/2): the weights make up for it",
    "S": "n2p2's 1 - sigmoid(x): the weights make up for it",
}
"""Activation functions by n2p2's letters, and where they differ."""

ADAM, BATCH = 1e-3, 1
"""n2p2's defaults of the learning rate and of the structures in an update."""

WITHOUT = (
    ("kalman_|save_kalman|read_kalman|reset_kalman", "of the Kalman filter"),
    ("write_", "annpot writes each epoch to train.log, and the best potential"),
    (
        "selection_mode|rmse_threshold|energy_fraction|force_fraction|worst_fraction|"
        "force_energy_ratio|repeated_energy|update_worst|short_.*_group",
        "of the choice of what to learn from: all energies and forces count in each "
        "epoch of annpot",
    ),
    (
        "weights_m|nguyen|precondition|use_systematic|biasweights",
        "of initial weights: annpot draws its own",
    ),
    (
        "parallel_mode|jacobian_mode|update_strategy|task_batch_size_force",
        "of parallel updates: annpot's threads need no settings",
    ),
    ("memorize|points_in_memory", "annpot keeps what fits into train.memory"),
    ("use_old", "annpot begins anew"),
    (
        "max_energy|max_force|energy_threshold|force_threshold",
        "no limit in annpot: leave such structures out of the files",
    ),
    ("normalize_data_set", "annpot brings energies and forces to scale itself"),
)
"""What is said of keywords of the training that settings have nothing like."""

HANDLED = frozenset(
    """
    epochs test_fraction random_seed use_short_forces use_short_nn updater_type
    gradient_type gradient_eta gradient_adam_eta task_batch_size_energy force_weight
    """.split()
)
"""Keywords of the training that have something like it in the settings."""


class Training:
    """Puts the settings of a training.

    Parameters
    ----------
    section
        That of the training, which gets the settings.
    """

    def __init__(
        self, content: InputNN, setup: Setup, section: Section, notes: list[str]
    ) -> None:
        self.content, self.setup = content, setup
        self.section, self.notes = section, notes

    def put(self) -> None:
        """Add all settings, and comments on what has no counterpart."""
        self._networks()
        self._scaling()
        self._split()
        self._method()
        self._forces()
        for line in self.content.lines:
            if line.keyword in TRAINING - HANDLED:
                self._lose(line, f"{self._text(line)}: {_reason(line.keyword)}")

    def _lose(self, line: Line, text: str) -> None:
        """Say what has no counterpart."""
        self.section.say(f"{self.content.path.name}, line {line.number}: {text}")
        self.notes.append(f"'{self.content.path}', line {line.number}: {text}")

    def _text(self, line: Line) -> str:
        return " ".join((line.written, *line.words))[:100]

    def _networks(self) -> None:
        species = self.setup.species
        layouts = [layouts[0] for layouts in self.setup.layouts_s]
        nodes_s = {s: list(x.nodes) for s, x in zip(species, layouts, strict=True)}
        same = all(layout.nodes == layouts[0].nodes for layout in layouts)
        self.section.put("hidden", list(layouts[0].nodes) if same else nodes_s)
        for symbol, readings in zip(species, self.setup.layouts_s, strict=True):
            if len(readings) > 1:
                self._lose(
                    self.content.need("element_nodes_short"),
                    f"may mean {' or '.join(str(list(x.nodes)) for x in readings)} for "
                    f"{symbol}: the first is taken, {readings[0].syntax}",
                )
        letters = "".join(layout.letters for layout in layouts)
        letter = max(letters, key=letters.count)
        name = ACTIVATIONS[letter]
        self.section.put(
            "activation", name, REMARKS.get(letter, "annpot's default is silu")
        )
        if {ACTIVATIONS[x] for x in letters} != {name}:
            self._lose(
                self.content.find("element_activation_short")
                or self.content.need("global_activation_short"),
                f"several activations: annpot has one for all layers, {name} is taken",
            )
        line = self.content.find("normalize_nodes")
        if line is not None:
            self._lose(line, "normalize_nodes: annpot's initial weights see to that")

    def _scaling(self) -> None:
        self.section.put("members", 1, "the mean of 4, the default, errs less")
        self.section.put(
            "scaling",
            "zscore",
            f"nearest to {_scaling_words(self.content)}; annpot's default is whitening",
        )
        self.section.put("l2", 0.0, "annpot's default is 1e-4, against overfitting")

    def _split(self) -> None:
        line = self.content.find("test_fraction")
        if line is not None:
            fraction = self.content.number(line)
            if not 0.0 <= fraction < 1.0:
                raise self.content.error(
                    line, f"test_fraction {fraction:g}, expected 0 to less than 1"
                )
            self.section.put("test_fraction", fraction, "set= in input.data wins")
        self.section.put(
            "validation_fraction", 0.0, "0.05, the default, keeps the best epoch"
        )
        line = self.content.find("random_seed")
        if line is not None:
            seed = self.content.count(line, 0, 0, 2**63)
            self.section.put("seed", seed, "the numbers that follow from it differ")

    def _method(self) -> None:
        updater, gradient = (
            line.words[0] if line is not None and line.words else default
            for line, default in (
                (self.content.find("updater_type"), "1"),
                (self.content.find("gradient_type"), "0"),
            )
        )
        if (updater, gradient) == ("0", "1"):
            self._adam()
        else:
            self.section.put("method", "lbfgs")
            line = self.content.find("updater_type")
            used = {"0": "gradient descent", "1": "the Kalman filter"}
            if line is not None:
                self._lose(
                    line,
                    f"{used.get(updater, 'this updater')}: annpot has L-BFGS and Adam, "
                    "L-BFGS is taken",
                )
        line = self.content.find("epochs")
        if line is not None:
            number = self.content.count(line, 0, 0, 10**9)
            self.section.put("epochs", max(1, number), "annpot's default is 300")
            if number == 0:
                self._lose(line, "epochs 0: annpot makes one at least")
        for keyword in ("gradient_eta", "gradient_type"):
            line = self.content.find(keyword)
            if line is not None and (updater, gradient) != ("0", "1"):
                self._lose(line, f"{self._text(line)}: of gradient descent")

    def _adam(self) -> None:
        line = self.content.find("gradient_adam_eta")
        rate = self.content.single_number("gradient_adam_eta", ADAM)
        if line is not None and rate <= 0.0:
            raise self.content.error(
                line, f"{line.written} {rate:g}, expected more than 0"
            )
        line = self.content.find("task_batch_size_energy")
        batch = BATCH if line is None else self.content.count(line, 0, 0, 10**9)
        keys: dict[str, object] = {"learning_rate": rate, "batch": max(1, batch)}
        keys |= {"schedule": "constant", "averaging": 0.0}
        self.section.put("method", "adam", "annpot's default is lbfgs")
        self.section.put("adam", keys, "defaults: rate falls by 'cosine', averaging")
        if batch == 0 and line is not None:
            self._lose(line, f"{self._text(line)}: all at once, annpot: 1")

    def _forces(self) -> None:
        if self.content.find("use_short_forces") is None:
            self.section.put(
                "force_weight", 0.0, "no use_short_forces; 1.0 learns from forces, too"
            )
            return
        self.section.put("force_weight", 1.0)
        line = self.content.find("force_weight")
        if line is not None:
            self._lose(
                line,
                f"{self._text(line)}: a factor on errors of force components in n2p2's "
                "units; annpot's loss has energy_weight 30 and force_weight 1 for "
                "errors in eV and eV/angstrom",
            )


def _reason(keyword: str) -> str:
    """Return what is said of a keyword that settings have nothing like."""
    found = (text for names, text in WITHOUT if re.match(names, keyword))
    return next(found, "no counterpart")


def _scaling_words(content: InputNN) -> str:
    """Return the keywords of scaling that stand in the file."""
    keywords = (
        "scale_symmetry_functions",
        "center_symmetry_functions",
        "scale_symmetry_functions_sigma",
    )
    found = [keyword for keyword in keywords if content.find(keyword) is not None]
    return " ".join(found) or "no scaling"
