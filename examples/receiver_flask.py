"""Receives builds from Buildbot, keeps the newest state of each, and lists them."""

import json
import os
import sqlite3
from contextlib import closing

from flask import Flask, request

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
NAMES = ("buildid", "started_at", "complete_at", "results", "number", "url")

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 32 * 1024 * 1024
with closing(sqlite3.connect(FILE)) as database:
    database.executescript(TABLES)


def keep(message_id, build):
    with closing(sqlite3.connect(FILE)) as database, database:
        new = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", [message_id]).rowcount
        if new and build:
            database.execute(STORE, build)
    return "kept" if new else "duplicate"


def read_build(body):
    build = json.loads(body)
    return {name: build[name] for name in NAMES} | {"builder": build["builder"]["name"]}


@app.post("/submit")
def submit():
    body = request.get_data()
    try:
        verify(request.headers, body, KEY)
        is_build = request.headers.get("Buildbot-Event", "").startswith("builds.")
        build = read_build(body) if is_build else None
    except SignatureError as error:
        return str(error), 401
    except (ValueError, KeyError, TypeError) as error:
        return f"not a build: {error!r}", 422
    return keep(request.headers["webhook-id"], build)


@app.get("/builds")
def builds():
    with closing(sqlite3.connect(FILE)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM builds ORDER BY started_at")]


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
