"""The command ``annpot``: assembles its subcommands and words their errors."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from typing import Any, NoReturn

import click

from annpot.cli import options, ranks
from annpot.cli.check import check
from annpot.cli.convert import convert
from annpot.cli.generate import generate
from annpot.cli.info import info
from annpot.cli.plot import plot
from annpot.cli.predict import predict
from annpot.cli.schema import schema
from annpot.cli.select import select
from annpot.cli.status import status
from annpot.cli.train import train
from annpot.errors import AnnpotError, InputError
from annpot.launch import launched
from annpot.logfmt import one_line
from annpot.runs.interruption import GOES_ON, INTERRUPTED, Stopped
from annpot.version import __version__

# annpot shares work among its own threads; those of BLAS would compete with them.
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


class Failure(click.ClickException):
    """The user's fault, told in one line."""

    def format_message(self) -> str:
        """Return the message; names of files in it may hold any character."""
        return one_line(self.message)


class WrongUsage(Failure):
    """Wrong settings or options; of several, each has a line."""

    exit_code = 2

    def format_message(self) -> str:
        """Return the message."""
        return "\n".join(map(one_line, self.message.split("\n")))


class ErrorWordingGroup(click.Group):
    """Turns the errors that are not ours into messages."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or what ranks do that are of no use for it."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and ranks.is_idle(cmd_name):
            return ranks.idle()
        return command

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
            raise Failure(_word(error)) from None
        except MemoryError:
            raise Failure(
                "not enough memory; please lower generate.batch_atoms, train.memory, "
                "train.lbfgs.memory, train.hidden or predict.batch_atoms, or use a "
                "machine with more"
            ) from None
        except RuntimeError as error:
            if "cannot cache function" not in str(error):
                raise
            raise Failure(
                "there is no folder to keep compiled kernels in: please set "
                "NUMBA_CACHE_DIR to one that can be written"
            ) from None
        except KeyboardInterrupt:
            _leave(ctx, "interrupted", INTERRUPTED)
        except Stopped as stopped:
            _leave(ctx, str(stopped), stopped.exit_code)


def _leave(ctx: click.Context, words: str, code: int) -> NoReturn:
    """End a command that was asked to; with --resume auto, it can always go on."""
    if code == INTERRUPTED and options.is_automatic(ctx):
        words, code = f"{words}; the same command starts again", GOES_ON
    click.echo(words, err=True)
    ctx.exit(code)


@click.group(
    cls=ErrorWordingGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 extrapolation "
    "with --fail-on, 75 stopped by a signal but --resume goes on (with '--resume auto' "
    "always), 130 interrupted. "
    "Try 'annpot COMMAND --help'.",
)
@click.version_option(__version__, prog_name="annpot")
def annpot() -> None:
    """Neural network interatomic potentials in three commands.

    \b
    annpot generate in.yaml   structure files -> fingerprints.h5
    annpot train              fingerprints.h5 -> potential.h5
    annpot predict *.xsf      energies, forces, extrapolation warnings
    """  # noqa: D301


COMMANDS = check, generate, train, predict, select, convert, info, status, schema, plot
for command in COMMANDS:
    annpot.add_command(command)


def _word(error: OSError) -> str:
    """Return what the system says, and of which file."""
    # Of all that is read and written, only standard output is not opened by its name.
    where = f"'{error.filename}'" if error.filename else "standard output"
    return f"{where}: {error.strerror or error}"


def _fail(error: OSError) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"Error: {_word(error)}\n")
    return 1


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _prepare() -> None:
    """Make output that nobody wants vanish, and a farewell of the system an interrupt.

    Batch systems end a job by SIGTERM, after SIGUSR1 if asked for, a lost terminal by
    SIGHUP. Commands that can save something take care of that. 'nohup' is respected.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
    for name in ("SIGTERM", "SIGUSR1", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _interrupt)


def main() -> NoReturn:
    """Run annpot, and end the process without tidying up what ends with it.

    Taking down compiled kernels one by one would cost 0.3 s after the work is done. MPI
    wants to be tidied up, though: some launchers take anything else for a crash.
    """
    # Imports leave a million objects behind, which each collection would walk through.
    gc.set_threshold(50_000, 20, 100)
    _prepare()
    code: int | str | None = 0
    try:
        if launched().size > 1:
            code = ranks.run(annpot)
        else:
            annpot()
    except SystemExit as exit_:
        code = exit_.code
    except OSError as error:  # of --help
        code = _fail(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or _fail(error)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    number = code if isinstance(code, int) else 0 if code is None else 1
    if launched().size > 1:
        sys.exit(number)
    os._exit(number)
