"""The command line: `payment-worker`. A command's module is imported only when the command is asked for."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

_COMMANDS: Final = {
    "setup": ("setup", "Migrate the database and declare the topology; safe to repeat."),
    "run": ("run", "Run a worker until SIGTERM or Ctrl-C."),
    "demo": ("demo", "Show the main job on the published examples."),
    "doctor": ("doctor", "Check settings, servers, schema and topology, and say what to do."),
    "companies": ("companies", "Companies and their policies."),
    "invoices": ("invoices", "Import and show invoices."),
    "wallets": ("wallets", "Put and show wallets."),
    "publish": ("publish", "Publish messages, as an upstream does."),
    "outcomes": ("outcomes", "Follow outcomes, as a downstream does, or resend a period."),
    "payments": ("payments", "Show payments."),
    "dead-letters": ("dead_letters", "List, mend, replay and discard what could not be processed."),
    "audit": ("audit", "Prove that the books add up."),
}
"""The command's name → its module here, and its line in --help. Its function has the module's name."""


_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class _Commands(click.Group):
    """Imports a command when it is asked for, and turns whatever fails into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        command = getattr(import_module(f"worker.cli.{module}"), module)
        if not isinstance(command, click.Command):
            raise TypeError(f"worker.cli.{module}.{module} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in _COMMANDS.items()])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _one_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn what is raised into an error of one line: exit status 2 for wrong use, 1 for all else."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort, click.exceptions.NoArgsIsHelpError, BrokenPipeError):
        raise
    except click.UsageError as error:
        asked = error.ctx.command_path if error.ctx else "payment-worker"
        raise _WrongUse(f"{error.format_message()} (see {asked} --help)") from None
    except click.ClickException:
        raise
    except KeyboardInterrupt:
        raise click.ClickException("interrupted; the command can be run again") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename is None:
            # What is left of it could not be written at the end either, and Python would say so once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            said = f"what the command prints cannot be written: {error.strerror}. What it was to do may be done"
            raise click.ClickException(said) from None
        raise click.ClickException(import_module("worker.cli.failure").explain(error)) from error


class _WrongUse(click.ClickException):
    exit_code = 2


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="payment-worker")
def main() -> None:
    """Register payments against invoices: RabbitMQ in, Postgres books, RabbitMQ outcomes out.

    Settings come from the environment: PAYMENT_WORKER_AMQP_URL, PAYMENT_WORKER_DATABASE_URL and others.
    """
    # A stream that was closed by who runs the command is nobody's to read.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 (as long as the process)
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # What is shown may come from anywhere; a terminal that cannot show it gets an escape, never a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
