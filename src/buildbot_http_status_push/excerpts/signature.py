"""What identifies a line of a log from one run to the next: the line without what changes.

Pure. Must not know where lines are kept.
"""

from __future__ import annotations

import hashlib
import re

from buildbot_http_status_push.excerpts.excerpt import bare, clean

SIGNATURE_VERSION = 3
"""Grows whenever the signature of some line changes: stored lines are signed again then."""

LINE_MOST = 1000
"""Characters of a line that count."""

ROOTS = frozenset(
    [
        "build",
        "builds",
        "source",
        "sources",
        "src",
        "checkout",
        "workspace",
        "work",
        "repo",
        "project",
        "app",
        "code",
    ]
)
"""Directories that hold what is built: what is above them differs between workers."""

FOREIGN = re.compile(
    r"(?:^|/)(?:usr|opt|lib|lib64|include|site-packages|dist-packages|node_modules|nix|gems|vendor"
    r"|\.cargo|\.rustup|\.gradle|\.m2|Program Files.{0,8}|toolchains?|sdk|internal|runtime)/"
)
PATH = re.compile(
    r"(?P<url>\b[a-z+]{2,8}://[^\s'\"<>]{1,300})"
    r"|(?P<path>(?:(?<!\w)[A-Za-z]:[\\/]{1,2}(?:Users[\\/]{1,2}[\w .@+%-]{1,60}"
    r"[\\/]{1,2}(?=AppData[\\/]))?|~?/|\\\\|\.{1,2}[\\/])?"
    # Short names of Windows end in a tilde and a digit.
    r"(?:[\w.@+%-]{1,120}(?:~\d)?[\\/]{1,2}){0,40}[\w.@+%-]{0,120}[\w@+%-])"
    r"(?P<place>:\d{1,7}(?::\d{1,6})?(?:-\d{1,7}(?::\d{1,6})?)?(?![\w.])"
    r"|\(\d{1,7}(?:[,:] ?\d{1,6}){0,3}\)|:?\[\d{1,7},\s?\d{1,6}\])?"
)
FILE = re.compile(
    r"\.[A-Za-z]\w{0,9}$|^(?:GNU)?[Mm]akefile|^CMakeLists|^BUILD$|^Dockerfile|^Rakefile"
)
TEMPORARY = re.compile(
    r"(?i)(?:^|/)(?:tmp|temp|var/folders|var/tmp|appdata/local/temp|private/var|dev/shm|\.cache)/"
)
RANDOM_NAME = re.compile(r"(?i)^(?:tmp|temp|cc|\.tmp|go-build|rustc|npm-|pip-|pytest-|jest_|yarn-)")

WORD = re.compile(r"[A-Za-z]{2,}")
FEW = 1
"""Words beside a file's name: with no more of them its line number is all that a line says."""

