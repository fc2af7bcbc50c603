"""`pytest --recaudit`: what becomes a test, how each comes out, and that nothing is asked when nothing must be."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import pytest
from audited_project import CASE, POLICY, Project

pytest_plugins = ["pytester"]

NODES = {
    "audit.yaml::require::quality": "passed",
    "audit.yaml::require::fairness": "failed",
    "audit.yaml::quality::hr[k=5]": "passed",
    "audit.yaml::quality::ndcg[k=5]": "failed",
    "audit.yaml::robustness::flip_rate[attack=typos]": "inconclusive",
    "audit.yaml::robustness::flip_rate[attack=negation]": "xfailed",
    "audit.yaml::robustness::asr[attack=typos]": "skipped",
    "audit.yaml::fairness::snsr[measure=rbo]": "skipped",
}


def test_every_finding_that_a_rule_judges_is_a_test(pytester: pytest.Pytester, project: Project) -> None:
    done = pytester.runpytest_inprocess(*project.stored, "-v")
    words = {"inconclusive": "INCONCLUSIVE", "xfailed": "XFAIL", "passed": "PASSED", "failed": "FAILED"}
    for node, outcome in NODES.items():
        done.stdout.fnmatch_lines([f"{node.replace('[', '[[]')} {words.get(outcome, outcome.upper())}*"])
    # Measured, and no rule speaks about it: no test.
    done.stdout.no_fnmatch_line("*::mrr*")
    done.stdout.fnmatch_lines(["*2 failed, 2 passed, 2 skipped, 1 xfailed, 1 inconclusive*"])
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert project.calls == 0


def test_a_failure_can_be_read(pytester: pytest.Pytester, project: Project) -> None:
    done = pytester.runpytest_inprocess(*project.stored, "-rxs")
    done.stdout.fnmatch_lines(
        [
            f"quality.ndcg (k=5) fails in run {project.run.id}",
            "  estimate  0.200, 95% interval [[]0.150, 0.250], n = 40 users",
            "  limit     more than 0.3, by the whole interval (policy 'small')",
            "  why       *Users find nothing.",
            f"  evidence  recaudit show {project.run.id} --evidence {CASE.id} --store *runs.sqlite",
        ]
    )
    done.stdout.fnmatch_lines(["the policy requires fairness, and run * did not test it"])
    done.stdout.fnmatch_lines(["*INCONCLUSIVE *typos* - the 95% interval [[]0.1, 0.32] holds the limit 0.2*"])
    done.stdout.fnmatch_lines(["SKIPPED*it has no instruction to edit"])
    done.stdout.fnmatch_lines(["SKIPPED*the module fairness did not run"])
    done.stdout.fnmatch_lines(["XFAIL *negation* waived by ranking team until 2999-12-31: mended in the next model*"])
    done.stdout.no_fnmatch_line("*Traceback*")
    done.stdout.no_fnmatch_line("*nodes.py*")


def test_what_is_open_fails_where_certainty_is_asked(pytester: pytest.Pytester, project: Project) -> None:
    asked = pytester.runpytest_inprocess(*project.stored, "--recaudit-strict")
    asked.stdout.fnmatch_lines(["*flip_rate (attack=typos) is inconclusive in run*", "*settle    about * users*"])
    assert asked.parseoutcomes()["failed"] == 3
    project.policy(certainty=True)
    assert (
        "inconclusive"
        not in pytester.runpytest_inprocess(*project.stored, "--recaudit-policy", "policy.yaml").parseoutcomes()
    )


def test_an_expired_waiver_fails_and_says_so(pytester: pytest.Pytester, project: Project) -> None:
    project.policy(waivers=[POLICY["waivers"][0] | {"expires": "2020-01-31"}])
    done = pytester.runpytest_inprocess(*project.stored, "--recaudit-policy", "policy.yaml")
    done.stdout.fnmatch_lines(["*The waiver by ranking team ended on 2020-01-31.*"])
    assert "xfailed" not in done.parseoutcomes()


def test_junit_xml_holds_the_numbers(pytester: pytest.Pytester, project: Project) -> None:
    pytester.runpytest_inprocess(*project.stored, "--junitxml=junit.xml")
    cases = {c.get("name"): c for c in ElementTree.parse("junit.xml").iter("testcase")}  # noqa: S314 - our own file
    failed = cases["ndcg[k=5]"]
    assert failed.get("classname") == "audit.yaml.quality"
    told = {p.get("name"): p.get("value") for p in failed.iter("property")}
    assert told == {
        "recaudit.run": project.run.id,
        "metric": "quality.ndcg",
        "verdict": "fail",
        "estimate": "0.2",
        "ci": "[0.15, 0.25]",
        "level": "0.95",
        "threshold": "0.3",
        "n": "40",
        "unit": "user",
        "severity": "high",
        "evidence": CASE.id,
    }
    assert failed.find("failure") is not None
    floor = {p.get("name"): p.get("value") for p in cases["flip_rate[attack=typos]"].iter("property")}
    assert (floor["floor"], floor["effect"]) == ("0.01", "0.21")
    unsettled = cases["flip_rate[attack=typos]"].find("skipped")
    assert unsettled is not None
    assert (unsettled.get("message") or "").startswith("inconclusive: the 95% interval")
    waived = cases["flip_rate[attack=negation]"].find("skipped")
    assert waived is not None
    assert waived.get("type") == "pytest.xfail"


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (["-k", "typos"], {"inconclusive": 1, "skipped": 1, "deselected": 6}),
        (["audit.yaml::robustness::flip_rate"], {"inconclusive": 1, "xfailed": 1}),
        (["audit.yaml::quality::hr[k=5]"], {"passed": 1}),
    ],
)
def test_tests_are_chosen_as_ever(
    pytester: pytest.Pytester, project: Project, chosen: list[str], count: dict[str, int]
) -> None:
    if "::" in chosen[0]:
        # With --recaudit the whole audit is added; by the ini file it is a file like any other.
        pytester.makeini("[pytest]\nrecaudit_configs = audit.yaml\n")
        done = pytester.runpytest_inprocess(*project.stored[2:], *chosen)
    else:
        done = pytester.runpytest_inprocess(*project.stored, *chosen)
    assert done.parseoutcomes() == count


def test_collecting_alone_asks_nothing(pytester: pytest.Pytester, project: Project) -> None:
    done = pytester.runpytest_inprocess("--recaudit", "audit.yaml", "--collect-only", "-q")
    listed = [line for line in done.outlines if "::" in line]
    assert listed == [
        "audit.yaml::require::quality",
        "audit.yaml::require::fairness",
        "audit.yaml::quality::hr",
        "audit.yaml::quality::ndcg",
        "audit.yaml::robustness::flip_rate",
        "audit.yaml::robustness::asr",
        "audit.yaml::fairness::snsr[measure=rbo]",
    ]
    assert project.calls == 0


def test_the_audit_runs_once_however_many_workers_there_are(pytester: pytest.Pytester, project: Project) -> None:
    """With the target's own count: two workers ask it as often as a plain session does."""
    project.policy(require=["quality"], rules=[{"metric": "quality.error_rate", "max": 0.9}])
    pytester.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.parametrize("i", range(4))
        def test_own(audit_run, i):
            assert audit_run.name == "tiny"
        """
    )
    asked = []
    for workers in (0, 2):
        # What runs an audit runs in a process of its own: a session inside this one would load its libraries twice.
        done = pytester.runpytest_subprocess(
            "--recaudit", "audit.yaml", "--recaudit-store", f"{workers}.sqlite", "-v", "-n", str(workers)
        )
        # Four of its own, what is required, and the error rate.
        assert done.parseoutcomes() == {"passed": 6}
        done.stdout.fnmatch_lines(["*recaudit: run *: tiny, 20 users, modules quality"])
        asked.append(project.calls)
    assert asked[0] > 0
    assert asked[1] == 2 * asked[0]


def test_an_audit_from_the_ini_file_is_a_file_like_any_other(pytester: pytest.Pytester, project: Project) -> None:
    pytester.makeini("[pytest]\nrecaudit_configs = audit.yaml\n")
    pytester.makepyfile(test_own="def test_own(): pass")
    everything = pytester.runpytest_inprocess("--collect-only", "-q")
    assert any("audit.yaml::" in line for line in everything.outlines)
    one = pytester.runpytest_inprocess("test_own.py", "-q")
    assert one.parseoutcomes() == {"passed": 1}
    assert project.calls == 0


def test_the_target_behind_its_gateway(pytester: pytest.Pytester, project: Project) -> None:
    pytester.makepyfile(
        test_own="""
        from audit import Item, Request, User

        def test_own(audited_target):
            films = (Item("i1", "B"), Item("i2", "A"))
            asked = Request(User("u"), candidates=films, k=2)
            first, second = audited_target.recommend([asked, asked])
            assert first == second
        """
    )
    pytester.makeini("[pytest]\nrecaudit_configs = audit.yaml\n")
    assert pytester.runpytest_subprocess("test_own.py").parseoutcomes() == {"passed": 1}
    assert project.calls == 1


def test_without_an_audit_the_fixtures_skip(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_own(audit_run): pass")
    done = pytester.runpytest_inprocess("-rs")
    done.stdout.fnmatch_lines(["SKIPPED*no audit was named; give --recaudit audit.yaml*"])


# What can go wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--recaudit", "nope.yaml"], "*nope.yaml: there is no such file*"),
        (["--recaudit", "bad.yaml"], "*bad.yaml: sed: no field has this name; did you mean 'seed'*"),
        (["--recaudit", "audit.yaml", "--recaudit-policy", "defualt"], "*'defualt' is neither*did you mean 'default'*"),
        (
            ["--recaudit", "audit.yaml", "--recaudit-store", "no.sqlite", "--recaudit-run", "latest"],
            "*no.sqlite does not exist*",
        ),
        (
            ["--recaudit", "audit.yaml", "--recaudit-store", "runs.sqlite", "--recaudit-run", "x"],
            "*'x' is not a run of*",
        ),
        (
            ["--recaudit", "other.yaml", "--recaudit-store", "runs.sqlite", "--recaudit-run", "latest"],
            "*is a run of 'tiny'*",
        ),
        (["--recaudit-run", "latest"], "*name the audit that the run is of*"),
    ],
)
def test_mistakes_are_one_sentence(pytester: pytest.Pytester, project: Project, options: list[str], said: str) -> None:
    project.write("bad.yaml", sed=3)
    project.write("other.yaml", name="other")
    done = pytester.runpytest_inprocess(*options)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: {said}"])
    assert "Traceback" not in done.stderr.str() + done.stdout.str()
    assert len([line for line in done.errlines if line.strip()]) == 1


def test_a_target_that_cannot_be_built_is_one_sentence(pytester: pytest.Pytester, project: Project) -> None:
    project.write(target={"kind": "python", "factory": "rec:built"})
    done = pytester.runpytest_subprocess("--recaudit", "audit.yaml", "--recaudit-store", "new.sqlite")
    done.stdout.fnmatch_lines(["*ERROR collecting audit.yaml*", "audit.yaml: target.factory: *'built'*"])
    assert "Traceback" not in done.stdout.str() + done.stderr.str()
    assert done.ret != 0


def test_ctrl_c_leaves_a_run_that_can_go_on(pytester: pytest.Pytester, project: Project) -> None:
    (project.folder / "rec.py").write_text(
        "def build(calls=''):\n"
        "    def recommend(history, candidates, k):\n"
        "        raise KeyboardInterrupt\n"
        "    return recommend\n"
    )
    done = pytester.runpytest_subprocess("--recaudit", "audit.yaml", "--recaudit-store", "new.sqlite")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    done.stdout.fnmatch_lines(["run * was interrupted; what was answered is stored: go on with `recaudit resume *"])
    from audit.store import Store

    with Store("new.sqlite") as store:
        assert [r.status for r in store.runs()] == ["stopped"]


def test_loading_the_plugin_is_cheap() -> None:
    heavy = "{'torch', 'transformers', 'pandas', 'scipy', 'sqlalchemy', 'yaml', 'pydantic'}"
    code = f"import sys, audit.pytest_plugin; print(*{heavy}.intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
