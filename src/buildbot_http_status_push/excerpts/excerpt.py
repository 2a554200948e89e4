"""Chooses the lines of a log that say why its step failed.

Pure. Must not know where logs are from, nor what is made of the excerpts.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import define, frozen

from buildbot_http_status_push.excerpts.rules import Rule, RuleBook, Weight, standard_book

LINES_MOST = 60
BYTES_MOST = 8 * 1024
EXCERPTS_MOST = 5
TAIL = 20
BEFORE, AFTER = 8, 16
"""Lines before and after the best one of a part."""
NEAR, FAR = 80, 200
"""Lines from the end: up to the first a reason is not less likely, beyond it is by and by."""
END_MOST = 200
AGAIN, ALIKE = 0.3, 0.85
"""What is left of a line's score where a part with the same line, or the same rule, is chosen."""
LAST = Rule("last-lines", Weight.HINT)
LAST_POINTS = (2.5, 3.0, 4.5)
LAST_LOOK = 12
"""How many lines, noise not counted, are looked at for the last ones."""
READ_MOST = 2000
"""Characters of a line that are searched: the first ones and the last ones."""
SHOWN_MOST = 1000
"""Characters of a line that are shown."""

ESCAPES = re.compile(
    r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # colours, cursor
    r"|\x1b\][^\x07\x1b]{0,2048}(?:\x07|\x1b\\)?"  # titles, links
    r"|\x1b[ -/]{0,8}[0-~]|\x9b[0-?]{0,64}[@-~]"
)
CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
PREFIX = re.compile(
    r"\s*(?:"
    r"\[?\(?\d{4}[-/]\d\d[-/]\d\d[T_ ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
    r"(?:Z| ?[+-]\d\d:?\d\d)?\]?\)?[:,]?"
    r"|\[?\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?[AP]M)?\]?(?=[ :|\]-])[:]?(?! ?\d)"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    r"[\w :]{1,24}\d\d:\d\d:\d\d(?:\.\d{1,9})?(?: [A-Z]{3,4})?(?: \d{4})?"
    r"(?: [\w.-]{1,60} [\w./-]{1,60}\[\d{1,8}\]:)?"
    r"|\[ {0,6}\d{1,8}\.\d{1,9}s?\]|#\d{1,4} (?:\d{1,6}\.\d{1,4} )?|\d{1,6}\.\d{3,6}s? (?=[A-Z\[])"
    r"|\[(?:task|job|step|worker|stage|container|gw\d{1,3}|pid|proc|thread)[^\]\n]{0,80}\]"
    r"|\[\d{1,6}\]:?(?= )"
    r"|\[(?:ant:\w{1,40}|exec|javac?|junit(?:launcher)?|testng|groovyc|scalac|checkstyle)\](?= )"
    r"|(?:INFO|DEBUG|TRACE) {1,4}- (?=.)"
    r"|[a-z][\w.-]{0,39} {0,30}\| (?! {0,30}[\d.]{1,8} {0,30}\|)(?=.)"  # no row of a table
    r"|[│┃║|>╎╷╵] (?! )"
    r")\s?"
)


@frozen
class Excerpt:
    """Some consecutive lines of a log, and which of them matter.

    Args:
        first_line: The log's number of the first line, from 1.
        lines: The lines, without control characters.
        matched: Indexes into ``lines``, from 0, of what says why.
        rule: The name of the rule that chose the lines.
        cut: Whether lines that match were left out.
    """

    first_line: int
    lines: tuple[str, ...]
    matched: tuple[int, ...]
    rule: str
    cut: bool


@define
class _Line:
    """A line of the log as it was read."""

    text: str
    key: str
    """The line without numbers, by which repetitions are found."""
    rule: Rule | None
    score: float

    @property
    def weight(self) -> Weight:
        return Weight.NOISE if self.rule is None else self.rule.weight


