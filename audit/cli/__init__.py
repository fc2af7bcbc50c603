"""The command line: `recaudit`, also `python -m audit`.

Results go to standard output, everything else to standard error. Whatever is heavy is imported inside the command that
needs it, so that `--help` answers at once.
"""

from audit.cli.app import app, main

__all__ = ["app", "main"]
