"""The example service, started for real and audited through its HTTP contract."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest

import audit.targets
from audit.errors import TargetError
from audit.target import Insight
from audit.targets.http import HttpTarget
from audit.types import Catalog, Event, Item, Request, User

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CONTRACT = json.loads((Path(audit.targets.__file__).parent / "http_contract.json").read_text())
# Users of a and b also chose c; d and e go together; f is what most people chose.
CLICKS = {"u1": "abcf", "u2": "abcf", "u3": "abf", "u4": "def", "u5": "def", "u6": "f"}
ITEMS = {letter: Item(letter, f"Film {letter.upper()} (199{n})") for n, letter in enumerate("abcdef")}


@contextmanager
def service(*arguments, env=None):
    command = [sys.executable, str(EXAMPLES / "http_service.py"), "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        line = process.stdout.readline()
        assert line.startswith("serving on "), line
        yield line.split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = [f"{user},{item}" for user, items in CLICKS.items() for item in items]
    (folder / "clicks.csv").write_text("\n".join(["user,item", *rows]))
    (folder / "items.csv").write_text("\n".join(["id,title", *(f"{i.id},{i.title}" for i in ITEMS.values())]))
    with service("--interactions", folder / "clicks.csv", "--items", folder / "items.csv") as address:
        yield address


def request(history, **fields):
    return Request(User("someone", tuple(Event(ITEMS[i]) for i in history)), **fields)


def test_it_ranks_by_what_goes_together(url):
    with HttpTarget(url, catalog=Catalog(ITEMS.values())) as target:
        assert target.info.name == "co-occurrence"
        assert target.info.tasks == ("rank", "score")
        assert target.info.reveals == {Insight.SCORES}
        assert target.info.fingerprint
        both, one, nobody = target.recommend([request("ab", k=2), request("d", k=1), request("", k=1)])
        # cosine: c is with a in 2 of sqrt(3*2), twice over; f with a in 3 of sqrt(3*6), twice over
        assert both.ids == ("c", "f")
        assert both.ranked[0].score == pytest.approx(2 * 2 / 6**0.5, abs=2e-3)
        assert one.ids == ("e",)
        assert nobody.ids == ("f",)
        pool = request("ab", candidates=(ITEMS["d"], ITEMS["c"]), k=5)
        assert target.recommend([pool])[0].ids == ("c", "d")


def test_it_scores_candidates_in_their_order(url):
    with HttpTarget(url) as target:
        (answer,) = target.recommend([request("ab", task="score", candidates=(ITEMS["d"], ITEMS["c"]))])
    assert answer.outcome == "ok"
    assert answer.ids == ("d", "c")
    assert answer.scores[0] < answer.scores[1]


def test_what_it_sends_conforms_to_the_schema(url):
    import httpx

    body = {"schema": 1, "requests": [request("ab").to_dict(), request("", task="answer").to_dict()]}
    for name, data in {
        "recommend_request": body,
        "recommend_response": httpx.post(f"{url}/recommend", json=body, trust_env=False).json(),
        "info": httpx.get(f"{url}/info", trust_env=False).json(),
    }.items():
        jsonschema.validate(data, {**CONTRACT, "$ref": f"#/$defs/{name}"})


def test_a_token_is_demanded(monkeypatch):
    monkeypatch.setenv("DEMO_TOKEN", "let-me-in")
    monkeypatch.setenv("DEMO_HEADER", "Bearer let-me-in")
    with service("--token-env", "DEMO_TOKEN") as address:
        with HttpTarget(address) as target, pytest.raises(TargetError, match="401 Unauthorized"):
            target.recommend([request("")])
        with HttpTarget(address, headers_from_env={"Authorization": "DEMO_HEADER"}) as target:
            assert len(target.recommend([request("", k=3)])[0].ranked) == 3
