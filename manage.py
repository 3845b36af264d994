#!/usr/bin/env python3
"""Run a management command: ``manage.py help`` lists them."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command of the command line; its exit code is that of this process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    try:
        try:
            execute_from_command_line(sys.argv)
        finally:
            print(end="", flush=True)  # at exit it would be too late to catch anything
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except (OperationalError, ProgrammingError) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(
            f"The database cannot be used: {str(error).strip()}\nCheck DATABASE_URL. "
            "`manage.py migrate` prepares a new database, as `manage.py serve` does."
        )
    except BrokenPipeError:
        # The reader has seen enough, as in ``| head``; Python ignores the signal that ends
        # other programs then. What is still in the buffer must go somewhere at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


if __name__ == "__main__":
    main()
