"""Entry point of the command: sub-commands, and errors as one clear line."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from dissect_core.errors import DissectError, SpecError
from dissect_core.storage.files import FULL, why_refused

from ._commands import Commands
from ._console import Console, one_line
from ._interruption import INTERRUPTED, Interruption, StoppedError

USAGE_ERROR = 2
PROBLEMS_AT_MOST = 50  # of a spec, a line each
INTERRUPTED_LINE = "interrupted; nothing half-written is left"

app = typer.Typer(
    name="deep-dissect",
    cls=Commands,
    help="Which parts of an object detector matter, and how much?\n\n"
    "Look into a trained detector (inspect), remove parts of it (ablate), measure it (evaluate), list what a study "
    "would do (plan), run it (run), write its variants as checkpoints (export), look at results in the browser (app), "
    "or see all of it at work on the bundled detectors (demo).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"deep-dissect {version('deep-dissect')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; works at any place.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Carry the options of the whole command; `main` acts on ``--debug``."""


def main(arguments: Sequence[str] | None = None, interruption: Interruption | None = None) -> None:
    """Run the command and exit: 0 done, 2 an error of use or input, 130 interrupted, 1 a fault of this program.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command line without the program's name; by default the process's own.
    interruption : Interruption, optional
        Tells whether Ctrl-C caused an error.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    _print_every_letter()
    words = [word for word in words if word != "--debug"]

    def work() -> Any:
        return app(words, prog_name="deep-dissect", standalone_mode=False)

    sys.exit(run_guarded(work, words, debug=debug, interruption=interruption))


def run_guarded(
    work: Callable[[], Any],
    words: Sequence[str] = (),
    *,
    debug: bool,
    interruption: Interruption | None = None,
) -> int:
    """Call `work` and return an exit status; what it raises becomes one line on standard error."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        with _warnings_in_a_line(errors):
            status = work()
        if status == INTERRUPTED:
            errors.print(INTERRUPTED_LINE)
        return status if isinstance(status, int) else 0
    except SystemExit as exit_request:
        return exit_request.code if isinstance(exit_request.code, int) else int(exit_request.code is not None)
    except KeyboardInterrupt:
        errors.print(INTERRUPTED_LINE)
        return INTERRUPTED
    except StoppedError as stopped:
        errors.print(one_line(stopped))
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the pipe has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SpecError as error:  # a spec may break several rules: a line for each
        if debug:
            raise
        first, *more = str(error).split("\n")[:PROBLEMS_AT_MOST]
        errors.print(f"error: {one_line(first)}")
        for line in more:
            errors.print(f"  {one_line(line)}")
        return USAGE_ERROR
    except MemoryError as error:
        if debug:
            raise
        errors.print(
            f"error: out of memory: {one_line(error) or 'nothing more can be allocated'}. "
            "Free some, or use less at a time: fewer images a batch, a smaller file."
        )
        return USAGE_ERROR
    except Exception as error:
        if interruption is not None and interruption.came:  # a library made another error of it
            errors.print(INTERRUPTED_LINE)
            return INTERRUPTED
        if hasattr(error, "format_message"):  # typer's own: its box of five lines is made one
            return _usage_error(error, words, errors)
        if debug:
            raise
        if _is_for_people(error):
            errors.print(f"error: {one_line(_said(error))}")
            return USAGE_ERROR
        errors.print(
            f"internal error: {type(error).__name__}: {one_line(error)} "
            "(this is a fault of Deep Dissect; --debug shows the traceback)"
        )
        return 1


def _is_for_people(error: Exception) -> bool:
    """Return whether an error's message is meant for people; any other error is a fault of this program."""
    if isinstance(error, (DissectError, OSError)):
        return True
    from dissect_eval.errors import EvalError  # not before there is need of it: it takes half a second

    return isinstance(error, EvalError)


def _said(error: Exception) -> str:
    """Return an error's text; for an error of the disk, which Python tells by number, what the number means."""
    if isinstance(error, OSError) and not isinstance(error, DissectError) and error.errno in FULL:
        return f"{error.filename or 'The output'} cannot be written: {why_refused(error)}."
    return str(error)


def _print_every_letter() -> None:
    """Make standard output write letters that its encoding lacks as escapes, as Python does on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def _warnings_in_a_line(errors: Console) -> Iterator[None]:
    """Print warnings in one line, as errors are; only those of other libraries with the line of code."""
    before, told = warnings.showwarning, set[str]()

    def shown(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        where = (
            ""
            if category.__module__.startswith("dissect_")
            else f" ({category.__name__}, {filename}:{lineno})"
        )
        line = f"warning: {one_line(message)}{where}"
        if line not in told:  # some libraries reset Python's own record, and would warn for every batch
            told.add(line)
            errors.print(line)

    warnings.showwarning = shown
    try:
        yield
    finally:
        warnings.showwarning = before


def _usage_error(error: Any, words: Sequence[str], errors: Console) -> int:
    """Print what is wrong with the words of the command in one line; typer names option and rule."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return USAGE_ERROR
    from dissect_core.spec import plain_rule

    text = plain_rule(" ".join(str(error.format_message()).split()).rstrip(".?"))
    parameter = getattr(error, "param", None)
    given = _word_after(parameter.opts if parameter is not None else (), words)
    if given is not None and given not in text:
        text += f", got {given!r}"
    if "No such command" in text and context is not None:
        text += f"; there are {', '.join(context.command.list_commands(context))}"
    if "No such option: -o" in text:  # which was short for --out
        text += "; what a command writes is named by --out"
    help_of = context.command_path if context is not None else "deep-dissect"
    errors.print(f"error: {one_line(text)} (see '{help_of} --help')")
    return USAGE_ERROR


def _word_after(options: Sequence[str], words: Sequence[str]) -> str | None:
    """Return the value given to an option on the command line, as ``--seed -1`` or ``--seed=-1``."""
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in options:
            return value if equals else next(iter(words[i + 1 : i + 2]), None)
    return None
