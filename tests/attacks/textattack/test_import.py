"""TextAttack is imported on a machine without network and with an empty home, and leaves no trace but what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import logging, os, random, socket, sys
import numpy as np

def offline(*_):
    raise OSError("no network")
socket.socket.connect = socket.getaddrinfo = offline

import attacks.textattack.attacks
assert not {"textattack", "flair", "torch", "nltk"} & set(sys.modules), "importing the attacks is cheap"
import sklearn, torch
mine = logging.getLogger("mine")
before = dict(os.environ), random.getstate(), np.random.get_state()[1].tobytes(), logging.root.level
threads = torch.get_num_threads()
from attacks.textattack.runtime import load
load()
load()
import textattack
after = dict(os.environ), random.getstate(), np.random.get_state()[1].tobytes(), logging.root.level
changed = {k: v for k, v in after[0].items() if before[0].get(k) != v}
assert not changed, changed
assert before[1:] == after[1:], "random streams, logging"
assert torch.get_num_threads() == threads and not mine.disabled and not logging.root.handlers
from huggingface_hub import constants
assert constants.HF_HOME.startswith(os.environ["HOME"]), constants.HF_HOME
from textattack.constraints.pre_transformation import StopwordModification
assert len(StopwordModification().stopwords) == 318
"""


@pytest.mark.xdist_group("textattack")
def test_the_import_is_quiet_offline_and_leaves_nothing_behind(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "OMP_NUM_THREADS", "LANG"}}
    environment = {**kept, "HOME": str(home), "RECAUDIT_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
    assert list(home.rglob("*")) == []
