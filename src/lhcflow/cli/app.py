"""The command line: its commands, and how errors are shown."""

from __future__ import annotations

import re
import sys
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..errors import LhcflowError
from .bumphunt import app as bumphunt
from .calo import app as calo
from .doctor import doctor
from .generate import generate
from .integrate import integrate
from .reproduce import reproduce

# What typer makes of Ctrl-C.
_INTERRUPTED = 130

app = typer.Typer(
    name="lhcflow",
    help="Normalizing flows at the LHC.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(generate)
app.command()(integrate)
app.add_typer(calo, name="calo")
app.add_typer(bumphunt, name="bumphunt")
app.command()(reproduce)
app.command()(doctor)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Normalizing flows at the LHC."""
    if version:
        from .. import __version__

        typer.echo(f"lhcflow {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0; 2 for wrong input, for work that could not go on (a full disk, a loss that is not finite)
    and for errors of the user's own functions, each with one line on stderr; 130 after Ctrl-C; 1 for an error
    of lhcflow itself.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process if None.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [a for a in given if a != "--debug"]
    try:
        code = app(given, prog_name="lhcflow", standalone_mode=False)
    except typer.exceptions.TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "lhcflow")
        sys.exit(_fail(f"{_usage(error).rstrip('.')} (see {command} --help)", 2, debug, error))
    except LhcflowError as error:
        sys.exit(_fail(str(error), 2, debug, error))
    except OSError as error:
        if (place := _users_code(error)) is not None:
            sys.exit(_fail(f"{type(error).__name__}: {error} (in your code: {place})", 2, debug, error))
        where = f": {error.filename}" if error.filename else ""
        sys.exit(_fail(f"{error.strerror or error}{where}", 2, debug, error))
    except MemoryError as error:
        sys.exit(_fail("out of memory: ask for fewer calls or a smaller flow", 2, debug, error))
    except SystemExit as error:
        if (place := _users_code(error)) is None:
            raise
        sys.exit(_fail(f"your code ended the program: {place}", 2, debug, error))
    except Exception as error:
        if (place := _users_code(error)) is not None:
            sys.exit(_fail(f"{type(error).__name__}: {error} (in your code: {place})", 2, debug, error))
        text = f"{type(error).__name__}: {error} (an error of lhcflow: run again with --debug and report it)"
        sys.exit(_fail(text, 1, debug, error))
    if code == _INTERRUPTED:
        typer.secho("lhcflow: stopped", fg=typer.colors.RED, err=True)
    sys.exit(code if isinstance(code, int) else 0)


def _users_code(error: BaseException) -> str | None:
    """Where in the user's own code an error was raised, such as an integrand; None if it was not there.

    The user's code is what is neither lhcflow's nor Python's nor an installed package's. What it calls counts
    as part of it, unless that is lhcflow again.
    """
    frames = [(f.filename, str(f.lineno), f.name) for f in traceback.extract_tb(error.__traceback__)]
    if type(error.__cause__).__name__ == "_RemoteTraceback":  # from another process, as text
        frames += re.findall(r'File "(.+?)", line (\d+), in (\S+)', str(error.__cause__))
    ours = str(Path(__file__).resolve().parents[1])
    others = [*{sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}]
    for file, line, name in reversed(frames):
        if file.startswith(ours):
            return None
        if Path(file).is_file() and not any(Path(file).is_relative_to(folder) for folder in others):
            return f"{file}, line {line}, in {name}"
    return None


def _usage(error: BaseException) -> str:
    show = getattr(error, "format_message", None)
    return (show() if show else str(error)).rstrip(".")


def _fail(text: str, code: int, debug: bool, error: BaseException) -> int:
    """Show an error as one line, in red on a terminal, and return the exit code."""
    if debug:
        traceback.print_exception(error)
    line = "lhcflow: " + " ".join(text.split())
    typer.secho(line, fg=typer.colors.RED, err=True)
    return code
