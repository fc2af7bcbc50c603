"""What a reader of a report would notice if it broke."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report_world import CLEAN, ERRORS, FLIP, HIT, LIFT, POLICY, SKIPPED

from audit.errors import ConfigError
from audit.findings import Evidence
from audit.report import render
from audit.run import Run
from audit.types import Answer, Ranked

MakeRun = Callable[..., Run]


class Page(HTMLParser):
    """Tags, attributes and visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.depth: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "br", "line", "rect", "circle", "path"}:
            self.depth.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"line", "rect", "circle", "path"}:
            return
        assert self.depth.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not self.depth or self.depth[-1] != "style":
            self.text += f" {data}"
            self.text = re.sub(r"\s+", " ", self.text)


def test_the_file_is_whole_and_loads_nothing(shown: Run) -> None:
    html = render([shown], "html")
    page = Page(html)
    assert page.depth == []
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    links = [value for name, value in page.attributes if name in {"href", "src", "action", "xlink:href"}]
    assert links
    assert all(link.startswith("#") for link in links)
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_every_link_leads_somewhere_and_ids_are_unique(shown: Run) -> None:
    page = Page(render([shown, shown], "html"))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in page.attributes if name == "href"} <= set(ids)


def test_hostile_text_is_shown_and_does_nothing(shown: Run) -> None:
    html = render([shown], "html")
    page = Page(html)
    assert "<script>alert(1)</script>" in page.text
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    for kind in ("html", "md", "json"):
        text = render([shown], kind)
        assert not {"\x1b", "\u202e", "\x9b"} & set(text), kind
    assert r"\x1b[31mred \u202egnp.exe" in page.text


def test_hostile_names_are_harmless_everywhere(make_run: MakeRun) -> None:
    bad = "<img src=x onerror=alert(1)> | \x1b[2J \u202e `"
    run = make_run([replace(FLIP, title=f"{bad}: lost", note=bad, params={"attack": bad})], name=bad)
    page = Page(render([run], "html"))
    assert "img" not in page.tags
    markdown = render([run], "md")
    assert "<img" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| ✖ fail |")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 9  # eight cells: the pipe of the title opened none


def test_the_verdict_is_a_word_and_a_shape_not_only_a_colour(shown: Run) -> None:
    text = Page(render([shown], "html")).text
    for sign in ("✖ fail", "◐ open", "✔ pass", "○ measured", "– not testable"):
        assert sign in text
    assert "Not ready to ship: 1 check fails." in text


def test_evidence_shows_the_edit_and_both_answers(shown: Run) -> None:
    html = render([shown], "html")
    text = Page(html).text
    assert re.search(r"<ins>Jaws \(1975\) \(4\)[^<]*</ins>", html)
    assert "rank 1 before, not listed after" in text
    assert "Babe (1995) 4" in text  # the target gave an id alone; the candidates name it
    assert "▲1" in text  # Fargo moved up from 2 to 1
    assert "not in the catalogue" in text


def test_evidence_is_bounded_and_the_rest_is_counted(make_run: MakeRun) -> None:
    pieces = [Evidence(case=f"u{i}", title="case", before=CLEAN.digest, note=f"note {i}") for i in range(8)]
    run = make_run([replace(FLIP, evidence=tuple(p.id for p in pieces))], pieces, clean=Answer((Ranked("3"),)))
    text = Page(render([run], "html")).text
    assert [f"note {i}" in text for i in range(5)] == [True, True, True, False, False]
    assert "5 more pieces of evidence in the store" in text


def test_shared_evidence_is_shown_once(make_run: MakeRun) -> None:
    piece = Evidence(case="u1", title="case", before=CLEAN.digest, note="the only note")
    other = replace(FLIP, params={**FLIP.params, "attack": "words"}, evidence=(piece.id,))
    html = render([make_run([replace(FLIP, evidence=(piece.id,)), other], [piece])], "html")
    assert html.count("the only note") == 1
    assert "Shown above" in html


