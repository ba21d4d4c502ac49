"""Settings of a training that reproduce train.in of aenet and of aenet-PyTorch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from annpot.convert.aenet.keywords import Block, Keywords
from annpot.convert.text_lines import TextLine
from annpot.convert.yaml_text import Section
from annpot.errors import did_you_mean

MAX_LAYERS, MAX_NODES, MAX_EPOCHS, MAX_BATCH = 50, 10_000, 10**9, 10**9
ACTIVATIONS = ("linear", "tanh", "sigmoid", "mtanh", "twist")
"""Their first letters are aenet's short names, but for that of twist."""
SHORT = {name[0]: name for name in ACTIVATIONS} | {"t": "tanh", "w": "twist"}

TORCH = frozenset(
    """
    ITERWRITE BATCHSIZE NPSEED PHSEED FORCES MEMORY_MODE SAVE_FORCES VERBOSE
    REGULARIZATION MAXFORCES MODE SAVE_BATCHES LOAD_BATCHES
    """.split()
)
"""Keywords that only aenet-PyTorch knows."""

WITHOUT = {
    "MAXENERGY": "no limit in annpot: leave such structures out by a list, "
    "'names' of a group of structures",
    "MAXFORCES": "no limit in annpot: leave such structures out by a list, "
    "'names' of a group of structures",
    "SAMPLING": "annpot takes all structures of an epoch, those of a step at random",
    "TIMING": "annpot tells times in train.log",
    "DEBUG": "no counterpart",
    "SAVE_ENERGIES": "'annpot predict' gives the energies of any structures",
    "SAVE_FORCES": "'annpot predict --forces' gives the forces of any structures",
    "VERBOSITY": "no counterpart, nor an effect in aenet",
    "VERBOSE": "no counterpart",
    "ITERWRITE": "annpot writes each epoch to train.log, and the best potential",
    "MEMORY_MODE": "annpot keeps what fits into train.memory",
    "MODE": "no counterpart",
    "SAVE_BATCHES": "no counterpart",
    "LOAD_BATCHES": "no counterpart",
    "NPSEED": "annpot has one seed, train.seed",
}
"""What is said of keywords that settings have nothing like."""


@dataclass(frozen=True)
class Layout:
    """The network of a species."""

    line: TextLine
    symbol: str
    file: str
    nodes: tuple[int, ...]
    activations: tuple[str, ...]
    """Of the hidden layers."""


def read_layouts(block: Block) -> list[Layout]:
    """Return the networks of NETWORKS in train.in.

    Raises
    ------
    FileFormatError
        If a line is wrong.
    """
    layouts = [_layout(row) for row in block.rows]
    for n, layout in enumerate(layouts):
        if any(layout.symbol == other.symbol for other in layouts[:n]):
            raise layout.line.error(f"a second network of {layout.symbol}")
    return layouts


def _layout(line: TextLine) -> Layout:
    words = line.words
    if len(words) < 3:
        raise line.error(
            "element, file, number of hidden layers and their nodes:activation "
            f"expected, found {len(words)} words"
        )
    n_layers = line.count(words[2], "number of hidden layers", 0, MAX_LAYERS)
    layers = words[3 : 3 + n_layers]
    if len(layers) < n_layers:
        raise line.error(
            f"{n_layers} hidden layers, but nodes:activation of {len(layers)}"
        )
    nodes, activations = [], []
    for layer in layers:
        number, _, name = layer.partition(":")
        nodes.append(line.count(number, "number of nodes", 1, MAX_NODES))
        activations.append(_activation(line, name))
    symbol = line.symbol(words[0])
    return Layout(line, symbol, words[1], tuple(nodes), tuple(activations))


def _activation(line: TextLine, name: str) -> str:
    full = SHORT.get(name.lower(), name.lower())
    if full not in ACTIVATIONS:
        raise line.error(
            f"activation function {name!a:.40} is unknown, expected one of "
            f"{', '.join(ACTIVATIONS)}{did_you_mean(full, ACTIVATIONS)}"
        )
    return full


