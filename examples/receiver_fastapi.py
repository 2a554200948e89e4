"""Receives builds from Buildbot, keeps the newest state of each, and lists them."""

import os
import sqlite3
from contextlib import closing
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import AliasPath, BaseModel, Field, ValidationError

from buildbot_http_status_push.signing import SignatureError, verify

KEY = os.environ["WEBHOOK_KEY"]
FILE = "builds.sqlite"
TABLES = """
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS builds (buildid INTEGER, started_at INTEGER, complete_at INTEGER,
    results INTEGER, builder TEXT, number INTEGER, url TEXT, PRIMARY KEY (buildid, started_at));
"""
# A start has no complete_at, so it never overwrites a finish. Of two finishes the later one counts.
STORE = """
INSERT INTO builds VALUES (:buildid, :started_at, :complete_at, :results, :builder, :number, :url)
ON CONFLICT (buildid, started_at) DO UPDATE
SET complete_at = excluded.complete_at, results = excluded.results
WHERE excluded.complete_at >= ifnull(builds.complete_at, 0)
"""

app = FastAPI()
with closing(sqlite3.connect(FILE)) as database:
    database.executescript(TABLES)


def keep(message_id, build):
    with closing(sqlite3.connect(FILE)) as database, database:
        new = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", [message_id]).rowcount
        if new and build:
            database.execute(STORE, build)
    return "kept" if new else "duplicate"


class Build(BaseModel):
    buildid: int
    started_at: int
    complete_at: int | None
    results: int | None
    builder: str = Field(validation_alias=AliasPath("builder", "name"))
    number: int
    url: str


async def signed_body(request: Request) -> bytes:
    body = await request.body()
    try:
        verify(request.headers, body, KEY)
    except SignatureError as error:
        raise HTTPException(401, str(error)) from None
    return body


@app.post("/submit")
def submit(
    body: Annotated[bytes, Depends(signed_body)],
    webhook_id: Annotated[str, Header()],
    buildbot_event: Annotated[str, Header()] = "",
) -> str:
    is_build = buildbot_event.startswith("builds.")
    try:
        build = Build.model_validate_json(body).model_dump() if is_build else None
    except ValidationError as error:
        raise HTTPException(422, f"not a build: {error}") from None
    return keep(webhook_id, build)


@app.get("/builds")
def builds() -> list[dict[str, int | str | None]]:
    with closing(sqlite3.connect(FILE)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM builds ORDER BY started_at")]


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]))
