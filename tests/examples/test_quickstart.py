"""The quickstart: the files are what their script writes, and the audit finds what is in them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from audit import run_audit

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"


def test_the_data_are_what_the_script_writes(tmp_path: Path) -> None:
    shutil.copy(QUICKSTART / "make_data.py", tmp_path)
    subprocess.run([sys.executable, str(tmp_path / "make_data.py")], check=True)
    for name in ("films.csv", "people.csv", "ratings.csv"):
        assert (tmp_path / name).read_text() == (QUICKSTART / name).read_text(), name


def test_the_audit_finds_that_titles_are_its_weak_spot(tmp_path: Path) -> None:
    run = run_audit(QUICKSTART / "audit.yaml", store=tmp_path / "store.sqlite")
    found = {
        (f.metric, f.params.get("attack") or f.params.get("ablation") or f.params.get("anchor")): f
        for f in run.findings
    }

    # It looks films up by their exact title, so misspelled titles are unknown to it, while foreign films do no harm.
    assert found["asr", "typos"].verdict == "fail"
    assert found["asr", "random-items"].verdict == "pass"
    # It counts, so it uses the history, in whatever order it comes.
    assert found["history_use", "history_emptied"].verdict == "pass"
    assert found["history_effect", "history_shuffled"].estimate == 0
    # It reads no instruction: that check did not run, and says why.
    assert found["flip_rate", "negation"].verdict == "not_applicable"
    assert "does not read" in found["flip_rate", "negation"].reason
    assert run.verdict == "fail"