class Training:
    """Puts the settings of a training.

    Parameters
    ----------
    section
        That of the training, which gets the settings.
    """

    def __init__(self, content: Keywords, section: Section, notes: list[str]) -> None:
        self.content, self.section, self.notes = content, section, notes
        self.torch = bool(content.blocks.keys() & TORCH)
        method = content.find("METHOD")
        if method is not None and any("lr=" in row.text for row in method.rows):
            self.torch = True

    def put(self) -> None:
        """Add all settings, and comments on what has no counterpart."""
        self.section.put("input", "fingerprints.h5")
        self._networks()
        self._scaling()
        self._split()
        self._method()
        self._weights()
        for keyword, text in WITHOUT.items():
            block = self.content.find(keyword)
            if block is not None:
                words = " ".join((keyword, *block.words))
                self._lose(block.line, f"{words}: {text}")

    def _lose(self, line: TextLine, text: str) -> None:
        """Say what has no counterpart."""
        self.section.say(line.comment(text))
        self.notes.append(line.note(text))

    def _networks(self) -> None:
        block = self.content.find("NETWORKS")
        if block is None:
            return
        layouts = read_layouts(block)
        nodes_s = {layout.symbol: list(layout.nodes) for layout in layouts}
        same = all(layout.nodes == layouts[0].nodes for layout in layouts)
        self.section.put("hidden", list(layouts[0].nodes) if same else nodes_s)
        names = Counter(name for layout in layouts for name in layout.activations)
        if names:
            chosen = names.most_common(1)[0][0]
            self.section.put("activation", chosen, "annpot's default is silu")
            for layout in layouts:
                if set(layout.activations) - {chosen}:
                    self._lose(
                        layout.line,
                        f"activations {', '.join(layout.activations)}: annpot has one "
                        f"for all layers, {chosen} is taken",
                    )
        self.section.say(
            f"{block.line.comment('NETWORKS')}: all networks will be in one file, "
            "potential.h5; 'annpot convert potential.h5 NAME.nn' writes them for aenet."
        )
        for layout in layouts:
            if (self.content.path.parent / layout.file).is_file():
                self._lose(
                    layout.line,
                    f"'{layout.file}' is there: aenet would go on from its weights, "
                    "annpot begins anew",
                )

    def _scaling(self) -> None:
        self.section.put("members", 1, "the mean of 4, the default, errs less")
        self.section.put("scaling", "zscore", "annpot's default is whitening")
        if not self.torch:
            self.section.put("l2", 0.0, "annpot's default is 1e-4, against overfitting")

    def _split(self) -> None:
        block = self.content.find("TESTPERCENT")
        if block is not None:
            percent = block.line.float(block.words[0], "TESTPERCENT")
            if not 0.0 <= percent < 100.0:
                raise block.line.error(
                    f"TESTPERCENT {percent:g}, expected 0 to less than 100"
                )
            self.section.put("test_fraction", _share(percent))
        self.section.put(
            "validation_fraction", 0.0, "0.05, the default, keeps the best epoch"
        )

    def _method(self) -> None:
        block = self.content.find("METHOD")
        epochs = self.content.find("ITERATIONS")
        if block is not None:
            name, options, line = _options(block)
            if name == "bfgs":
                self._bfgs(line, options)
            elif name in ("adam", "adamw"):
                self._adam(line, options)
            else:
                self._other(line, name)
        if epochs is not None:
            number = epochs.line.count(epochs.words[0], "ITERATIONS", 0, MAX_EPOCHS)
            self.section.put("epochs", max(1, number))
            if number == 0:
                self._lose(epochs.line, "ITERATIONS 0: annpot makes one epoch at least")

    def _bfgs(self, line: TextLine, options: dict[str, str]) -> None:
        self.section.put("method", "lbfgs")
        self.section.put("lbfgs", {"memory": 20}, "as aenet; 30 is annpot's default")
        self._lose_options(line, options)

    def _other(self, line: TextLine, name: str) -> None:
        self.section.put("method", "lbfgs")
        self._lose(
            line, f"method {name[:40]!a}: annpot has L-BFGS and Adam, L-BFGS is taken"
        )

    def _adam(self, line: TextLine, options: dict[str, str]) -> None:
        self.section.put("method", "adam", "annpot's default is lbfgs")
        rate, batch = ("lr", "256") if self.torch else ("mu", "1")
        start = line.float(options.pop(rate, "1e-3"), rate)
        if start <= 0.0:
            raise line.error(f"{rate} {start:g}, expected more than 0")
        size = line.count(options.pop("batchsize", batch), "batchsize", 1, MAX_BATCH)
        block = self.content.find("BATCHSIZE")
        if block is not None:
            size = block.line.count(block.words[0], "BATCHSIZE", 1, MAX_BATCH)
        keys: dict[str, object] = {"learning_rate": start, "batch": size}
        keys |= {"schedule": "constant", "averaging": 0.0}
        self.section.put("adam", keys, "defaults: rate falls by 'cosine', averaging")
        self._lose_options(line, options)
        if "samplesize" in options:
            text = "samplesize: an epoch of annpot sees each training structure once"
            self._lose(line, text)

    def _lose_options(self, line: TextLine, options: dict[str, str]) -> None:
        """Say which options of a method have no counterpart."""
        names = [name for name in options if name != "samplesize"]
        if names:
            self._lose(line, f"{', '.join(names)}: no counterpart")

    def _weights(self) -> None:
        """Add the weights of energies and forces."""
        block = self.content.find("FORCES")
        if block is None:
            self.section.put(
                "force_weight",
                0.0,
                "as aenet; 1.0, the default, learns from forces, too",
            )
        else:
            text = " ".join(row.text for row in block.rows)
            self._lose(
                block.line,
                f"FORCES {text[:60]}: aenet-PyTorch mixes root mean squares by alpha, "
                "annpot mean squares by energy_weight and force_weight, which have "
                "their defaults, 30 and 1",
            )
        block = self.content.find("REGULARIZATION")
        if block is not None:
            self._lose(
                block.line,
                f"REGULARIZATION {block.words[0][:40]}: decay of the weights; annpot's "
                "l2, a term of the loss, has its default",
            )
        block = self.content.find("PHSEED")
        if block is not None:
            seed = block.line.count(block.words[0], "PHSEED", 0, 2**32)
            self.section.put("seed", seed, "the numbers that follow from it differ")


def _share(percent: float) -> float:
    """Return a percentage as share, without the digits of rounding."""
    return float(f"{percent / 100.0:.12g}")


_OPTION = re.compile(r"([A-Za-z_]\w*)\s*=\s*([^\s=,]+)")


def _options(block: Block) -> tuple[str, dict[str, str], TextLine]:
    """Return the method, its options by their names, and their line.

    Raises
    ------
    FileFormatError
        If there is no method.
    """
    line = block.rows[0] if block.rows else block.line
    words: Sequence[str] = line.words if block.rows else block.words
    text = " ".join(words)
    options = {name.lower(): value for name, value in _OPTION.findall(text)}
    name = options.pop("method", None) or (words[0] if words else "")
    if not name or "=" in name:
        raise line.error("a method expected after METHOD, such as bfgs or adam")
    return name.lower(), options, line
