"""JUnit reports as CI systems read them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import junitparser
import pytest
from hostile import EVERY, acting_in_terminal
from lxml import etree
from report_world import FLIP, HIT, HOSTILE, POLICY

from audit.policy import Waiver
from audit.report import render
from audit.run import Run

MakeRun = Callable[..., Run]

# What `junit-10.xsd` of Jenkins' xUnit plugin allows where. The file itself is not kept here; where RECAUDIT_JUNIT_XSD
# names a copy, each document is validated against it, too.
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
    "properties": {"property"},
}
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
    "testcase": {"name", "time", "classname", "group"},
    "property": {"name", "value"},
    "failure": {"type", "message"},
    "skipped": {"type", "message"},
}
TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")
"""Its `SUREFIRE_TIME`, of suites."""
ONE_RESULT = ("skipped", "error", "failure")
"""Of which readers take one for each case."""
REQUIRED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}, "property": {"name", "value"}}


def with_policy(run: Run, **changes: Any) -> Run:
    policy = type(POLICY).model_validate(POLICY.model_dump() | changes).model_dump(mode="json")
    return Run(replace(run.record, policy=policy), run.store)


def parsed(*runs: Run) -> junitparser.JUnitXml:
    return junitparser.JUnitXml.fromstring(render(list(runs), "junit").encode())


def check(text: str) -> None:
    """Whether a document is what Jenkins, GitLab and their like take."""
    root = etree.fromstring(text.encode())
    if told := os.environ.get("RECAUDIT_JUNIT_XSD"):
        etree.XMLSchema(etree.parse(told)).assertValid(root)
    for node in root.iter():
        assert {child.tag for child in node} <= CHILDREN.get(node.tag, set()), node.tag
        assert set(node.attrib) <= ATTRIBUTES.get(node.tag, set()), node.tag
        assert REQUIRED.get(node.tag, set()) <= set(node.attrib), node.tag
        assert node.tag == "testcase" or TIME.fullmatch(node.get("time", "")), node.tag
        assert not (node.text or "").strip() or node.tag in {"failure", "skipped", "system-out"}, node.tag
    for case in root.iter("testcase"):
        assert sum(len(case.findall(kind)) for kind in ONE_RESULT) <= 1
    for name in ("tests", "failures", "errors"):
        assert int(root.get(name)) == sum(int(suite.get(name)) for suite in root)
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.get("tests")) == len(cases)
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        assert datetime.fromisoformat(suite.get("timestamp")).tzinfo is None
        assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
        names = [(case.get("classname"), case.get("name")) for case in cases]
        assert len(names) == len(set(names)), "two cases of one name are one case to a CI system"


def test_it_is_the_format_that_ci_systems_read(shown: Run, make_run: MakeRun) -> None:
    for runs in ([shown], [shown, make_run([HIT], name="other")], [make_run([], name="bare")]):
        check(render(runs, "junit"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<system-out>", "<said>"),
        ("<testsuite ", '<testsuite owner="me" '),
        ("<testcase classname", "<testcase kind"),
        ('tests="3"', 'tests="4"'),
        ("<properties>", "<properties>text"),
        (' time="0.', ' time="soon 0.'),
        ("<skipped ", '<failure type="x" message="y"/><skipped '),
    ],
)
def test_what_is_no_such_document_is_seen(shown: Run, old: str, new: str) -> None:
    good = render([shown], "junit")
    assert old in good
    bad = good.replace(old, new, 1)
    if old == "<system-out>":
        bad = bad.replace("</system-out>", "</said>", 1)
    with pytest.raises((AssertionError, etree.DocumentInvalid)):
        check(bad)


def test_a_suite_per_module_and_only_a_pass_counts_as_passed(shown: Run) -> None:
    suites = {suite.name: suite for suite in parsed(shown)}
    assert {name: (s.tests, s.failures, s.skipped) for name, s in suites.items()} == {
        "quality": (3, 0, 2),  # one passes; one is open and one was only measured
        "robustness": (2, 1, 1),  # one fails; one could not be tested
    }
    said = {r.message for suite in suites.values() for case in suite for r in case.result}
    assert any(m.startswith("open: the 95% interval") for m in said)
    assert any(m.startswith("not testable: the target reads no text") for m in said)
    assert any(m.startswith("measured, and no rule") for m in said)


def test_a_failure_says_why_and_how_to_open_its_evidence(shown: Run) -> None:
    failure = next(r for s in parsed(shown) for case in s for r in case.result if isinstance(r, junitparser.Failure))
    assert failure.type == "high"
    assert "Users lose what they liked." in failure.message
    assert "0.500 [0.400, 0.600] at 95%" in failure.text
    assert f"recaudit show {shown.id} --evidence " in failure.text


def test_evidence_is_bounded_and_the_rest_is_counted(make_run: MakeRun) -> None:
    run = make_run([replace(FLIP, evidence=tuple(f"{i:016x}" for i in range(50_000)))])
    for kind in ("junit", "sarif"):
        text = render([run], kind)
        assert text.count(f"recaudit show {run.id} --evidence ") == 20
        assert "and 49,980 more pieces of evidence in the store" in text


def test_what_is_open_fails_where_the_policy_asks_for_certainty(shown: Run) -> None:
    found = [r for s in parsed(with_policy(shown, certainty=True)) for case in s for r in case.result]
    failures = [r.message for r in found if isinstance(r, junitparser.Failure)]
    assert any(m.startswith("open, and the policy asks for certainty") for m in failures)


def test_what_is_waived_is_skipped_with_its_owner(shown: Run) -> None:
    waiver = Waiver(metric=FLIP.name, owner="Ann", reason="Mended in May.", expires=date(2999, 1, 1))
    found = [r for s in parsed(with_policy(shown, waivers=(waiver,))) for case in s for r in case.result]
    assert not any(isinstance(r, junitparser.Failure) for r in found)
    assert "waived by Ann until 2999-01-01: Mended in May." in [r.message for r in found]


def test_a_required_module_that_is_missing_fails(make_run: MakeRun) -> None:
    suite = next(iter(parsed(with_policy(make_run([HIT]), require=("privacy",)))))
    assert (suite.name, suite.failures) == ("policy", 1)


def test_hostile_text_stays_text_and_the_document_stays_whole(make_run: MakeRun) -> None:
    texts = (*EVERY, HOSTILE, "]]>", "&lol;", "\ufffe\uffff\U0001ffff", "a\x00b")
    findings = [replace(FLIP, title=t, note=t, params={"attack": f"{i}{t}"}) for i, t in enumerate(texts)]
    text = render([make_run(findings, name=HOSTILE)], "junit")
    check(text)
    assert acting_in_terminal(text) == []
    cases = [case for suite in parsed(make_run(findings, name="again")) for case in suite]
    assert len(cases) == len(texts)
    assert any("<script>window.pwned=1</script>" in case.name for case in cases)


def test_a_file_says_by_its_ending_what_it_is(shown: Run, tmp_path: Path) -> None:
    assert shown.save(tmp_path / "junit.xml").read_text() == render([shown], "junit")
    assert shown.save(tmp_path / "run.sarif").read_text() == render([shown], "sarif")
