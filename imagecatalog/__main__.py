"""The command line: ``imagecatalog``, ``python -m imagecatalog`` and ``manage.py``."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys

from imagecatalog import command_line, garbage, installation


def main() -> None:
    """Run the command given in ``sys.argv``, and exit with its exit code.

    Without a command, print the overview of all commands. With ``--version``, print the version.
    """
    try:
        try:
            _run()
        finally:
            print(end="", flush=True)  # at exit an error could no longer be caught
    except BrokenPipeError:
        # The reader has closed the pipe, as in ``| head``. Python ignores SIGPIPE, which ends
        # other programs. Python writes its buffer at exit, so the output needs a target.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _run() -> None:
    if os.path.basename(sys.argv[0]) == "__main__.py":
        sys.argv[0] = "imagecatalog"  # the name in help texts and messages
    if "--version" in sys.argv or sys.argv[1:] == ["version"]:
        print(f"imagecatalog {installation.version()}")
        return
    if sys.argv[1:] in ([], ["help"], ["--help"], ["-h"]):
        print(command_line.overview(os.path.basename(sys.argv[0])))
        return
    if sys.argv[1:2] == ["django"]:
        del sys.argv[1]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
    # Collections while modules are loaded, and the one at exit, would take a third of the processor
    # time of a short command.
    garbage.collect_seldom()
    atexit.register(gc.freeze)
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import Error, OperationalError, ProgrammingError

    from images import outages

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except Error as error:
        wrong_tables = isinstance(error, OperationalError | ProgrammingError)
        is_known = wrong_tables or outages.is_outage(error)
        if "--traceback" in sys.argv or not is_known:
            raise
        from images import data_folder

        sys.exit(data_folder.database_sentence(error))


if __name__ == "__main__":
    main()