def clean(text: str) -> str:
    """Return a line as a terminal would leave it, without colours and control characters."""
    text = text.rstrip("\r\n")
    if "\r" in text:
        text = next((each for each in reversed(text.split("\r")) if each.strip()), "")
    if len(text) > 2 * READ_MOST:
        text = f"{text[:READ_MOST]} … {text[-READ_MOST // 4 :]}"
    return CONTROLS.sub("", ESCAPES.sub("", text)).rstrip()


def bare(text: str) -> str:
    """Return a line without time stamps, names of tasks and other prefixes."""
    start = 0
    for _ in range(4):
        found = PREFIX.match(text, start)
        if found is None or found.end() == start:
            break
        start = found.end()
    return text[start:].lstrip()


POINTS = {
    Weight.NOISE: 0.0,
    Weight.CONSEQUENCE: 1.5,
    Weight.SIGN: 2.0,
    Weight.HINT: 4.0,
    Weight.TEST: 6.0,
    Weight.CAUSE: 10.0,
    Weight.OWN: 20.0,
}
NUMBERS = re.compile(r"[0-9a-f]*\d[0-9a-f]*")
MILD = re.compile(
    r"(?i)^.{0,120}?(?:\b(?:warn(?:ing)?|deprecated|note|hint|info|debug|notice)\b ?[:|\])>-]"
    r"|\d {1,8}warning )|\bexpected (?:failure|to fail)"
)
"""How lines say themselves that they report no error."""
MILDLY = 0.5


def choose(
    lines: Sequence[str], *, first_line: int = 1, book: RuleBook | None = None
) -> list[Excerpt]:
    """Return the parts of a log that say why its step failed.

    Args:
        lines: The log's lines, without the letters of Buildbot's streams.
        first_line: The log's number of the first of the lines.
        book: The rules, None for those of this package.

    Returns:
        At most five excerpts, the most telling first; none of an empty log.
    """
    rules = book or standard_book()
    read = [_read(each, rules) for each in lines]
    while read and not read[-1].key:
        read.pop()
    if not read:
        return []
    end = _end(read)
    _follow(read)
    _rate_last(read, end)
    _weigh(read, end)
    windows = _merge(_windows(read))
    shown = {number for start, stop, _ in windows for number in range(start, stop)}
    keys = {read[number].key for number in shown}
    cut = any(
        line.weight >= Weight.TEST and number not in shown and line.key not in keys
        for number, line in enumerate(read)
    )
    return [_excerpt(read, first_line, window, cut=cut) for window in windows]


def has_reason(lines: Sequence[str], book: RuleBook) -> bool:
    """Return whether one of the lines names a failed test or says what is wrong."""
    return any(_read(each, book).score >= POINTS[Weight.TEST] for each in lines)


def _read(text: str, book: RuleBook) -> _Line:
    shown = clean(text)
    stripped = bare(shown)
    rule = book.match(stripped) if stripped else None
    score = POINTS[rule.weight] if rule else 0.0
    if rule and rule.weight < Weight.OWN and MILD.search(stripped):
        score *= MILDLY
    return _Line(shown, NUMBERS.sub("#", stripped), rule, score)


def _end(read: Sequence[_Line]) -> int:
    """Return where the step's own output ends: before the last lines about what followed."""
    start = max(0, len(read) - END_MOST)
    consequences = (
        number for number in range(start, len(read)) if read[number].weight == Weight.CONSEQUENCE
    )
    return next(consequences, len(read))


def _follow(read: Sequence[_Line]) -> None:
    """Let the lines after a heading belong to it."""
    for number, line in enumerate(read):
        rule = line.rule
        left = rule.leads if rule else 0
        for after in read[number + 1 : number + 1 + 2 * left]:
            weaker = after.weight < line.weight or line.weight == Weight.NOISE
            if left and after.key and weaker:
                after.rule, after.score = rule, line.score * 0.9
                left -= 1