PARTS = (
    # These stay: they say what happened.
    (
        "keep",
        r"\b(?:exit(?:ed)?(?: with)?(?: code| status)?|(?:exit|return|status|error"
        r"|result)[ _-]?code"
        r"|signal|SIG|errno|status|HTTP(?:/[\d.]{1,3})?|rc|code|returned|HRESULT|SQLSTATE|Errno"
        r"|error|Error|ERROR|exception|Exception|curl:|TS|CS|ORA)"
        r"[ =:#(\[-]{1,3}-?(?:0x[0-9a-fA-F]{1,16}|[A-Z]{0,3}\d{1,10})(?: \(\d{5}\))?\b(?![.:/]\d)",
    ),
    ("keep", r"\b\d{3} (?:[A-Z][a-z]{1,20} ?){1,4}|\b0x(?:[cC]0000\w{3}|800[0-9a-fA-F]{5})\b"),
    ("keep", r"\b[A-Z]{1,6}-?\d{3,5}\b(?!-)"),
    # Times.
    (
        "time",
        r"\b\d{4}[-/]\d\d[-/]\d\d(?:[T_ -]\d\d[:._-]?\d\d(?:[:._-]?\d\d(?:[.,_]\d{1,9})?)?)?"
        r"(?:Z|\s?[+-]\d\d:?\d\d)?(?!\d)"
        r"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w{0,6},? )?(?:\d{1,2}[ /])?"
        r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}[ /]"
        r"(?:\d{1,2}(?:,? | {2})?)?(?:\d{4}[ :])?\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?"
        r"(?: [A-Z]{3,4})?(?: [+-]?\d{4})?"
        r"|\b\d{1,2}[/.]\d{1,2}[/.]\d{4}\b|\b\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?[AP]M)?\b"
        r"|\b\d{8}T\d{6}Z?\b|\b20\d{6}[-_.]?\d{4,6}\b|\[\d{1,3}:\d\d\]",
    ),
    (
        "duration",
        r"(?<![\w.])(?:\d{1,9}(?:[.,]\d{1,9})? ?"
        r"(?:ns|[uµμ]s|ms|msecs?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|milliseconds?|days?)"
        r"(?![\w])(?: ?and)?[ :]?){1,4}|\b(?:\d{1,3}[hms]){2,3}(?![\w])|\bPT\d\S{1,20}"
        r"|\b(?:elapsed(?:[ _]?[Tt]ime)?|duration|took|time|uptime)(?:_ms|_s)?[:= ]{1,3}"
        r"\d{1,12}(?:\.\d{1,9})?\b",
    ),
    # Identities.
    ("uuid", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    ("pod", r"(?<=-)[a-z0-9]{8,10}-[a-z0-9]{5}\b"),
    ("address", r"(?<!\w)(?:@|\$)?0x[0-9a-fA-F]{1,16}\b|@[0-9a-f]{5,16}\b|\$\$Lambda\S{0,40}"),
    (
        "ip",
        r"(?<![\w.])(?!127\.0\.0\.1)\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.])"
        r"|\[?(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{0,4}\]?(?![\w])|\bip-\d{1,3}(?:-\d{1,3}){3}\b",
    ),
    ("port", r"(?<=:)[1-6]\d{4}\b|\b(?i:port)[ =:]{1,3}[1-6]\d{4}\b"),
    (
        "process",
        r"(?i)(?:\b|(?<=_))(?:pid|tid|process(?: id)?|thread(?: id)?|lwp|ppid)[ =:#-]{0,3}"
        r"T?\d{1,10}\b"
        r"|\b\d{2,10}(?= {1,8}(?:Segmentation|Killed|Aborted|Terminated|Bus|Illegal|Floating))"
        r"|==\d{1,10}==|--\d{3,10}--|\(\d{4,10}\)|\[\d{3,10}\]",
    ),
    (
        "seed",
        r"(?i)\b(?:random[ _-]?)?seed(?:ed)?(?: with| is"
        r"| was)?[ =:#'\"-]{0,4}(?:0x)?[0-9a-f]{1,20}\b"
        r"|randomly?[ _-](?:seed )?(?:p )?[=:] ?\d{1,20}",
    ),
    (
        "place",
        r"(?i)\b(?:line|column|col|char|offset|position|pos|row|byte)[ =:#]{1,2}\d{1,9}\b"
        r"(?:-\d{1,9})?",
    ),
    ("ordinal", r"\A\d{1,5}(?=\) | - )|(?<=\bok )\d{1,6}(?= |\Z)|\bTest #\d{1,6}:"),
    ("describe", r"-\d{1,6}-g[0-9a-f]{7,40}\b"),
    (
        "named",
        r"(?i)\b(?:worker|builder|agent|runner|host|node)[ :=]{1,2}['\"]?(?=[\w.-]{0,60}\d)"
        r"[\w-]{1,60}(?:\.[\w-]{1,60}){0,4}['\"]?",
    ),
    (
        "counter",
        r"\[\s{0,6}\d{1,8}(?:/| of )\d{1,8}(?:[/ ]\d{1,8})?\]|\(\s{0,4}\d{1,8}(?:/| of )\d{1,8}\)"
        r"|(?<![\w./-])\d{1,8} ?(?:/| of | out of )\s?\d{1,8}(?![\w./-])"
        r"|\[?\s{0,3}\d{1,3}(?:\.\d{1,4})?\s?%\]?",
    ),
    (
        "who",
        r"(?i)\b(?:worker|slave|agent|runner|node|host|builder|executor|rank|shard|replica|gpu"
        r"|cpu|core|slot|attempt|retry|try|iteration|iter|epoch|run|build|job|task|request|req"
        r"|connection|conn|session|client|instance|container|transaction|tx|id|partition)"
        r"(?:s?/| ?#|[ =:_-]| id )?\s?(?:\d{1,10}|[0-9a-f]{6,40})(?!\w|\.\d)"
        r"|\b(?:gw|rank|worker|cpu|gpu)\d{1,4}\b|\bw\d{1,3}(?= |\Z)"
        r"|\bThread-\d{1,6}\b|\bpool-\d{1,4}-thread-\d{1,4}\b"
        r"|(?<![\w&])#\d{1,10}\b",
    ),
    ("size", r"(?i)(?<![\w.])\d{1,15}(?:[.,]\d{1,9})? ?(?:[kmgt]i?b|bytes?|[kmgt]b?/s)(?!\w)"),
    (
        "count",
        r"(?i)(?<![\w.])\d{1,9}(?= (?:tests?|failed|failures?|passed|errors?|warnings?|skipped"
        r"|examples?|assertions?|specs?|suites?|problems?|passing|failing|pending|more|others?"
        r"|deselected|xfailed|xpassed|lines? omitted|retries|attempts|times)\b)",
    ),
    # Names of temporary files, as of mktemp, and numbers of processes behind names.
    (
        "suffix",
        r"(?<=[A-Za-z]\.)\d{3,10}\b"
        r"|(?<=[.-])(?=[A-Za-z]{0,4}\d{1,4}[A-Za-z])(?=[a-z\d]{0,5}[A-Z])(?=[A-Z\d]{0,5}[a-z])"
        r"[A-Za-z\d]{6}(?!\w)",
    ),
    ("hex", r"(?<![\w.])(?=[0-9a-fA-F]{0,40}\d)[0-9a-fA-F]{6,64}(?!\w)"),
    (
        "number",
        r"(?<![\w.])-?\d{5,20}(?:\.\d{1,20})?(?!\w)|(?<![\w.])-?\d{1,9}\.\d{4,20}(?:e[+-]?\d{1,3})?(?!\w)"
        r"|(?<![\w.])\d{1,3}(?:,\d{3}){1,6}(?![\w,])",
    ),
    ("random", r"(?<![A-Za-z0-9])(?=[A-Za-z0-9]{0,40}\d)[A-Za-z0-9]{6,64}(?![A-Za-z0-9])"),
)
"""What a line is made of, the first that matches holds; names may recur."""


