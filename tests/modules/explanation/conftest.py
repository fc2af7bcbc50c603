"""Finds the tiny models of the targets' own tests."""

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[2] / "targets")]
