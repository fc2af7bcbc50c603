"""Every string that could act, wherever a target or a data file may put it: nothing acts where people look."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hostile import EVERY, acting_in_terminal
from report_world import CLEAN, EDITED, FLIP

from audit.cli import main
from audit.edits import HistoryInsert
from audit.findings import Evidence
from audit.pack import open_pack, write_pack
from audit.report import render
from audit.run import Run
from audit.types import Answer, Event, Item, Ranked

ACTIVE_TAGS = {"script", "iframe", "img", "object", "embed", "link", "form", "input", "base"}
"""Of which a report has none of its own."""


class Acting(HTMLParser):
    """What in a page would do something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ACTIVE_TAGS:
            self.found.append(tag)
        for name, value in attrs:
            outside = name in {"href", "src", "action", "srcdoc", "xlink:href"} and not (value or "").startswith("#")
            if name.startswith("on") or outside:
                self.found.append(f"{name}={value}")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def hostile_run(make_run: Any) -> Run:
    """Hostile names of the run, titles, notes, parameters, cases, edits, entries and texts."""
    everything = "\n".join(EVERY)
    pieces = [
        Evidence(
            case=text,
            title=text,
            before=CLEAN.digest,
            after=EDITED.digest,
            edits=(HistoryInsert(1, Event(Item(f"i{n}", text, text), 4.0)),),
            note=text,
        )
        for n, text in enumerate(EVERY)
    ]
    findings = [
        replace(FLIP, title=text, note=text, params={"attack": f"{n}{text}"}, evidence=(pieces[n].id,))
        for n, text in enumerate(EVERY)
    ]
    entries = tuple(Ranked(None, text, reason=text) for text in EVERY)
    answer = Answer(entries, text=everything, detail=everything)
    return make_run(findings, pieces, name=everything, clean=answer, edited=replace(answer, outcome="refused"))


def test_the_page_does_nothing(hostile_run: Run) -> None:
    page = render([hostile_run], "html")
    read = Acting(page)
    assert read.found == []
    assert acting_in_terminal(page) == []
    assert "<script>window.pwned=1</script>" in read.text, "it is shown, not dropped"


def test_markdown_holds_no_markup_of_others(hostile_run: Run) -> None:
    text = render([hostile_run], "md")
    assert acting_in_terminal(text) == []
    outside = re.sub(r"^(`{3,}).*?^\1`*$", "", text, flags=re.MULTILINE | re.DOTALL)  # fences show all as it is
    assert not re.search(r"<(script|img|svg|iframe|textarea|style)\b", outside)
    assert not re.search(r"(?<!\\)\]\(\s*(javascript|https?:)", outside), "no link comes out"
    assert "https://evil.invalid" not in outside, "nor one without brackets"
    assert "@somebody" not in outside


@pytest.mark.parametrize("kind", ["sarif", "junit", "json"])
def test_formats_for_programs(hostile_run: Run, kind: str) -> None:
    text = render([hostile_run], kind)
    assert acting_in_terminal(text) == []
    if kind == "junit":
        from lxml import etree

        assert etree.fromstring(text.encode()).tag == "testsuites"
    else:
        assert json.loads(text)


def test_the_terminal_obeys_nothing(hostile_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", hostile_run.store.location]
    shown = [["--evidence", finding.evidence[0]] for finding in hostile_run.findings[::6]]
    for command in (["list"], ["show", "latest"], ["diff", "latest", "latest"], ["gate", "latest"]):
        main([*command, *store])
        said = capsys.readouterr()
        assert said.out
        assert acting_in_terminal(said.out + said.err) == [], command
    for options in shown:
        assert main(["show", "latest", *options, *store]) == 0
        said = capsys.readouterr()
        assert "window.pwned=1" in said.out
        assert acting_in_terminal(said.out + said.err) == []


def test_a_pack_is_ascii_and_gives_back_what_was_said(hostile_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.zip"
    write_pack(hostile_run, path)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert acting_in_terminal(archive.read(name).decode()) == [], name
            if name.endswith(".jsonl"):
                assert all(json.loads(line) for line in archive.read(name).splitlines())
    again = open_pack(path)
    assert sorted(f.title for f in again.findings) == sorted(EVERY)