def _scoped(pattern: str) -> str:
    flags, ignoring_case, rest = pattern.partition("(?i)")
    return f"(?i:{rest})" if ignoring_case and not flags else pattern


PART = re.compile("|".join(f"(?P<p{n}>{_scoped(each)})" for n, (_, each) in enumerate(PARTS)))
KEPT = frozenset(f"p{n}" for n, (name, _) in enumerate(PARTS) if name == "keep")
RANDOM = f"p{len(PARTS) - 1}"
RUNS = re.compile(r"[A-Za-z]+|\d+")
CHANGED = "#"


def signature(rule: str, step: str, line: str) -> str:
    """Return what is the same for all lines that say the same of the same step.

    Args:
        rule: The name of the rule that matched the line.
        step: The name of the step.
        line: The line as the excerpt has it.

    Returns:
        Sixteen hexadecimal digits.
    """
    parts = "\0".join((rule, step, stable(line)))
    return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:16]


def stable(line: str) -> str:
    """Return a line without what changes from run to run.

    File names, words, names of tests and symbols, codes of errors, exits, signals and HTTP, and
    small numbers stay.
    """
    text = bare(clean(line))[:LINE_MOST]
    words = len(WORD.findall(text))
    text = PATH.sub(lambda found: _path(found, words), text)
    text = PART.sub(_part, text)
    return " ".join(text.split())


def _part(found: re.Match[str]) -> str:
    kept = found.lastgroup in KEPT or (found.lastgroup == RANDOM and not _is_random(found[0]))
    return found[0] if kept else CHANGED


def _is_random(word: str) -> bool:
    """Return whether a word is no word: short runs of letters and digits in turn."""
    runs = RUNS.findall(word)
    digits = sum(each.isdigit() for each in word)
    longest = max((len(each) for each in runs if each.isalpha()), default=0)
    return digits >= 2 and len(runs) >= 4 and longest < (4 if len(runs) < 6 else 6)


def _path(found: re.Match[str], words: int) -> str:
    path, place = found["path"], found["place"] or ""
    if not path:
        return found[0]
    path = path.replace("\\\\", "/").replace("\\", "/")
    *above, name = path.split("/")
    if FILE.search(name) is None:
        if not above:
            return found[0]
        place = ""  # a port, or a line of what is built in
    elif words - len(WORD.findall(path)) > FEW or FOREIGN.search(path):
        place = ""  # the words say it, and the line moves with every change above it
    if TEMPORARY.search(path):
        return f"{CHANGED}/{_temporary(name)}{place}"
    if above and (above[0] in ("", "~") or above[0].endswith(":")):
        roots = [number for number, each in enumerate(above) if each.lower() in ROOTS]
        kept = above[roots[-1] + 1 :] if roots else above[-1:]
        return "/".join((CHANGED, *kept, name)) + place
    return path.removeprefix("./") + place


def _temporary(name: str) -> str:
    stem, dot, ending = name.partition(".")
    if RANDOM_NAME.search(stem) or _is_random(stem) or not dot:
        return CHANGED + dot + ending
    return name
