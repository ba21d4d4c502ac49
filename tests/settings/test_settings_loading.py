"""Loading: defaults, short forms, options, YAML's traps, and every message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from annpot.errors import InputError
from annpot.settings import (
    AngularSettings,
    BehlerSettings,
    ChebyshevSettings,
    Settings,
    TrainSettings,
    load_settings,
    read_override,
    require_structures,
)
from annpot.settings.document import MAX_BYTES


def load(tmp_path: Path, text: str, **options: object) -> Settings:
    path = tmp_path / "in.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, {k.replace("__", "."): v for k, v in options.items()})


def message(tmp_path: Path, text: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text, **options)
    return str(caught.value).replace(str(tmp_path) + "/", "")


def test_defaults() -> None:
    settings = load_settings(None)
    assert settings == Settings()
    assert settings.structures == ()
    assert settings.species is None
    (descriptor,) = settings.descriptor
    assert descriptor == ChebyshevSettings()
    assert settings.train.hidden == (30, 30)
    assert settings.train.epochs is None
    assert settings.train.adam.learning_rate == 3e-3
    assert settings.train.output == settings.predict.potential == Path("potential.h5")
    assert settings.generate.output == settings.train.input


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().train.seed = 3  # type: ignore[misc]


def test_settings_survive_json(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "structures: [a, {files: [b, c], index: 3, set: test}]\n"
        "species: {Ti: 1.5, O: fit}\n"
        "descriptor: {weights: {Ti: 1, O: -1}, central: {O: {radial: {order: 2}}}}\n"
        "train: {hidden: {Ti: [3], O: [4, 4]}, time_limit: 3m}\n",
    )
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_options_win(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "train: {epochs: 3, seed: 4}",
        train__epochs=5,
        train__adam__batch=2,
        descriptor__radial__cutoff=4.0,
        structures=("a.xsf", "b.xsf"),
    )
    assert (settings.train.epochs, settings.train.seed) == (5, 4)
    assert settings.train.adam.batch == 2
    assert settings.descriptor[0].radial.cutoff == 4.0
    assert [group.files for group in settings.structures] == [("a.xsf",), ("b.xsf",)]


def test_options_fill_a_section_without_keys(tmp_path: Path) -> None:
    assert load(tmp_path, "train:\n", train__seed=7).train.seed == 7


def test_options_do_not_change_the_caller_s_values() -> None:
    overrides: dict[str, object] = {"train": {"seed": 1}, "train.epochs": 2}
    assert load_settings(None, overrides).train.epochs == 2
    assert overrides == {"train": {"seed": 1}, "train.epochs": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.epochs=5", ("train.epochs", 5)),
        ("train.l2=1e-4", ("train.l2", 1e-4)),
        ("train.hidden=[20, 20]", ("train.hidden", [20, 20])),
        ("species={Ti: fit}", ("species", {"Ti": "fit"})),
        ("structures=data/*.xsf", ("structures", "data/*.xsf")),
        ("structures=*.xsf", ("structures", "*.xsf")),
        ("structures=a=b", ("structures", "a=b")),
        ("train.epochs=", ("train.epochs", None)),
    ],
)
def test_read_override(text: str, expected: tuple[str, object]) -> None:
    assert read_override(text) == expected


@pytest.mark.parametrize("text", ["", "train.epochs", "=5"])
def test_read_override_without_key_or_value(text: str) -> None:
    with pytest.raises(InputError, match="expected an option such as"):
        read_override(text)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("structures: a/*.xsf", [("a/*.xsf",)]),
        ("structures: [a.xsf, b]", [("a.xsf",), ("b",)]),
        ("structures:\n- files: [a, b]\n- c", [("a", "b"), ("c",)]),
        ("structures: 2020-01-01", [("2020-01-01",)]),
        ("structures: []", []),
        ("structures: null\ntrain:", None),
    ],
)
def test_short_forms_of_structures(tmp_path: Path, text: str, files: object) -> None:
    if files is None:
        assert "line 1: structures: expected" in message(tmp_path, text)
        return
    assert [group.files for group in load(tmp_path, text).structures] == files


def test_group_defaults_and_short_forms(tmp_path: Path) -> None:
    (group,) = load(
        tmp_path, "structures: [{files: a, index: -1, group: 7}]"
    ).structures
    assert (group.index, group.group, group.weight) == ("-1", "7", 1.0)
    (group,) = load(tmp_path, "structures: a").structures
    assert (group.index, group.group, group.set, group.names) == (":", None, None, None)


@pytest.mark.parametrize("index", ["':'", "'::10'", "0:10", "-5:", "'::-1'", "3"])
def test_index(tmp_path: Path, index: str) -> None:
    text = f"structures: [{{files: a, index: {index}}}]"
    assert load(tmp_path, text).structures[0].index == index.strip("'")


@pytest.mark.parametrize(
    "text",
    [
        "species: [Ti, O]",
        "species: {Ti: fit, O: fit}",
        "species: {Ti: , O: {}}",
        "species: {Ti: {energy: fit}, O: {energy: fit}}",
    ],
)
def test_short_forms_of_species(tmp_path: Path, text: str) -> None:
    species = load(tmp_path, text).species
    assert species is not None
    assert {s: v.energy for s, v in species.items()} == {"Ti": "fit", "O": "fit"}


@pytest.mark.parametrize("version", ["", "%YAML 1.1\n---\n"])
def test_symbols_that_yaml_may_take_for_booleans(tmp_path: Path, version: str) -> None:
    species = load(tmp_path, version + "species: {No: 1, N: -2e-1, Y: fit}").species
    assert species is not None
    assert {s: v.energy for s, v in species.items()} == {"No": 1, "N": -0.2, "Y": "fit"}
    species = load(tmp_path, version + "species: [No, N, Y]").species
    assert species is not None
    assert list(species) == ["No", "N", "Y"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-4", 1e-4), ("1E-4", 1e-4), ("1.e-4", 1e-4), ("1e2", 100), ("010", 10)],
)
def test_numbers(tmp_path: Path, text: str, number: float) -> None:
    assert load(tmp_path, f"train: {{l2: {text}}}").train.l2 == number


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("3m", 180),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1d 1s", 86401),
        ("2 min", 120),
        ("null", None),
    ],
)
def test_time_limit(tmp_path: Path, text: str, seconds: float | None) -> None:
    assert load(tmp_path, f"train: {{time_limit: {text}}}").train.time_limit == seconds


def test_central_species_inherit_field_by_field(tmp_path: Path) -> None:
    descriptor = load(
        tmp_path,
        "descriptor:\n"
        "  radial: {order: 10, cutoff: 7}\n"
        "  central: {O: {radial: {cutoff: 5.0}, angular: {order: 2}}}\n",
    ).descriptor[0]
    radial, angular = descriptor.parts("O")
    assert (radial.order, radial.cutoff) == (10, 5.0)
    assert (angular.order, angular.cutoff) == (2, AngularSettings().cutoff)
    assert descriptor.parts("Ti") == (descriptor.radial, descriptor.angular)


def test_several_descriptors(tmp_path: Path) -> None:
    text = "descriptor: [{radial: {order: 3}}, {type: behler, cutoff: 4.0}, {}]"
    first, second, third = load(tmp_path, text).descriptor
    assert isinstance(first, ChebyshevSettings)
    assert first.radial.order == 3
    assert isinstance(second, BehlerSettings)
    assert second.cutoff == 4.0
    assert third == ChebyshevSettings()


@pytest.mark.parametrize("text", ["descriptor:", "descriptor: {}", "descriptor: [{}]"])
def test_an_empty_descriptor_has_defaults(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == Settings()


def test_aliases_are_understood(tmp_path: Path) -> None:
    text = "train: {hidden: {Ti: &layers [3, 4], O: *layers}}"
    assert load(tmp_path, text).train.hidden == {"Ti": (3, 4), "O": (3, 4)}


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    text = "\ufefftrain:\r\n  seed: 3\r\n"
    assert load(tmp_path, text).train.seed == 3


MESSAGES = [
    ("descriptor:\n  radial:\n    cutof: 3",
     "line 3: descriptor.radial.cutof: unknown key, did you mean 'cutoff'?"),
    ("\ntrain:\n  epochs: many",
     "line 3: train.epochs: expected an integer >= 1, found 'many'"),
    ("epochs: 3", "line 1: epochs: unknown key, did you mean 'train.epochs'?"),
    ("train: {adam: {qqq: 1}}",
     "line 1: train.adam.qqq: unknown key, "
     "expected one of learning_rate, batch, schedule, averaging"),
    ("'': 1", "line 1: '': unknown key, "
     "expected one of structures, species, descriptor, generate, train, predict"),
    ("train: {method: lbgfs}", "line 1: train.method: "
     "expected one of 'lbfgs', 'adam', found 'lbgfs', did you mean 'lbfgs'?"),
    ("descriptor: {type: acsf}",
     "line 1: descriptor.type: expected 'chebyshev' or 'behler', found 'acsf'"),
    ("descriptor: [{}, {type: behler, radail: 3}]",
     "line 1: descriptor[1].radail: unknown key, did you mean 'radial'?"),
    ("descriptor:\n  type: behler\n  functions:\n    - {type: G2, lambda_: 1}",
     "line 4: descriptor.functions[0].lambda_: unknown key, did you mean 'lambda'?"),
    ("descriptor: {type: behler, angular: {lambda: [1, x]}}",
     "line 1: descriptor.angular.lambda[1]: expected a number, found 'x'"),
    ("descriptor: {type: behler, functions: [{eta: 1}]}",
     "line 1: descriptor.functions[0].type: this key is needed"),
    ("descriptor: []", "line 1: descriptor: expected a section of keys or a non-empty "
     "list (each: a section of keys), found []"),
    ("descriptor: {weights: {Ti: x}}",
     "line 1: descriptor.weights.Ti: expected a number, found 'x'"),
    ("descriptor:\n  central:\n    Oo: {}", "line 3: descriptor.central.Oo: "
     "unknown chemical element 'Oo', did you mean 'O'?"),
    ("species: {TI: 1}",
     "line 1: species.TI: unknown chemical element 'TI', did you mean 'Ti'?"),
    ("species:\n- Ti\n- X",
     "line 3: species[1]: unknown chemical element 'X', did you mean 'Xe'?"),
    ("species: [1]", "line 1: species: expected a list of chemical symbols, found [1]"),
    ("species: [O, O]", "line 1: species: a species is listed twice: ['O', 'O']"),
    ("species: {O: fitt}", "line 1: species.O: "
     "expected a number or 'fit' or a section of keys, "
     "found 'fitt', did you mean 'fit'?"),
    ("species: {O: {energy: x}}",
     "line 1: species.O.energy: expected a number or 'fit', found 'x'"),
    ("structures: [{}]", "line 1: structures[0].files: this key is needed"),
    ("structures: [a, 3]",
     "line 1: structures[1]: expected a text or a section of keys, found 3"),
    ("structures: [{files: []}]", "line 1: structures[0].files: "
     "expected a text or a non-empty list (each: a non-empty text), found []"),
    ("structures: [{files: a, index: '::0'}]",
     "line 1: structures[0].index: the step of an index cannot be 0, found '::0'"),
    ("structures: [{files: a, index: all}]",
     "line 1: structures[0].index: expected e.g. ':', -1 or '::10', found 'all'"),
    ("structures: [{files: a, weight: 0}]",
     "line 1: structures[0].weight: expected a number > 0, found 0"),
    ('structures: [{files: "a\\0"}]',
     "line 1: structures[0].files: a file name cannot contain the character NUL"),
    ("generate: {output: ''}", "line 1: generate.output: expected a path, found ''"),
    ("train: 5", "line 1: train: expected a section of keys, found 5"),
    ("train: {seed: true}",
     "line 1: train.seed: expected an integer >= 0, found true"),
    ("train: {l2: }", "line 1: train.l2: expected a number >= 0, found nothing"),
    ("train: {l2: .nan}", "line 1: train.l2: expected a number >= 0, found nan"),
    ("train: {l2: {a: 1}}",
     "line 1: train.l2: expected a number >= 0, found keys (a)"),
    ("train: {hidden:\n [1,\n x]}",
     "line 3: train.hidden[1]: expected an integer >= 1 and <= 100000, found 'x'"),
    ("train: {hidden: [100001]}",
     "line 1: train.hidden[0]: expected an integer >= 1 and <= 100000, found 100001"),
    ("train: {force_weight: 1.0e+308}",
     "line 1: train.force_weight: expected a number >= 0 and <= 1e+12, found 1e+308"),
    ("train: {hidden: {O: 5}}", "line 1: train.hidden.O: "
     "expected a list (each: an integer >= 1 and <= 100000), found 5"),
    ("train: {time_limit: soon}", "line 1: train.time_limit: "
     "expected a text such as '90s' or '1h30m' or a number > 0, found 'soon'"),
    ("train: {test_fraction: 0.5, validation_fraction: 0.5}",
     "line 1: train: test_fraction + validation_fraction must be less than 1, found 1"),
    ("train: {energy_weight: 0, force_weight: 0}", "line 1: train: energy_weight, "
     "force_weight and stress_weight are all 0, expected at least one > 0"),
    ("predict: {forces: perhaps}",
     "line 1: predict.forces: expected true or false, found 'perhaps'"),
    ("predict: {fail_on: all}",
     "line 1: predict.fail_on: expected 'extrapolation', found 'all'"),
    # YAML itself
    ("train:\n  seed: 1\n  seed: 2",
     "line 3: train.seed: given twice, first in line 2"),
    ("- a", "line 1: expected settings in YAML, with keys such as 'structures'"),
    ("a text", "line 1: expected settings in YAML, with keys such as 'structures'"),
    ("? [a]\n: 1", "line 1: expected a word as key"),
    ("train: {\"a\\nb\": 1}", "line 1: train.a\\nb: unknown key, expected one of "
     + ", ".join(TrainSettings.model_fields)),
    ("train: !foo {}", "line 1: train: unknown tag !foo"),
    ("train:\n\tseed: 1", "line 2: while scanning for the next token, "
     "found character '\\t' that cannot start any token"),
    ("train: {l2: 1\n", "line 2: while parsing a flow mapping, "
     "expected ',' or '}', but got '<stream end>'"),
    ("structures: {files: a}", "line 1: structures: expected a text or "
     "a list (each: a text) or a list (each: a section of keys), found keys (files)"),
    ("train: {}\n---\ntrain: {}", "line 2: "
     "expected a single document in the stream, but found another document"),
    ("train: {hidden: &a [*a]}", "line 1: nested more than 50 levels deep"),
    ("train: {}\n# \x01", "line 2: unprintable character '\\x01'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MESSAGES)
def test_message(tmp_path: Path, text: str, expected: str) -> None:
    assert message(tmp_path, text) == f"in.yaml, {expected}"


@pytest.mark.parametrize("text", ["", "# nothing\n", "null"])
def test_empty_file(tmp_path: Path, text: str) -> None:
    assert "structures" in message(tmp_path, text)


def test_escape_that_is_no_character(tmp_path: Path) -> None:
    assert "not valid YAML" in message(tmp_path, r'train: "\UFFFFFFFF"')
    assert "half a surrogate pair" in message(tmp_path, r'structures: "\ud800"')


def test_many_brackets(tmp_path: Path) -> None:
    assert message(tmp_path, "[" * 600) == "in.yaml: nested more than 50 levels deep"


def test_alias_bomb(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    assert message(tmp_path, "\n".join(lines)).endswith(
        "aliases repeat more than 10000 values"
    )


def test_all_problems_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "predict: {force: 1}\ntrain:\n  seed: -1\n  seed: 2\ngenerate: 3\n"
    assert message(tmp_path, text, train__epochs="x").splitlines() == [
        "in.yaml: 5 problems",
        "in.yaml, line 1: predict.force: unknown key, did you mean 'forces'?",
        "in.yaml, line 3: train.seed: expected an integer >= 0, found -1",
        "in.yaml, line 4: train.seed: given twice, first in line 3",
        "in.yaml, line 5: generate: expected a section of keys, found 3",
        "option train.epochs: expected an integer >= 1, found 'x'",
    ]


def test_very_many_problems(tmp_path: Path) -> None:
    lines = message(tmp_path, "\n".join(f"q{n}: 1" for n in range(70))).splitlines()
    assert lines[0] == "in.yaml: 70 problems"
    assert lines[-1] == "... and 20 more"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("train.epochs", "option train.epochs: expected an integer >= 1, found 'x'"),
        ("train.epoks", "option train.epoks: unknown key, did you mean 'epochs'?"),
        ("trian.epochs", "option trian: unknown key, did you mean 'train'?"),
        ("train.seed.x", "option train.seed.x: "
         "cannot be set, because train.seed has no keys"),
    ],
)  # fmt: skip
def test_wrong_option(tmp_path: Path, key: str, expected: str) -> None:
    assert message(tmp_path, "train: {seed: 1, epochs: 2}", **{key: "x"}) == expected


def test_wrong_option_without_file() -> None:
    with pytest.raises(InputError) as caught:
        load_settings(None, {"train.epochs": 0, "predict.a": 1})
    assert str(caught.value).splitlines() == [
        "settings: 2 problems",
        "option train.epochs: expected an integer >= 1, found 0",
        "option predict.a: unknown key, expected one of potential, forces, stress, "
        "atomic_energies, fail_on, batch_atoms",
    ]


def test_missing_file(tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text("train:")
    with pytest.raises(InputError, match=r"no such file, did you mean 'in\.yaml'"):
        load_settings(tmp_path / "in.yml")
    with pytest.raises(InputError, match="no such file: 'annpot schema --yaml' prints"):
        load_settings(tmp_path / "none" / "in.yaml")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, expected a YAML file"):
        load_settings(tmp_path)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"cannot be read: Permission denied"):
        load_settings(tmp_path / "in.yaml")


def test_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "in.yaml"
    path.write_bytes(b"train:\n  log: \xff\n")
    with pytest.raises(InputError, match="line 2: not text in UTF-8"):
        load_settings(path)


def test_very_large_file(tmp_path: Path) -> None:
    path = tmp_path / "in.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(InputError, match="larger than 2 MB"):
        load_settings(path)


def test_require_structures(tmp_path: Path) -> None:
    settings = load(tmp_path, "structures: a")
    assert require_structures(settings, None) == settings.structures
    with pytest.raises(InputError, match=r"in\.yaml: structures: this key is needed"):
        require_structures(Settings(), Path("in.yaml"))


def test_import_is_light() -> None:
    heavy = "{'numpy', 'ase', 'numba', 'h5py', 'scipy'}"
    code = f"import sys, annpot.settings; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