def _rate_last(read: Sequence[_Line], end: int) -> None:
    """Rate the last lines before the end, where reasons are that no rule knows."""
    points = list(LAST_POINTS)
    left = LAST_LOOK
    for line in reversed(read[max(0, end - END_MOST) : end]):
        if not points or not left:
            break
        if line.rule is None or line.weight != Weight.NOISE:
            left -= 1
            if line.key and (line.rule is None or line.weight == Weight.SIGN):
                line.rule, line.score = LAST, points.pop()


def _weigh(read: Sequence[_Line], end: int) -> None:
    """Rate the lines by where they are and how often."""
    seen: Counter[str] = Counter()
    for number, line in enumerate(read):
        if line.score:
            seen[line.key] += 1
            away = max(0, abs(end - number) - NEAR)
            line.score *= 0.5 + 0.5 * math.exp(-away / FAR)
            if line.weight <= Weight.HINT:
                line.score /= math.sqrt(seen[line.key])


def _windows(read: Sequence[_Line]) -> list[tuple[int, int, int]]:
    """Return start, end and best line of the parts, the best first."""
    chosen: list[tuple[int, int, int]] = []
    left = {number: line.score for number, line in enumerate(read) if line.score > 0}
    while left and len(chosen) < EXCERPTS_MOST:
        best = max(left, key=lambda number: (left[number], -number))
        start = max([best - BEFORE, 0, *(stop for _, stop, _ in chosen if stop <= best)])
        stop = min(
            [best + AFTER + 1, len(read), *(begin for begin, _, _ in chosen if begin > best)]
        )
        chosen.append((start, stop, best))
        rule, key = read[best].rule, read[best].key
        left = {
            number: score
            * (0.3 if read[number].key == key else 1)
            * (0.85 if read[number].rule is rule else 1)
            for number, score in left.items()
            if not start <= number < stop
        }
    return chosen or [(max(0, len(read) - TAIL), len(read), len(read) - 1)]


def _merge(windows: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return the parts, those that touch joined while they are not too long."""
    joined: list[tuple[int, int, int]] = []
    for start, stop, best in windows:
        for place, (other_start, other_stop, other_best) in enumerate(joined):
            length = stop - start + other_stop - other_start
            if length <= LINES_MOST and (start == other_stop or stop == other_start):
                joined[place] = min(start, other_start), max(stop, other_stop), other_best
                break
        else:
            joined.append((start, stop, best))
    return joined


def _excerpt(
    read: Sequence[_Line], first_line: int, window: tuple[int, int, int], *, cut: bool
) -> Excerpt:
    start, stop, best = window
    texts = {number: _shown(read[number].text) for number in range(start, stop)}
    start, stop = _fit(texts, start, stop, best)
    most = max(read[number].weight for number in range(start, stop))
    least = Weight.TEST if most >= Weight.CAUSE else Weight.HINT
    matched = [
        number - start
        for number in range(start, stop)
        if number == best or read[number].weight >= least or _explains(read, number)
    ]
    rule = read[best].rule or LAST
    lost = any(read[number].weight >= Weight.TEST for number in texts if not start <= number < stop)
    return Excerpt(
        first_line + start,
        tuple(texts[number] for number in range(start, stop)),
        tuple(matched),
        rule.name,
        cut or lost,
    )


def _explains(read: Sequence[_Line], number: int) -> bool:
    """Return whether a line is a hint just below the name of what failed."""
    above = read[max(0, number - 3) : number]
    return read[number].weight == Weight.HINT and any(each.weight == Weight.TEST for each in above)


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_MOST else f"{text[:SHOWN_MOST]} …"


def _fit(texts: Mapping[int, str], start: int, stop: int, best: int) -> tuple[int, int]:
    """Return start and end of the lines around the best one that are few bytes together."""
    sizes = {number: len(text.encode("utf-8", "replace")) + 1 for number, text in texts.items()}
    total = sum(sizes.values())
    while total > BYTES_MOST and stop - start > 1:
        if best - start > stop - 1 - best:
            total -= sizes[start]
            start += 1
        else:
            stop -= 1
            total -= sizes[stop]
    return start, stop
