"""Run a command with DATABASE_URL pointing to a PostgreSQL that lives as long as the command.

For example: ``python -m tests.with_postgres pytest -m 'database and not wire'``.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.servers import new_database, postgres


def main() -> int:
    with postgres() as server:
        env = os.environ | {"DATABASE_URL": new_database(server)}
        return subprocess.run(sys.argv[1:], env=env).returncode


if __name__ == "__main__":
    sys.exit(main())