def test_the_store_is_read_a_fixed_number_of_times(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def reads(pieces: int) -> int:
        evidence = [Evidence(case=f"u{i}", title="case", before=CLEAN.digest) for i in range(pieces)]
        findings = [
            replace(FLIP, params={"attack": f"a{i}"}, evidence=tuple(e.id for e in evidence[i::40])) for i in range(40)
        ]
        run = make_run(findings, evidence, name=f"n{pieces}")
        counted = 0
        real = run.store._read

        def counting(statement: object) -> object:
            nonlocal counted
            counted += 1
            return real(statement)  # type: ignore[arg-type]  # whatever the store hands itself

        monkeypatch.setattr(run.store, "_read", counting)
        render([run], "html")
        monkeypatch.undo()
        return counted

    assert reads(40) == reads(400)


def test_checks_that_could_not_run_are_listed_with_the_reason(shown: Run) -> None:
    for kind in ("html", "md"):
        text = render([shown], kind)
        assert "One inserted not" in text
        assert "the target reads no text" in text.replace("The target", "the target")


def test_the_machine_of_the_author_is_not_in_the_report(shown: Run) -> None:
    assert "/home/someone" not in render([shown], "html")
    assert "/home/someone" not in render([shown], "md")


def test_run_facts_say_how_to_repeat_it(shown: Run) -> None:
    text = Page(render([shown], "html")).text
    for fact in (shown.id, "python 3.11.7", "2 asked, 0 reused", "GroupLens", "name: ml-100k", "Order inside a visit"):
        assert fact in text


def test_several_runs_begin_with_an_overview(shown: Run, make_run: MakeRun) -> None:
    other = make_run([LIFT], name="second")
    text = Page(render([shown, other], "html")).text
    assert text.index("2 runs") < text.index("Overview") < text.index("In plain words")
    markdown = render([shown, other], "md")
    assert "| demo | my-target | ✖ fail | 1 | 1 | 1 | 1 | 1 |" in markdown
    assert "| second | my-target | ✔ pass | 0 | 0 | 1 | 0 | 0 |" in markdown


def test_json_is_the_run_itself_and_several_are_a_list(shown: Run) -> None:
    assert json.loads(render([shown], "json")) == shown.to_json()
    assert len(json.loads(render([shown, shown], "json"))) == 2


def test_markdown_tells_the_story_in_tables(shown: Run) -> None:
    text = render([shown], "md")
    assert "**✖ Not ready to ship: 1 check fails." in text
    flip = next(line for line in text.splitlines() if line.startswith("| ✖ fail | Typing slips"))
    assert "| **0.500** [0.400, 0.600] | 0.100 | 0.400 [0.300, 0.500] | ≤ 0.2 on effect | 50 |" in flip
    assert "**Jaws (1975) (4)" in text
    assert text.count("<details>") == text.count("</details>")


def test_a_fence_cannot_be_closed_from_inside() -> None:
    from audit.report.markdown_parts import fenced

    assert fenced("a\n````\nb").splitlines()[0] == "`````"


def test_unknown_kinds_are_named_with_the_nearest(shown: Run) -> None:
    with pytest.raises(ConfigError, match="did you mean 'html'"):
        render([shown], "htm")
    with pytest.raises(ConfigError, match="no run"):
        render([], "html")


def test_a_module_of_somebody_else_is_reported_too(make_run: MakeRun) -> None:
    run = make_run([replace(HIT, module="their-module", metric="their_metric", title="Something new")])
    text = Page(render([run], "html")).text
    assert "Their module" in text
    assert "Something new" in text


def test_a_run_without_findings_still_renders(make_run: MakeRun) -> None:
    run = make_run([], status="stopped")
    for kind in ("html", "md"):
        assert "unfinished" in render([run], kind)
    assert "Nothing could be judged" in render([make_run([SKIPPED])], "md")


def test_the_world_of_these_tests_has_one_of_each_verdict() -> None:
    assert [f.verdict for f in POLICY.judge([FLIP, ERRORS, LIFT, HIT])] == ["fail", "inconclusive", "pass", None]
