"""A recommender as an HTTP service that RecAudit can audit.

    python examples/http_service.py --port 8000
    python examples/http_service.py --interactions clicks.csv --items items.csv

`clicks.csv` has the columns user and item, `items.csv` has id and title. The recommender is item co-occurrence: what
users of the same items chose besides, with popularity for a user without history. Everything of the contract is in
`create_app`; put your own model behind `Recommender.scores`.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import secrets
import socket
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Header, HTTPException

DEMO_ITEMS = {
    "1": "Toy Story (1995)",
    "2": "Aladdin (1992)",
    "3": "The Lion King (1994)",
    "4": "Alien (1979)",
    "5": "Aliens (1986)",
    "6": "The Terminator (1984)",
    "7": "Blade Runner (1982)",
    "8": "Fargo (1996)",
}
DEMO_CLICKS = [("anna", "123"), ("ben", "1238"), ("cleo", "4567"), ("dan", "456"), ("eve", "4578"), ("finn", "238")]


class Recommender:
    """Cosine co-occurrence over users, and popularity where nothing co-occurs."""

    def __init__(self, interactions: list[tuple[str, str]], titles: dict[str, str]) -> None:
        self.titles = titles
        by_user: dict[str, set[str]] = defaultdict(set)
        for user, item in interactions:
            if item in titles:
                by_user[user].add(item)
        self.count = Counter(item for items in by_user.values() for item in items)
        self.together: dict[str, Counter[str]] = defaultdict(Counter)
        for items in by_user.values():
            for item in items:
                self.together[item].update(items - {item})

    def scores(self, history: list[str]) -> dict[str, float]:
        """A score for every item: summed cosine to the history, plus a little popularity to break ties."""
        total = dict.fromkeys(self.titles, 0.0)
        for seen in history:
            for item, n in self.together.get(seen, {}).items():
                total[item] += n / math.sqrt(self.count[seen] * self.count[item])
        most = max(self.count.values(), default=1)
        return {item: score + 1e-3 * self.count[item] / most for item, score in total.items()}


def create_app(recommender: Recommender, token: str | None = None) -> FastAPI:
    """The two pages of the contract. With a token, both demand `Authorization: Bearer <token>`."""
    app = FastAPI()

    def check(authorization: str | None) -> None:
        if token is not None and not secrets.compare_digest(authorization or "", f"Bearer {token}"):
            raise HTTPException(401, "wrong or missing token")

    @app.get("/info")
    def info(authorization: str | None = Header(None)) -> dict[str, Any]:
        check(authorization)
        return {
            "schema": 1,
            "name": "co-occurrence",
            "version": "1",
            "tasks": ["rank", "score"],
            "honours": ["history"],
            "reveals": ["scores"],
            "batch_size": 64,
        }

    @app.post("/recommend")
    def recommend(body: dict[str, Any], authorization: str | None = Header(None)) -> dict[str, Any]:
        check(authorization)
        if body.get("schema") != 1:
            raise HTTPException(400, f"schema {body.get('schema')!r} is unknown; this service speaks 1")
        return {"answers": [answer(request) for request in body["requests"]]}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        history = [event["item"]["id"] for event in request["user"]["history"]]
        scores = recommender.scores(history)
        candidates = request.get("candidates")
        if request["task"] == "score":
            ids = [item["id"] for item in candidates or []]
        elif request["task"] == "rank":
            pool = [item["id"] for item in candidates] if candidates is not None else scores.keys() - set(history)
            ids = sorted(pool, key=lambda item: (-scores.get(item, 0.0), item))[: request["k"]]
        else:
            return {"outcome": "error", "detail": "this service writes no text"}
        ranked = [{"item_id": i, "title": recommender.titles.get(i, ""), "score": scores.get(i, 0.0)} for i in ids]
        return {"ranked": ranked}

    return app


def read_csv(path: Path, *columns: str) -> list[tuple[str, ...]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [tuple(row[column] for column in columns) for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, help="CSV with the columns user and item")
    parser.add_argument("--items", type=Path, help="CSV with the columns id and title")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 for any free port")
    parser.add_argument(
        "--token-env", metavar="NAME", help="environment variable with the token that callers must send"
    )
    args = parser.parse_args()

    interactions: list[Any] = [(user, item) for user, items in DEMO_CLICKS for item in items]
    titles = DEMO_ITEMS
    if args.interactions and args.items:
        interactions = read_csv(args.interactions, "user", "item")
        titles = {row[0]: row[1] for row in read_csv(args.items, "id", "title")}
    elif args.interactions or args.items:
        parser.error("give both --interactions and --items, or none for the demo data")
    app = create_app(Recommender(interactions, titles), os.environ[args.token_env] if args.token_env else None)
    listener = socket.create_server((args.host, args.port))
    # Printed once the port listens, so that whoever started the service may connect when they read it.
    print(f"serving on http://{args.host}:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
