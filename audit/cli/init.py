"""`recaudit init`: an audit.yaml to start from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from audit.cli.terminal import put, write_text
from audit.errors import ConfigError


class TargetKind(StrEnum):
    """Kinds of targets."""

    PYTHON = "python"
    HTTP = "http"
    OPENAI = "openai"
    HF = "hf"
    ZOO = "zoo"


def init(
    target: Annotated[
        TargetKind, typer.Option("--target", help="What kind of recommender is audited.")
    ] = TargetKind.PYTHON,
    force: Annotated[bool, typer.Option("--force", help="Write over an audit.yaml that is there.")] = False,
) -> None:
    """Write a commented audit.yaml into this folder, and for `python` a recommender of ten lines to replace."""
    path, example = Path("audit.yaml"), Path("my_recommender.py")
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already; use --force to write over it")
    write_text(path, TEMPLATE.replace("TARGET", TARGETS[target]), "init")
    put(f"wrote {path}")
    if target is TargetKind.PYTHON and not example.exists():
        write_text(example, EXAMPLE, "init")
        put(f"wrote {example}")
    put("Next: `recaudit targets check audit.yaml`, then `recaudit run audit.yaml --dry-run`.")


TEMPLATE = """\
# What to audit, and how. Every field but dataset and target has a default; the lines behind # show the others.
name: my-recommender
seed: 7                      # every random draw follows from it
# profile: quick             # users sampled when no number is given: quick 100, standard 300, full all

dataset:
  name: ml-100k              # fetched once into the cache
  users: 100                 # how many to sample
  # candidates: 20           # offer this many items per request; left out: the whole catalogue if the target can
  # k: 10                    # how many items to ask for
# Your own data instead (CSV, TSV or Parquet):
# dataset:
#   kind: files
#   interactions: interactions.csv   # columns user, item; optionally rating, time
#   items: items.csv                 # columns item_id, title; optionally text, and any attributes
#   users: users.csv                 # optional: column user_id, and any attributes
#   sample: 100
#   liked: 3                         # a rating above this number counts as liked
#   columns: {user: customer_id}     # your own names of columns

TARGET
# Left out, every module that fits the target runs; `recaudit plugins` lists modules and attacks.
# modules:
#   quality: {}
#   robustness: {attacks: [typos, random-items]}

policy: default              # a built-in policy (`recaudit policies`), the path of your own, or a list of them

budget:                      # the run stops before it exceeds one of these, and can be resumed
  queries: 20000
  minutes: 60
  # usd: 5                   # needs target.price
"""

TARGETS = {
    TargetKind.PYTHON: """\
target:
  kind: python
  factory: "my_recommender:build"   # my_recommender.py beside this file; build() returns the recommender
  # args: {path: model.bin}         # handed to build()
  # version: "1"                    # reuse answers between runs until you change it
""",
    TargetKind.HTTP: """\
target:
  kind: http
  url: http://127.0.0.1:8000        # POST {url}/recommend, and optionally GET {url}/info
  # headers_from_env: {Authorization: MY_TOKEN}   # the variable holds the header's whole value
  # timeout_s: 60
  # batch_size: 16
  # concurrency: 16
  # version: "1"                    # reuse answers between runs until you change it
""",
    TargetKind.OPENAI: """\
target:
  kind: openai
  model: my-model
  base_url: http://127.0.0.1:8000/v1   # any server with the chat completions API
  # api_key_env: MY_API_KEY            # the environment variable that holds the key; the key is never stored
  # temperature: 0
  # max_tokens: 512
  # concurrency: 16
  # price: {prompt: 0.15, completion: 0.6}   # US dollars per million tokens
""",
    TargetKind.HF: """\
target:
  kind: hf
  model: ./my-model                 # a folder, or a name on the hub; safetensors only
  # adapter: ./my-adapter           # a PEFT adapter
  # task: score
""",
    TargetKind.ZOO: """\
target:
  kind: zoo
  name: ease                        # a reference recommender; `recaudit plugins targets` lists them
""",
}

EXAMPLE = '''\
"""Put your recommender here. RecAudit gives you titles, oldest first, and wants at most k titles back, best first."""


def build(catalog):
    by_title = {item.title: item for item in catalog.values()}

    def recommend(history, candidates, k):
        liked = {genre for title in history[-10:] for genre in genres(title)}
        pool = candidates or [title for title in by_title if title not in history]
        return sorted(pool, key=lambda title: -len(liked & genres(title)))[:k]

    def genres(title):
        return set(by_title[title].attributes.get("genres", ())) if title in by_title else set()

    return recommend
'''
