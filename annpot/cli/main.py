"""The command ``annpot``: assembles its subcommands and words their errors."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any, NoReturn

import click

from annpot.cli.generate import generate
from annpot.cli.info import info
from annpot.cli.predict import predict
from annpot.cli.schema import schema
from annpot.cli.train import train
from annpot.errors import AnnpotError, InputError
from annpot.version import __version__

# annpot shares work among its own threads; those of BLAS would compete with them.
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


class Failure(click.ClickException):
    """The user's fault, told in one line."""


class WrongUsage(Failure):
    """Wrong settings or options."""

    exit_code = 2


class ErrorWordingGroup(click.Group):
    """Turns the errors that are not ours into messages."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise WrongUsage(str(error)) from None
        except AnnpotError as error:
            raise Failure(str(error)) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"'{error.filename}': " if error.filename else ""
            raise Failure(f"{where}{error.strerror or error}") from None
        except MemoryError:
            raise Failure(
                "not enough memory; please lower generate.batch_atoms or "
                "predict.batch_atoms, or use a machine with more"
            ) from None
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)


@click.group(
    cls=ErrorWordingGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 extrapolation "
    "with --fail-on, 130 interrupted. Try 'annpot COMMAND --help'.",
)
@click.version_option(__version__, prog_name="annpot")
def annpot() -> None:
    """Neural network interatomic potentials in three commands.

    \b
    annpot generate in.yaml   structure files -> fingerprints.h5
    annpot train              fingerprints.h5 -> potential.h5
    annpot predict *.xsf      energies, forces, extrapolation warnings
    """  # noqa: D301


for command in (generate, train, predict, info, schema):
    annpot.add_command(command)


def main() -> NoReturn:
    """Run annpot, and end the process without tidying up what ends with it.

    Taking down compiled kernels one by one would cost 0.3 s after the work is done.
    """
    # Imports leave a million objects behind, which each collection would walk through.
    gc.set_threshold(50_000, 20, 100)
    code: int | str | None = 0
    try:
        annpot()
    except SystemExit as exit_:
        code = exit_.code
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        sys.stderr.write(f"Error: standard output: {error.strerror}\n")
        code = 1
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)
