"""`python -m dashboard`: serve the dashboard of the settings in the environment; `recaudit dashboard` calls it."""

from __future__ import annotations

import argparse

from dashboard import warm
from dashboard.server import serve
from dashboard.settings import Settings


def main() -> None:
    """Read the address from the arguments and serve until interrupted."""
    given = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__)
    given.add_argument("--address", default="127.0.0.1")
    given.add_argument("--port", type=int, default=8501)
    arguments = given.parse_args()
    warm.up()
    serve(Settings.of_environment(), address=arguments.address, port=arguments.port)


if __name__ == "__main__":
    main()
