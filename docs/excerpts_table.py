"""Writes ``reference/excerpts.md``: the rules, and how well they do on the corpus of real logs.

Run it after a change of the rules or of the corpus: ``python docs/excerpts_table.py``. A test says
when to.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from buildbot_http_status_push.excerpts.excerpt import choose
from buildbot_http_status_push.excerpts.rules import RULES, Weight

PAGE = Path(__file__).parent / "reference" / "excerpts.md"
CORPUS = Path(__file__).parents[1] / "tests" / "excerpts" / "corpus"

MEANINGS = {
    Weight.CAUSE: "names the error",
    Weight.TEST: "names what failed",
    Weight.HINT: "is marked as an error or a warning, or resembles one",
    Weight.SIGN: "has a word that failures are described with",
    Weight.CONSEQUENCE: "reports an earlier failure",
    Weight.NOISE: "resembles a failure and is none",
}

HEAD = """# Excerpts

`want_excerpts=True` adds `excerpts` to builds that finish as failure or exception: [Send failing log lines](../reporter/excerpts.md).

## Limits

| what | limit |
| --- | --- |
| steps | the first 5 that failed and are not hidden |
| logs of a step | those whose names start with `FAIL` or `error`, and `err.text`; without a reason in them `stdio` or, if there is none, the last text log that `want_tests` does not read |
| lines | the last 500 of a log; without a reason among them 500 more at a time, up to 2,000 lines or 512 KiB |
| data API calls | 8 for each failed step, and one for the steps; none for builds that passed |
| excerpts | 5 of a step, each at most 60 lines and 8 KiB; a line at most 1,000 characters |

## Rules

A line counts as its first rule in the order noise, consequence, cause, test, hint, sign. The part around the best line comes first; a line far from the end, or a recurring one, counts less. Lines that match a cause, a test or, without these, a hint are in `matched`. If no rule matches, the last lines are sent with the rule `last-lines`.

| weight | a match | rules |
| --- | --- | --- |
"""  # noqa: E501 - a paragraph and a row of a table are one line each


def page() -> str:
    """Return the page."""
    return HEAD + "\n".join((*_rules(), "", *_corpus())) + "\n"


def _rules() -> Iterator[str]:
    for weight, meaning in MEANINGS.items():
        names = dict.fromkeys(f"`{rule.name}`" for rule in RULES if rule.weight == weight)
        yield f"| {weight.name.lower()} | {meaning} | {', '.join(names)} |"


def _corpus() -> Iterator[str]:
    index = json.loads(CORPUS.joinpath("index.json").read_text("utf-8"))
    rows, hits = [], {"excerpt": 0, "matched": 0, "last 20": 0, "word": 0}
    for name, each in index.items():
        lines = CORPUS.joinpath(f"{name}.log").read_text("utf-8").splitlines()
        found, wanted = choose(lines), {*each["lines"]}
        shown = {one.first_line + at for one in found for at in range(len(one.lines))} & wanted
        matched = {one.first_line + at for one in found for at in one.matched} & wanted
        words = [n for n, line in enumerate(lines, 1) if re.search("(?i)error|fail", line)]
        hits["excerpt"] += bool(shown)
        hits["matched"] += bool(matched)
        hits["last 20"] += any(n > len(lines) - 20 for n in wanted)
        hits["word"] += bool(words) and words[0] in wanted
        rule = found[0].rule
        rows.append(f"| {name} | {len(lines)} | {_yes(shown)} | {_yes(matched)} | `{rule}` |")
    yield "## Corpus\n"
    yield (
        f"{len(index)} logs of real tools with broken inputs are in `tests/excerpts/corpus/`, each "
        "with the lines that a developer needs. How often such a line was found:\n"
    )
    yield "| where | logs | share |\n| --- | --- | --- |"
    for what, key in (
        ("in an excerpt", "excerpt"),
        ("among the matched lines", "matched"),
        ("in the last 20 lines of the log", "last 20"),
        ("it is the first line with “error” or “fail”", "word"),
    ):
        yield f"| {what} | {hits[key]} | {hits[key] / len(index):.0%} |"
    yield "\n| log | lines | in an excerpt | matched | first rule |"
    yield "| --- | --- | --- | --- | --- |"
    yield from rows


def _yes(found: object) -> str:
    return "yes" if found else "no"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
