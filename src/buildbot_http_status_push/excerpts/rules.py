"""Which lines of a log say why a step failed: a table of named patterns with a weight each.

Pure. Must not know where logs are from, nor what is made of a match. No pattern may need more
than linear time: gaps are bounded, and no repetition holds another one.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cache
from itertools import pairwise
from typing import Protocol, TypeAlias


class Weight(IntEnum):
    """How much a match says about the reason of a failure."""

    NOISE = 0
    """Looks like a failure and is none."""
    CONSEQUENCE = 1
    """Says that something failed before."""
    SIGN = 2
    """A word that failures, and other things, are described with."""
    HINT = 3
    """Written as an error or a warning, of what is not known."""
    TEST = 4
    """Names what failed, such as a test, without its reason."""
    CAUSE = 5
    """Says what is wrong."""
    OWN = 6
    """Matches a rule of the configuration."""


class Rule:
    """A named set of patterns.

    Args:
        name: What a match is reported as.
        weight: How much a match says.
        patterns: Searched in a line without colours, indentation, time stamps and other prefixes.
        leads: How many lines after a match belong to it, empty ones not counted.
    """

    def __init__(self, name: str, weight: Weight, *patterns: str, leads: int = 0) -> None:
        self.name = name
        self.weight = weight
        self.patterns = patterns
        self.leads = leads


class Searcher(Protocol):
    """A compiled pattern, of whatever library."""

    def search(self, text: str, /) -> object:
        """Return something true where the pattern matches."""


_Entry: TypeAlias = "tuple[int, Rule, Searcher]"


class RuleBook:
    """Finds the first rule that a line matches.

    Args:
        rules: The rules, the first that matches holds.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._always: list[_Entry] = []
        by_word: dict[str, list[_Entry]] = {}
        every = (
            (rule, branch) for rule in rules for text in rule.patterns for branch in branches(text)
        )
        for place, (rule, text) in enumerate(every, 1):
            entry = (place, rule, re.compile(text))
            words = needed_words(text)
            for word in words:
                by_word.setdefault(word, []).append(entry)
            if not words:
                self._always.append(entry)
        # A word is looked for where its rarest three letters are: few of the words, in a line.
        grams = Counter(gram for word in by_word for gram in _grams(word))
        self._by_gram: dict[str, list[tuple[str, list[_Entry]]]] = {}
        for word, entries in by_word.items():
            rarest = min(sorted(_grams(word)), key=grams.__getitem__)
            self._by_gram.setdefault(rarest, []).append((word, entries))

    def preceded_by(self, own: Mapping[str, Searcher]) -> RuleBook:
        """Return a book in which patterns of a configuration, by their names, hold first."""
        book = copy.copy(self)
        first: list[_Entry] = [(0, Rule(name, Weight.OWN), each) for name, each in own.items()]
        book._always = first + self._always
        return book

    def match(self, line: str) -> Rule | None:
        """Return the first rule that matches, None if none does."""
        lowered = line.lower()
        tried = list(self._always)
        for gram in self._by_gram.keys() & _grams(lowered):
            for word, entries in self._by_gram[gram]:
                if word in lowered:
                    tried += entries
        tried.sort(key=_place)
        return next((rule for _, rule, pattern in tried if pattern.search(line)), None)


def _grams(text: str) -> set[str]:
    return {text[at : at + 3] for at in range(len(text) - 2)}


def _place(entry: _Entry) -> int:
    return entry[0]


def branches(pattern: str) -> list[str]:
    """Return the alternatives of a pattern, which are tried by themselves."""
    flag = "(?i)" if pattern.startswith("(?i)") else ""
    return [flag + each for each in _split(pattern.removeprefix(flag))]


def needed_words(pattern: str) -> frozenset[str]:
    """Return lower-case texts of which every match of the pattern has at least one.

    Looking for them is many times faster than trying the pattern. Empty where there is none that
    is worth looking for.
    """
    words: set[str] = set()
    for branch in _split(pattern.removeprefix("(?i)")):
        best = max(_options(branch), key=_worth, default=frozenset())
        if _worth(best) < 3:
            return frozenset()
        words |= best
    return frozenset(words)


def _worth(words: frozenset[str]) -> int:
    return min(map(len, words), default=0)


def _tokens(pattern: str) -> Iterator[str]:
    """Yield a pattern's characters, escapes, classes, groups and repetitions."""
    at = 0
    while at < len(pattern):
        end = _end(pattern, at)
        yield pattern[at:end]
        at = end


def _end(pattern: str, at: int) -> int:
    if pattern[at] == "\\":
        return at + 2
    if pattern[at] == "[":
        end = at + 2 if pattern[at + 1] != "^" else at + 3
        while pattern[end] != "]":
            end += 2 if pattern[end] == "\\" else 1
        return end + 1
    if pattern[at] == "{":
        return pattern.index("}", at) + 1
    if pattern[at] == "(":
        end = at + 1
        while pattern[end] != ")":
            end = _end(pattern, end)
        return end + 1
    return at + 1


def _split(pattern: str) -> list[str]:
    parts = [""]
    for each in _tokens(pattern):
        if each == "|":
            parts.append("")
        else:
            parts[-1] += each
    return parts


def _options(branch: str) -> Iterator[frozenset[str]]:
    run = ""
    tokens = [*_tokens(branch), ""]
    for token, after in pairwise(tokens):
        optional = after in ("?", "*") or after.startswith("{0")
        literal = token[1:] if token[0] == "\\" and not token[1].isalnum() else token
        if len(literal) == 1 and (token[0] == "\\" or literal not in ".^$?*+") and not optional:
            run += literal.lower()
            if not after.startswith(("+", "{")):
                continue
        if run:
            yield frozenset({run})
        run = ""
        if token.startswith(("(?:", "(?i:")) and not optional:
            yield needed_words(token[token.index(":") + 1 : -1])
    if run:
        yield frozenset({run})


NOISE = (
    Rule(
        "ignored-exception",
        Weight.NOISE,
        r"^Exception ignored in",
        leads=5,
    ),
    Rule(
        "count-of-none",
        Weight.NOISE,
        r"(?i)\b(?:0|no|zero) (?:errors?|failures?|failed|warnings?"
        r"|problems)\b(?!.{0,80}\b[1-9]\d* (?:errors?|fail))",
    ),
    Rule(
        "counts-of-none",
        Weight.NOISE,
        r"(?i)(?:fail\w*|errors?)\s{0,3}[:=]\s{0,3}0\b(?!.{0,80}(?:fail\w*"
        r"|errors?)\s{0,3}[:=]\s{0,3}[1-9])",
    ),
    Rule(
        "skipped",
        Weight.NOISE,
        r" (?:SKIPPED|STARTED|PASSED|IGNORED)$"
        r"|^(?:make\S{0,8}: )?(?:Leaving|Entering) directory"
        r"|^make\S{0,8}: (?:Leaving|Entering|Nothing)|\bexited with 0\b"
        r"|exit(?:ed)?(?: with)? (?:code|status) 0\b|^\(\d{1,4}\.\d{1,3} s\) "
        r"|\b(?:XFAIL|xfail|expected failure)\b|^in dir .{1,300} \(timeout \d"
        r"|^(?:argv|environment|watching logfiles|using PTY|closing stdin|elapsedTime)\b"
        r"|^DEPRECATED: |DeprecationWarning|^\s{0,4}warnings\.warn\(",
    ),
    Rule(
        "passed-test",
        Weight.NOISE,
        r"^(?:\[ {7}OK|ok\b|PASS(?:ED)?\b|--- PASS|✓|✔|√|\[ OK \]|XFAIL|SKIP)",
    ),
    Rule(
        "passed-test-end",
        Weight.NOISE,
        r"(?:\.\.\. ?ok|\bPASSED|\.{3,} ?(?:ok|Passed)|\[ ok \]|✓|\(passed\)|\bpass(?:ed)?"
        r"|\.\.\.(?: expected)? (?:ok|expected failure|skipped.{0,80}))(?: +\[? ?\d{0,3}%\]"
        r"| +[\d.]{1,8} ?m?s(?:ec)?| +\(.{0,20}\))?$",
    ),
    Rule(
        "compile-command",
        Weight.NOISE,
        r"^(?:\[ {0,2}\d{1,3}%\]|\[\d{1,6}/\d{1,6}\]|(?:\S{0,80}/)?(?:gcc|g\+\+|cc|c\+\+"
        r"|clang|clang\+\+|ar|ld|libtool:|javac|rustc|install|cp|mv|rm|mkdir|cd|chmod|ln"
        r"|tar|sed)) (?!.{0,200}(?:error|cannot|No such|not found|missing|Permission))",
    ),
    Rule(
        "compile-word",
        Weight.NOISE,
        r"^(?:Uploading|Uploaded|Removing|Removed|Deleting|Purging|Saving|Saved|Stopping"
        r"|Preserving|CC|CXX|LD|AR|Compiling|Building|Linking|Generating|Installing"
        r"|Downloading|Downloaded|Collecting|Fetching|Unpacking|Selecting|Setting up"
        r"|Preparing to unpack|Get:\d+|Hit:?\d*|Ign:?\d*|Processing|copying|creating|adding"
        r"|inflating|extracting) (?!.{0,200}(?:[Ee]rror|[Ff]ail|cannot|404|not found))",
    ),
    Rule(
        "shell-trace",
        Weight.NOISE,
        r"^\++ (?:echo|export|set|if|test|\[|for|case|local)\b",
    ),
    Rule(
        "setting",
        Weight.NOISE,
        r"^(?:export )?[A-Z][A-Z0-9_]{2,40}=",
    ),
    Rule(
        "flag",
        Weight.NOISE,
        r"(?i)^(?:-\S{1,40} )?.{0,100}(?:continue[ -]on[ -]error|fail[_-]?fast"
        r"|exit-on-error|error[_-]?level|on[_-]error|error[_-]reporting|display_errors)",
    ),
    Rule(
        "advice",
        Weight.NOISE,
        r"(?i)^(?:npm ERR! (?:A complete log|.{0,120}npm-debug|If you need help|<https)"
        r"|\[ERROR\] (?:Re-run Maven|To see the full stack|For more information about"
        r"|\[Help \d\]|After correcting the problems|-> \[Help)"
        r"|note: run with `?RUST_BACKTRACE|Run with --(?:stacktrace|info|scan)"
        r"|> Run with --)",
    ),
    Rule(
        "ignored",
        Weight.NOISE,
        r"(?i)\((?:ignored|non-fatal)\)|^-?make\S*: .{0,80}\(ignored\)",
    ),
    Rule(
        "check-for",
        Weight.NOISE,
        r"(?i)^(?:checking|looking|testing) (?:for|if|whether|that|how)\b.{0,200}\b(?:yes"
        r"|no|none|\.\.\.|ok|not found|done|0|1)$",
    ),
    Rule(
        "cmake-check",
        Weight.NOISE,
        r"^-- (?:Performing Test|Looking for|Check|Found|Detecting|Configuring done"
        r"|Could NOT find (?!.{0,100}required)|The \w+ compiler)",
    ),
    Rule(
        "prelude",
        Weight.NOISE,
        (
            r"^Build (?:id|language|group|dist):|^W: http|^found \d+ vulnerabilit|^npm WARN"
            r"|^WARNING: (?:The scripts?|You are using pip|Running pip|pip is|apt does not"
            r"|Retrying|Discarding)|^Your version of"
            r"|^gpg: (?!.{0,200}(?:fail|error|BAD|Can't|no valid))|^Get:\d|^debconf: "
            r"|^dpkg-preconfigure|^update-alternatives: (?!error)|^Couldn't find host|^\$ travis"
            r"|^travis_"
        ),
        (
            r"(?i)\b(?:copyright|licen[sc]e|redistribut\w{1,5}|warranty)\b(?!.{0,100}(?:header"
            r"|missing|error|fail|unapproved|unknown))|password prompt|authentication timestamp"
            r"|encryption code of this|in this file|^Incorrect password message"
            r"|^Allow some information|^Target: |^Send mail if|^Executing: gpg"
            r"|no longer required|^YAML safe loading"
            r"|^Package \S{1,80} is not available, but is referred|^Vim: Warning"
        ),
    ),
)

CONSEQUENCES = (
    Rule(
        "exit-code",
        Weight.CONSEQUENCE,
        r"(?i)^(?:program finished with|process (?:finished|completed|exited)"
        r"|the command .{0,300}(?:exited|failed|returned)|exit(?:ed)? (?:code|status|with)"
        r"|.{0,200}(?:exited with|returned|exit(?:ed)?|exit status"
        r"|failed with)(?: a)?(?: non-?zero)?(?: with)? ?(?:exit )?(?:code|status"
        r"|error code|value)?[ :=]{0,3}\(?[1-9]\d{0,2}\)?\.?$)|^elapsedTime="
        r"|^Done\. Your build exited|returned a non-zero code|^exit status \d"
        r"|^Error: Process completed with exit code"
        r"|^##\[error\](?:Process completed|Bash exited|The process)"
        r"|^ERROR: (?:Job failed|script returned|InvocationError)"
        r"|^##\[error\]\S{1,60} exited with code|^Cleaning up|^Post job cleanup"
        r"|^Terminate orphan|^Command exited with|exited with code"
        r"|^error Command failed with",
    ),
    Rule(
        "build-failed",
        Weight.CONSEQUENCE,
        r"^\[ERROR\] (?:BUILD|COMPILATION) |^\*\* (?:BUILD|TEST|ARCHIVE) FAILED"
        r"|^(?:\[INFO\] )?BUILD FAIL(?:ED|URE)|^FAILURE: Build failed"
        r"|^make\S{0,8}: \*\*\* Waiting|^make\S{0,8}: Target .{1,200} not remade"
        r"|^ninja: build stopped|^ninja: (?:no work|Entering)"
        r"|\*\*\* \[.{1,200}\] Error \d{1,3}$|^error: could not (?:compile|document)"
        r"|^error: aborting due to|^error: test failed"
        r"|^error: (?:build|process|Recipe|recipe) "
        r"|^(?:collect2|clang\S{0,12}|cc|c\+\+): error: (?:ld returned"
        r"|linker command failed)|^error: linker command failed"
        r"|npm (?:ERR!|error) (?:code ELIFECYCLE|errno|Exit status|Failed at the"
        r"|This is (?:probably|most likely)|Test failed|\S{1,100}: `|\S{1,80}@\S{1,30} "
        r"|file |path |command |A complete|Linux|Darwin|Windows|argv|node v|npm +v|syscall"
        r"|not ok code|errno|There is likely|Tell the author|You can get|If this|Or if"
        r"|Make sure|Please|cwd|\s|$)|^(?:npm|yarn|lerna) (?:ERR!|error)?\s?$"
        r"|^=+ .{0,100}(?:failed|error|passed).{0,60} =+$|^FAILED \((?:failures|errors)"
        r"|^Ran \d+ tests"
        r"|^\d+ (?:tests?|examples?|passing|failing|failed|passed|errors?|specs?|assertions"
        r"|problems?|warnings?|runs)\b|^Failed \d+/\d+|^Result: FAIL|^test result: FAILED"
        r"|^FAIL$|^FAILED$|^Failed$|^\[  FAILED  \] \d|^\s?\d+ FAILED TEST"
        r"|^\d+% tests passed|^Errors while running CTest|^--- FAIL|^exit status"
        r"|^error: Bad exit status from /|^RPM build errors|^Error: failed$"
        r"|^dh_auto_\w{4,12}: (?:error: )?.{0,200}returned exit code"
        r"|^dpkg-buildpackage: error: .{0,100}subprocess returned|^debuild: fatal"
        r"|^E: (?:Build failure|Sub-process)|^Build (?:failed|finished|step)"
        r"|^ERROR: Build failed|^\[error\] \(|^\[error\] Total time|^Execution failed"
        r"|^ERROR: .{0,100} (?:command|commands) failed|^ERROR: No build file"
        r"|^_{2,} summary _{2,}|^\S{1,60}: commands failed|errors? generated\.$"
        r"|^\d+ errors?$|^\d+ warnings? and \d+ errors? generated|^compilation terminated"
        r"|^(?:Aborting|aborting|Stop\.)$|^\*{3} Error code \d|^Stop\b|^Error Code: \d"
        r"|^\S{0,40}make\S{0,8}: \*\*\* \[.{1,200}\] Error"
        r"|^Tests? (?:run|failed|suites?|files?): {1,6}\d|^Test (?:Suites|Files) {1,4}\d"
        r"|^Tests: {1,10}\d",
    ),
)

CAUSES = (
    Rule(
        "leading",
        Weight.CAUSE,
        r"^rake aborted!|^\* What went wrong:|^Error found:$|^CMake Error at"
        r"|^Failed example:|^thread '.{1,200}' (?:\(\d{1,10}\) )?panicked at"
        r"|^Exception (?:in|occurred)\b.{0,100}:$|^ERROR in \S"
        r"|^[A-Z][\w ]{2,60}(?i:error|failed|failure|exception)s?:$"
        r"|^error: subprocess-exited|^\[!\] ",
        leads=2,
    ),
    Rule(
        "label",
        Weight.CAUSE,
        r"(?i)^[-=*# ]{0,8}(?:expected|actual|got|received|result|reason|error message)"
        r"(?: [\w ]{1,40})?(?: ?\([\w ]{1,40}\))?:$",
        leads=1,
    ),
    Rule(
        "buildbot-timeout",
        Weight.CAUSE,
        r"^command timed out: ",
    ),
    Rule(
        "buildbot-signal",
        Weight.CAUSE,
        r"process killed by signal \d",
    ),
    Rule(
        "error-line",
        Weight.CAUSE,
        r"^Error: \S",
        leads=1,
    ),
    Rule(
        "tool-error",
        Weight.CAUSE,
        r"^(?:[\w@./+-]{1,80}(?:\[\d{1,8}\])?: ){0,2}(?:fatal |internal |compile )?(?:error"
        r"|fatal|ERROR|FATAL|Fatal)(?:\[[\w.-]{1,40}\]"
        r"| \w{0,4}\d{2,6})?: {1,3}(?!could not (?:compile|document)|aborting due to"
        r"|test failed|\d+ targets? failed|build failed|process didn't exit"
        r"|[Pp]rocess completed|[Rr]ecipe |Bad exit|ld returned|linker command failed"
        r"|command failed|trying to exec)\S",
    ),
    Rule(
        "buildbot-worker",
        Weight.CAUSE,
        r"(?i)\b(?:worker|slave) (?:lost|disconnected|went away)|lost remote step"
        r"|remoteFailed|^\[Failure instance: "
        r"|twisted\.internet\.error\.Connection(?:Lost|Done)"
        r"|Connection to the other side was lost|Upstream(?:Worker)? .{0,40}lost",
    ),
    Rule(
        "compiler",
        Weight.CAUSE,
        r"""[\w)\]\"'+.-]:\d{1,7}(?::\d{1,7})?(?:[-.]\d{1,5}(?::\d{1,5})?)?: (?:fatal """
        r"|internal compiler |sorry|catastrophic |syntax |parse |type |compile )?(?i:error"
        r"|sorry, unimplemented)\b",
    ),
    Rule(
        "werror",
        Weight.CAUSE,
        r"\[-Werror\b|\bwarnings? (?:being )?treated as errors?|error: .{0,200}\[-W",
    ),
    Rule(
        "error-code",
        Weight.CAUSE,
        r"\b(?:fatal |general )?(?i:error) ?:? ?[A-Z]{1,8}\d{3,5}\b",
    ),
    Rule(
        "msbuild",
        Weight.CAUSE,
        r"^(?:MSBUILD|CSC|NMAKE|LINK|cl|CVTRES|CMake|EXEC|NuGet\S{0,20}) : (?:fatal "
        r"|Command line )?error\b",
    ),
    Rule(
        "go-build",
        Weight.CAUSE,
        r"^(?:vet: |# )?(?:\.{0,2}/)?[\w./@+-]{1,200}\.go:\d{1,6}:\d{1,4}: (?!warning)",
    ),
    Rule(
        "go-line",
        Weight.CAUSE,
        r"^(?:vet: )?(?:\.{0,2}/)?[\w./@+-]{1,200}\.go:\d{1,6}: (?:undefined|cannot"
        r"|imported|declared|syntax|missing|not enough|too many|invalid|unexpected|expected"
        r"|multiple|duplicate|assignment|.{0,60}redeclared)",
    ),
    Rule(
        "go-module",
        Weight.CAUSE,
        r"^(?:go: |go\S* (?:build|get|list"
        r"|mod) )?(?:.{0,120}: )?(?:no required module provides|cannot find (?:package"
        r"|module)|module .{1,120} found .{0,80}but does not contain|updates to go\.(?:mod"
        r"|sum) needed|missing go\.sum entry|verifying .{1,120}: checksum mismatch"
        r"|build constraints exclude all Go files|unrecognized import path"
        r"|inconsistent vendoring|import cycle not allowed"
        r"|package .{1,100} is not in (?:GOROOT|std))",
    ),
    Rule(
        "go-error",
        Weight.CAUSE,
        r"^go: (?:.{0,120}: )?(?:errors? |unknown|invalid|cannot|could not|unsupported"
        r"|.{0,100}requires go|.{0,80}: reading |no such)",
    ),
    Rule(
        "javac",
        Weight.CAUSE,
        r"^\[(?:ERROR|error)\] \S{1,300}\.(?:java|kt|kts|scala|groovy|xml|proto|g4|sc"
        r"|sbt):\[?\d",
    ),
    Rule(
        "kotlin",
        Weight.CAUSE,
        r"^e: \S",
    ),
    Rule(
        "sbt",
        Weight.CAUSE,
        r"^\[error\] (?!\([\w/ :.-]{1,80}\)|Total time|Failed tests|Failed: |Error: Total"
        r"|\s{0,3}\^|one error|\d+ errors? found|\(|Test suites?:|Passed: )\s{0,40}\S",
    ),
    Rule(
        "haskell",
        Weight.CAUSE,
        r"^\S{1,200}\.(?:hs|lhs|purs|elm|agda|idr"
        r"|lean)[: ]\d{1,6}[:,]\d{1,5}\S{0,20}:?\s*(?:error|$|Not in scope|parse error"
        r"|Couldn't|No instance|Could not)|^-- [A-Z]+(?: [A-Z]+)* -{10,}",
    ),
    Rule(
        "haskell-packages",
        Weight.CAUSE,
        r"rejecting: |cabal: Could not resolve dependencies|Could not find module"
        r"|While constructing the build plan|In the dependencies for"
        r"|Stack has not been tested|depends on base|no-pkg|conflict: "
        r"|Failed to load interface",
    ),
    Rule(
        "ocaml",
        Weight.CAUSE,
        r"^\*\*\* \[ERROR\]",
    ),
    Rule(
        "elixir",
        Weight.CAUSE,
        r"^(?:\d\) |\s{0,8})?\*\* \((?:\w+\.){0,5}(?:\w{0,60}(?:Error|Exception)|exit"
        r"|EXIT\b.{0,40}|Mix|throw|stop)\)|^== Compilation error",
    ),
    Rule(
        "erlang",
        Weight.CAUSE,
        r"\.[eh]rl:\d{1,6}(?::\d{1,5})?: (?!Warning)|^\*\*error:"
        r"|\{(?:badmatch|badarg|undef|function_clause|case_clause|badrecord"
        r"|test_case_failed|assert\w{0,20})[,}]"
        r"|^===> (?:Compiling .{0,80}failed|.{0,100}(?i:failed|not found|error))"
        r"|Dependency failure|Crash dump is being written|init terminating in do_boot",
    ),
    Rule(
        "dialyzer",
        Weight.CAUSE,
        r"^\d{1,6}: (?:Function|The (?:pattern|call|variable|test|return|created|spec)"
        r"|Call to missing|Unknown (?:function|type)|Callback|Record|Invalid type"
        r"|Guard test|Cons will)"
        r"|^:?\d{0,5}:?\w{0,20}: .{0,80}(?:no_return|pattern_match|invalid_contract"
        r"|unknown_function)",
    ),
    Rule(
        "perl",
        Weight.CAUSE,
        r"^(?:# |\s{1,8})?(?:Can't locate \S|syntax error at |Global symbol |Can't (?:open"
        r"|exec|find|call|load|use|locate|modify|redeclare)|Undefined subroutine|Bareword "
        r"|Compilation failed in require|BEGIN failed)"
        r"|^\S.{0,300} at \S{1,200} line \d{1,6}\.?(?:, <\w{1,20}> line \d{1,6}\.?)?$",
    ),
    Rule(
        "php",
        Weight.CAUSE,
        r"^(?:PHP )?(?:Fatal|Parse|Recoverable fatal|Catchable fatal) error:"
        r"|^(?:PHP )?Warning: .{0,200} on line \d|^Parse error"
        r"|^\[(?:\w{1,40}\\){0,6}\w{0,60}(?:Exception|Error)\]|^Failed asserting that"
        r"|\bfailed asserting\b|^(?:\w{1,40}\\){1,6}\w{0,60}(?:Exception|Error):",
    ),
    Rule(
        "composer",
        Weight.CAUSE,
        r"Your requirements could not be resolved|^Problem \d"
        r"|^- (?:Root composer|Installation request|Conclusion: |The requested "
        r"|\S{1,100} requires .{0,200}(?:->|your)|Can only install)"
        r"|^\[(?:RuntimeException|InvalidArgumentException)",
    ),
    Rule(
        "php-lint",
        Weight.CAUSE,
        r"^\d{1,6} \| (?:ERROR|WARNING)\b|^\d{1,4}\) \S{1,200}\.php\b"
        r"|^\d{1,6} {2,7}[A-Z].{10,200}\.$",
    ),
    Rule(
        "ruby",
        Weight.CAUSE,
        r"^Failure/Error:|^(?:\S{1,200}:\d{1,6}:in .{1,120}: ).{0,200}\(\w"
        r"|Could not find gem|Bundler could not find compatible"
        r"|Could not find \S{1,80} in any of the sources|An error occurred while installing"
        r"|Gem::\w{1,60}(?:Error|Exception)|cannot load such file"
        r"|^You have already activated|requires ruby version|Your Ruby version is"
        r"|Bundler::\w{1,60}",
    ),
    Rule(
        "rubocop",
        Weight.CAUSE,
        r"^\S{1,200}:\d{1,6}:\d{1,4}: [CWEFR]: ",
    ),
    Rule(
        "lua",
        Weight.CAUSE,
        r"^(?:lua\S{0,10}|luajit|luac): |^(?:Failure|Error) → |^\S{1,150}\.lua:\d{1,6}: "
        r"|^\S{1,200}\.lua:\d{1,6}:\d{1,5}: ",
    ),
    Rule(
        "lisp",
        Weight.CAUSE,
        r"\.el:\d{1,6}(?::\d{1,5})?:\s?(?:Error|Warning|warning|error)"
        r"|^Symbol's (?:value|function)|^Test \S{1,100} condition:"
        r"|\((?:ert-test-failed|wrong-type-argument|void-(?:variable|function)"
        r"|file-(?:error|missing)|error \"|args-out-of-range|invalid-\w{1,20})"
        r"|Cannot open load file|^Debugger entered|debugger invoked on"
        r"|Unhandled \S{1,60}(?:ERROR|error|CONDITION)|^FAILED: \S",
    ),
    Rule(
        "clojure",
        Weight.CAUSE,
        r"^(?:Exception in thread|CompilerException|Syntax error \w{1,20} |Caused by"
        r"|clojure\.lang\.\w{1,60})|Could not find artifact",
    ),
    Rule(
        "r",
        Weight.CAUSE,
        r"^Error in |^Error(?: in .{1,100})? : "
        r"|^\* checking .{1,200} \.\.\. (?:\[.{0,20}\] )?(?:ERROR|WARNING)"
        r"|^(?:── )?(?:\d{1,4}\. )?(?:Failure|Error)(?: \(|: )|there is no package called"
        r"|package .{1,60} is not available|LaTeX errors found"
        r"|Undocumented (?:arguments|code)|^Quitting from lines",
    ),
    Rule(
        "swift",
        Weight.CAUSE,
        r"^(?:❌|✗|⚠️?) {0,3}\S|: error: -\[|^Undefined symbols for architecture"
        r"|^ld: (?!warning)|symbol\(s\) not found|^xcodebuild: error"
        r"|The following build commands failed"
        r"|Unable to find a destination|Code Sign error|Provisioning profile",
    ),
    Rule(
        "tex",
        Weight.CAUSE,
        r"^! (?!=)\S|^l\.\d{1,6} |LaTeX Error:|Undefined control sequence|Emergency stop"
        r"|File `.{1,100}' not found|Fatal error occurred|Package \w{1,40} Error",
    ),
    Rule(
        "vim",
        Weight.CAUSE,
        r"^Vim(?:\(\w{1,30}\))?:|^E\d{2,4}: |^\(X\) |Error detected while processing"
        r"|^\S{1,200}\.vim:\d{1,6}:",
    ),
    Rule(
        "powershell",
        Weight.CAUSE,
        r"^\[-\] |^At \S.{0,200}:\d{1,6} char:\d|: The term '.{1,100}' is not recognized"
        r"|^\+ (?:CategoryInfo|FullyQualifiedErrorId) *:|ParserError"
        r"|Expected:? .{0,200}But was"
        r"|^Expected(?: (?:strings|exactly|regular|like|an? |collection|value)|:)"
        r"|is not recognized as (?:an internal|the name)|^[A-Z]\w{2,20}-[A-Z]\w{2,40} : \S",
    ),
    Rule(
        "pester",
        Weight.CAUSE,
        r"^(?:RuntimeException|ParameterBindingException|CommandNotFoundException"
        r"|PropertyNotFoundException)",
    ),
    Rule(
        "coffee",
        Weight.CAUSE,
        r"^#\d{1,6}: .{1,200}\. (?:\S{1,200}:)?$",
    ),
    Rule(
        "shell",
        Weight.CAUSE,
        r"(?i)\b(?:command not found|not found in \$?PATH)\b"
        r"|syntax error near unexpected token|: unbound variable"
        r"|^(?:\S{1,80}/)?(?:ba|da|z|k|a)?sh: (?:line )?\d{0,6}:? ?.{0,200}: (?:not found"
        r"|No such file|Permission denied|cannot|bad substitution|Is a directory"
        r"|Syntax error|Argument list too long|invalid)|\S{1,200}: line \d{1,6}: .{1,200}: "
        r"|exec format error|Syntax error: |Bad substitution|: Argument list too long"
        r"|: cannot execute|/usr/bin/env: |is required but (?:not|could not)"
        r"|integer expression expected|unary operator expected"
        r"|cannot open shared object file",
    ),
    Rule(
        "shellcheck",
        Weight.CAUSE,
        r"\bSC\d{4}\b",
    ),
    Rule(
        "linker",
        Weight.CAUSE,
        r"undefined reference to|multiple definition of|undefined symbol|unresolved external"
        r"|Undefined symbols|cannot find -l|: symbol lookup error|relocation truncated"
        r"|recompile with -f(?:PIC|PIE)|file format not recognized"
        r"|ld(?:\.\w{1,8})?: (?:error|fatal|cannot|.{0,200}(?:not found|undefined"
        r"|skipping incompatible|hidden symbol|DSO missing|truncated"
        r"|final link failed: (?!bad value|nonrepresentable|symbol needs)))"
        r"|error adding symbols|duplicate symbol|has no symbols? named|library not found for"
        r"|framework not found|wild import|modpost: \"|Missing symbol"
        r"|GLIBC\w{0,4}_[\d.]{1,8}' not found",
    ),
    Rule(
        "make",
        Weight.CAUSE,
        r"No rule to make target|missing separator"
        r"|\*\*\* (?:recipe|target pattern|multiple target|commands commence|unterminated"
        r"|missing|No targets|insufficient|mixed|empty|first|.{1,200}\.  Stop\.)"
        r"|^(?:\S{0,40}/)?g?make(?:\[\d+\])?: (?:\S{1,200}: )?(?:Command not found"
        r"|No such file|Permission denied|Nothing to be done|Circular .{0,80} dependency)"
        r"|^(?:\S{0,40}/)?g?make(?:\[\d+\])?: \S{1,200}: (?:Command|No such|Permission)"
        r"|^(?:b?make|make): don't know how to make",
    ),
    Rule(
        "make-signal",
        Weight.CAUSE,
        r"\*\*\* \[.{1,200}\] (?:Segmentation|Killed|Aborted|Bus error|Illegal|Floating"
        r"|Terminated|Interrupt|Hangup|Trace)",
    ),
    Rule(
        "cmake",
        Weight.CAUSE,
        r"^CMake (?:Error|Internal Error)"
        r"|Could NOT find .{0,200}(?:missing|required|too old|minimum)"
        r"|^Could not find (?:a package configuration|package)|CMakeLists\.txt:\d{1,6} \("
        r"|Parse error\.  |By not providing \"Find"
        r"|The (?:C|CXX|Fortran) compiler is not able|unknown to? ?CMake command"
        r"|Policy CMP\d{4} (?:is not|may not)|Compatibility with CMake",
    ),
    Rule(
        "meson",
        Weight.CAUSE,
        r"^(?:\S{1,200}/)?meson(?:\.build|\.options"
        r"|_options\.txt)?:\d{1,6}(?::\d{1,5})?: (?:ERROR|WARNING: .{0,40}fatal)"
        r"|Dependency .{1,80} not found, tried"
        r"|Program '?.{1,80}'? not found or not executable|^meson\.build:\d",
    ),
    Rule(
        "autoconf",
        Weight.CAUSE,
        r"^configure(?:\.ac|\.in)?:(?:\d{1,6}:)? (?:error|WARNING: unrecognized)"
        r"|possibly undefined macro"
        r"|(?:autoreconf|autoconf|automake|aclocal|autom4te|libtoolize|autopoint"
        r"|gettextize)\S{0,12}: (?:error|.{0,80}(?:failed|not found|No such|is required))"
        r"|^config\.status: error|no acceptable C compiler"
        r"|C compiler cannot create executables|required file '?\S{1,80}'? not found"
        r"|^\*\*\* .{0,120}(?:not found|is required|too old|must be)"
        r"|Package requirements \(.{1,200}\) were not met|No package '.{1,80}' found"
        r"|Package .{1,60} was not found in the pkg-config"
        r"|was not found in the pkg-config search path"
        r"|cannot (?:run C compiled|guess build type)",
    ),
    Rule(
        "gn",
        Weight.CAUSE,
        r"^ERROR at //|^ERROR Unresolved dependencies|^scons: \*\*\*|^waf: "
        r"|The configuration failed|^Could not find the program|^bjam: |^\.\.\.failed ",
    ),
    Rule(
        "bazel",
        Weight.CAUSE,
        r"^FAIL: //|no such (?:package|target) '"
        r"|^//\S{1,150}\s+(?:FAILED|TIMEOUT|NO STATUS|FAILED TO BUILD)",
    ),
    Rule(
        "pytest",
        Weight.CAUSE,
        r"^E {2,}\S",
    ),
    Rule(
        "python-exception",
        Weight.CAUSE,
        r"^(?:E\s{1,6}|[|+-]\s{1,8})?(?:[A-Za-z_]\w{0,60}\.){0,8}[A-Z]\w{0,80}(?:Error"
        r"|Exception|Failure|Interrupt|Exit|Timeout|NotFound|Refused|Fault|Mismatch"
        r"|Conflict|Unsatisfiable|Denied|TimedOut|DoesNotExist|Required|Unavailable|Missing"
        r"|Violation)(?:: \S|:?$)",
    ),
    Rule(
        "pytest-cause",
        Weight.CAUSE,
        r"^fixture '.{1,80}' not found|^(?:ERROR|FAILED) \S{1,300} - \S"
        r"|^ImportError while (?:loading|importing)|INTERNALERROR>"
        r"|Interrupted: \d+ error|FAIL Required test coverage|Coverage failure: total"
        r"|^fail_under|async def functions are not natively|PytestUn\w{1,40}Warning",
    ),
    Rule(
        "doctest",
        Weight.CAUSE,
        r"^Differences \(",
    ),
    Rule(
        "expectation",
        Weight.CAUSE,
        r"^(?:# {1,12}|\[ERROR\]\s{0,6}|\|\s{0,8})?(?:Expected|expected|EXPECTED|Actual"
        r"|actual|ACTUAL|Received|received|Got|got|But was|but was|Expecting|Expression"
        r"|Evaluated|left|right|wanted|Wanted|want|With|Value of|Which is|Which|Error"
        r"|Message|Reason|reason|Diff|Difference|found|Found|operator|stack|error|code"
        r"|message|failureType|at_?|exp|act|have)(?: (?:value|string|result|output"
        r"|equality of these values|nothing|to|but|not|\w{1,20} \w{1,20}))?\s{0,10}(?::|=>"
        r"|<)(?: |$)\s{0,20}(?!\s{0,5}(?:0|ok|none)$)",
    ),
    Rule(
        "assertion",
        Weight.CAUSE,
        r"(?i)\bassert(?:ion|ionerror|ionfailed\w{0,20})?\b.{0,300}\bfail"
        r"|(?i:assertion) (?:failed|violated|`)|AssertionError|AssertionFailedError"
        r"|AssertionException|ComparisonFailure|\bTRAP: |assertion failed"
        r"|ASSERT(?:ION)?(?: FAILED)?:|^Bail out!|CHECK failed|Check failed:"
        r"|should(?:'ve| have)? (?:be|equal|not|eq|contain|match|return|throw"
        r"|raise)\b.{0,150}(?:but|got|was|instead)"
        r"|expected .{1,200} (?:but (?:got|was|found|is)|to (?:be|equal|eql|have|include"
        r"|contain|match|deeply|throw|not|strictly|exist|raise|return|respond|receive|start"
        r"|end)|got |actual|received |, got)|did not (?:match|equal|raise|contain|throw)\b"
        r"|was not equal to|is not equal to|does not (?:match|equal|contain)"
        r"|(?:doesn't|don't|didn't) (?:match|equal|contain)|mismatch"
        r"|not equal|values? differ|files .{1,200} differ\b|differs? from expected|^Only in \S"
        r"|\bgot\b.{1,100}\b(?:want|expected)\b|\b(?:want|expected)\b.{1,100}\bgot\b"
        r"|^(?:REFTEST )?TEST-UNEXPECTED-|^PROCESS-CRASH",
    ),
    Rule(
        "gtest",
        Weight.CAUSE,
        r":\d{1,6}: Failure$|\(\d{1,6}\): error: |\(\d{1,6}\): Failure"
        r"|^(?:Expected equality|Value of|Death test|C\+\+ exception with|Unexpected mock"
        r"|Actual function call count|Mock function called|.{0,100} Uninteresting)"
        r"|unknown file: Failure",
    ),
    Rule(
        "catch",
        Weight.CAUSE,
        r"^(?:\S{1,200}:\d{1,6}: |\.{0,3})?FAILED:$|is NOT correct!"
        r"|^(?:REQUIRE|CHECK|REQUIRE_\w{1,20}|CHECK_\w{1,20})\( |with expansion:"
        r"|due to (?:unexpected exception|a fatal error)|^\S{1,200}:\d{1,6}:[FE]:"
        r"|error: in \"|: fatal error in \"",
    ),
    Rule(
        "ctest",
        Weight.CAUSE,
        r"^\d{1,6} - .{1,200} \((?:Failed|SEGFAULT|Timeout|Not Run|Child aborted|Subprocess"
        r"|ILLEGAL|BAD_COMMAND|NUMERICAL|OTHER_FAULT|Disabled failed)"
        r"|\*{3}(?:Failed|Exception|Timeout|Not Run)|Could not find executable"
        r"|Unable to find executable|No tests were found",
    ),
    Rule(
        "go-test",
        Weight.CAUSE,
        r"^\S{1,200}_test\.go:\d{1,6}: |^panic: "
        r"|\bpanic: (?:test timed out|runtime error|.{1,200})"
        r"|WARNING: DATA RACE|^FAIL\s+\S{1,200} \[(?:build|setup) failed\]|Error Trace:"
        r"|^Error:\s{2,}|^Error(?: Trace)?:\s{2,}|\[recovered\]",
    ),
    Rule(
        "ginkgo",
        Weight.CAUSE,
        r"^\[Fail\] |^\[FAILED\] |^• (?:Failure|\[FAILED\])|^Summarizing \d+ Failure"
        r"|^to (?:equal|be|match|contain)\b",
    ),
    Rule(
        "rust-test",
        Weight.CAUSE,
        r"^thread '.{1,200}' (?:\(\d{1,10}\) )?(?:panicked at|has overflowed)"
        r"|^assertion (?:`|failed|left)|panicked at '",
    ),
    Rule(
        "cargo",
        Weight.CAUSE,
        r"^cargo: |^failed to select a version|is not installed for the toolchain"
        r"|rustc \S{1,20} is not supported|requires rustc",
    ),
    Rule(
        "junit",
        Weight.CAUSE,
        r"<<< (?:FAILURE|ERROR)!"
        r"|^(?:Caused by: |Exception in thread \".{1,80}\" |\[ERROR\]\s{1,8}"
        r"|\s{1,12})?(?:[a-z_][\w$]{0,60}\.){1,9}[A-Z][\w$]{0,90}(?:Exception|Error|Failure"
        r"|Throwable|Failed|NotFound)\w{0,12}(?::|$| )"
        r"|There (?:was|were) \d+ (?:failure|error)"
        r"|^\[ERROR\]\s{1,6}(?:\w{1,100}[.:>-]){1,6}.{0,60}:\d{1,6}|crashed\? VM crashed"
        r"|The forked VM terminated|Exception in thread",
    ),
    Rule(
        "java-cause",
        Weight.CAUSE,
        r"^Caused by: ",
    ),
    Rule(
        "gradle",
        Weight.CAUSE,
        r"^> (?!Task |Configure |Transform )(?:Could not|Cannot|Failed|There were"
        r"|Compilation (?:error|failed)|A problem|Process '|Unable|No |Plugin|Unsupported"
        r"|Timeout|.{0,80}(?:failed|exception|not found|does not|error))"
        r"|^Execution failed for task|^A problem occurred|There were failing (?:tests|rules)"
        r"|Lint found|Gradle build daemon disappeared|Checkstyle rule violations"
        r"|PMD rule violations|SpotBugs|Daemon .{0,40}expir"
        r"|^(?:> )?Could not (?:resolve|determine|compile|GET|create|initialize|dispatch)\b",
    ),
    Rule(
        "gradle-test",
        Weight.CAUSE,
        r"^\S.{0,200} > .{1,200} FAILED$",
    ),
    Rule(
        "maven",
        Weight.CAUSE,
        r"Could not (?:resolve dependencies|transfer artifact|find artifact)|Non-resolvable"
        r"|Failure to (?:find|transfer)|^Rule \d+: .{1,200} failed"
        r"|Failed to execute goal .{0,300}: (?!There are test failures|Compilation failure$)"
        r"|Too many files with unapproved|format violations|Checksum validation failed"
        r"|^\[(?:ERROR|FATAL)\] (?:Failed to execute goal|Plugin|Error resolving|Non-"
        r"|Unknown lifecycle|The goal|'.{1,80}' is missing|Could not|Unresolveable"
        r"|Malformed|Internal error|Error (?:occurred|executing|building)|Source option"
        r"|Fatal error|The project)|^\[(?:ERROR|FATAL)\] {1,6}(?:\w{1,100}[.:>#-]){1,6}"
        r"|^\[(?:ERROR|FATAL)\] \S{1,200}:\d{1,6}",
    ),
    Rule(
        "ant",
        Weight.CAUSE,
        r"^\[(?:junit|javac|java|exec|ivy:\w{1,20}|testng|checkstyle)\] .{0,200}(?:FAILED"
        r"|error|ERROR|Caused an|Exception|FAILURE)",
    ),
    Rule(
        "unittest",
        Weight.CAUSE,
        r"^(?:FAIL|ERROR): (?!.{0,5}$)\S",
    ),
    Rule(
        "tap",
        Weight.CAUSE,
        r"^not ok\b(?!.{0,200}# (?:TODO|SKIP|todo|skip))"
        r"|^#\s{1,6}(?:Failed test|at \S{1,200} line|Looks like|got:|expected:"
        r"|.{0,20}Structures begin)|Dubious, test returned|No subtests run|Bad plan"
        r"|Non-zero exit status|Non-zero wait status|Parse errors:",
    ),
    Rule(
        "lit",
        Weight.CAUSE,
        r"error: (?:CHECK|no expected|expected string not found|'\w{1,20}' diagnostics"
        r"|.{0,60}string (?:found|not found) in input)|Exit Code: (?!0\b)"
        r"|^Command Output \(stderr\)|Expected-to-pass|FileCheck error",
    ),
    Rule(
        "mocha",
        Weight.CAUSE,
        r"^\d{1,4}\) (?!.{0,5}$)\S",
    ),
    Rule(
        "jest",
        Weight.CAUSE,
        r"^● (?!Console|.{0,3}$)\S|Snapshot(?: name:| .{0,100}(?:obsolete|failed|mismatch))"
        r"|^✕ |^(?:✗|✖|✘|×|❌) \S|^> \d{1,6} \||thrown: "
        r"|Test suite failed to run|Your test suite must contain|threshold for \w{1,20} \("
        r"|does not meet (?:global )?threshold|not met: ",
    ),
    Rule(
        "karma",
        Weight.CAUSE,
        r"^(?:Expected|Error:|TypeError|ReferenceError|SyntaxError) .{0,200}"
        r"|Disconnected(?:, because|reconnect)|No captured browser|Cannot start \w{1,20}"
        r"|have not captured in|Executed \d+ of \d+ .{0,30}(?:FAILED|ERROR|DISCONNECTED)",
    ),
    Rule(
        "javascript",
        Weight.CAUSE,
        r"^(?:Uncaught |Unhandled |\[?error\]? |ERROR:? |throw new )?(?:Assertion|Type"
        r"|Reference|Syntax|Range|Eval|URI|Internal|Parse|Timeout|Validation|Build"
        r"|Module\w{0,20}|Invariant ?\w{0,20}|Fetch"
        r"|Mongo\w{0,20})Error\b(?:\s\[\w{1,50}\])?:|^(?:Uncaught |Unhandled )?Error: \S"
        r"|Cannot find (?:module|name|type|namespace)"
        r"|Module (?:not found|build failed|parse failed)|Can't resolve '"
        r"|UnhandledPromiseRejection|ERR_[A-Z_]{4,40}|is not a function|is not defined"
        r"|Cannot read propert|Unexpected (?:token|identifier|end of)|has no exported member"
        r"|Unsupported engine|The engine \"|is not compatible with this"
        r"|Found incompatible module|Your lockfile needs|ERESOLVE"
        r"|Could not resolve dependency",
    ),
    Rule(
        "npm",
        Weight.CAUSE,
        r"^(?:npm|pnpm|yarn)?\s?(?:ERR!|error"
        r"|ERR_PNPM\w{1,40}) (?:code E(?!LIFECYCLE)\w{2,30}|\d{3}\b|404|notarget|enoent"
        r"|network|Missing:|Invalid:|Unsupported|EBADPLATFORM|peer|Cannot|Could not"
        r"|Refusing|missing script|Missing script|Invalid|invalid|Failed|failed|syscall"
        r"|Error: (?!.{0,100}ELIFECYCLE)|self.signed|cb\(\)|[A-Z][a-z]{2,20}Error"
        r"|Unexpected|notsup|No |Package |An unexpected|Couldn't|Your |`)"
        r"|^error (?!Command failed|An error occurred|Command \")[A-Z\"]\S{0,40} "
        r"|^npm error (?:code E|\d{3}|notarget|Missing|Invalid|Could not|peer)",
    ),
    Rule(
        "eslint",
        Weight.CAUSE,
        r"^\d{1,6}:\d{1,5}\s{1,8}(?:error|warning|✖|Error|×)\s{1,4}\S"
        r"|: line \d{1,6}, col \d{1,5}, |^line \d{1,6}\s{1,4}col \d{1,5}\s"
        r"|^\S{1,200}\[\d{1,6}, \d{1,5}\]: "
        r"|^(?:ERROR|WARNING): \S{1,200}[:\[]\d{1,6}[:,] ?\d{1,5}\]?"
        r"|^\S{1,200}: line \d{1,6}, character|\(\d{1,6},\d{1,5}\): (?:error|warning|lint)"
        r"|problems? \([1-9]\d* errors?|^.{1,200} at line \d{1,6} col \d",
    ),
    Rule(
        "sanitizer",
        Weight.CAUSE,
        r"==\d{1,10}==\s?(?:ERROR|WARNING|FATAL|HINT): ?\w{0,20}(?:Sanitizer|nterceptor)"
        r"|^SUMMARY: \w{2,20}Sanitizer|runtime error: |ThreadSanitizer: |LeakSanitizer"
        r"|^#\d \S{3,20} in \S",
    ),
    Rule(
        "valgrind",
        Weight.CAUSE,
        r"==\d{1,10}== (?:Invalid |Conditional jump|Use of uninit|Syscall param|Mismatched"
        r"|Process terminating|.{0,40}(?:definitely|indirectly) lost: [1-9])"
        r"|ERROR SUMMARY: [1-9]|Source and destination overlap",
    ),
    Rule(
        "segfault",
        Weight.CAUSE,
        r"(?i)\bseg(?:mentation)?[ -]?(?:fault|violation|v)\b"
        r"|\bSIG(?:SEGV|ABRT|BUS|ILL|FPE|TRAP|KILL|XCPU|SYS)\b|core dumped|\bBus error\b"
        r"|Illegal instruction|Floating point exception|(?:signal|code) (?:4|6|7|8|9|11)\b"
        r"|0x?C0000005|STATUS_\w{4,40}|access violation|unhandled exception|EXC_BAD_\w{4,20}"
        r"|EXC_CRASH"
        r"|exit(?:ed)?(?: with)?(?: code| status)?[ :]{1,2}(?:13[24679]|139|-11|-6|-9"
        r"|3221225477|-1073741\d{3})\b",
    ),
    Rule(
        "abort",
        Weight.CAUSE,
        r"^terminate called|^what\(\):|stack smashing detected|double free or corruption"
        r"|corrupted (?:size|double|unsorted)|free\(\): invalid|malloc\(\): |munmap_chunk"
        r"|libc\+\+abi|pure virtual method|stack overflow|StackOverflow|Stack overflow"
        r"|stack level too deep|maximum recursion|terminating (?:with|due)"
        r"|A fatal error has been detected by the Java|Fatal Python error|Fatal signal"
        r"|heap corruption|buffer overflow detected|uncaught exception|Uncaught exception"
        r"|Uncaught \w{0,30}Error",
    ),
    Rule(
        "kernel",
        Weight.CAUSE,
        r"Kernel panic|^(?:\[[ \d.]{3,20}\] )?BUG: |Oops: |general protection fault"
        r"|unable to handle (?:kernel|page)"
        r"|^WARNING: (?:CPU|possible|suspicious|modpost|unmet|inconsistent)"
        r"|^(?:\[[ \d.]{3,20}\] )?(?:KASAN|KCSAN|UBSAN|INFO): (?:task|rcu|.{0,80}in \w)"
        r"|soft lockup|rcu_\w{3,10} detected|Unable to mount root|not syncing|ERROR: modpost"
        r"|^\*\*\* Configuration file|has undefined symbol|DTC_CHK"
        r"|FATAL: modpost|total: [1-9]\d* errors",
    ),
    Rule(
        "out-of-memory",
        Weight.CAUSE,
        r"(?i)\bout of memory\b|cannot allocate memory|memory exhausted|OutOfMemory"
        r"|\bMemoryError\b|std::bad_alloc|heap limit|insufficient memory|oom-?kill"
        r"|killed process \d|GC overhead|reserve enough space|\bENOMEM\b|signal Killed"
        r"|Killed signal|memory allocation of \d|not enough memory|Killed: 9"
        r"|compiler is out of heap|exceeded memory|Allocation failed",
    ),
    Rule(
        "killed",
        Weight.CAUSE,
        r"^(?:\S{0,200}: line \d{1,6}:\s{1,4}\d{1,10} )?(?:Killed|Terminated|Aborted"
        r"|Hangup)\b|(?:\s|:)Killed$"
        r"|/\S{1,200}: line \d+: +\d+ (?:Killed|Aborted|Terminated|Segmentation|Bus)",
    ),
    Rule(
        "disk",
        Weight.CAUSE,
        r"(?i)no space left on device|disk (?:quota|full|is full)|quota exceeded|\bENOSPC\b"
        r"|not enough (?:free )?(?:disk )?space|read-only file system|input/output error"
        r"|file ?system (?:is )?full|too many open files|\bEMFILE\b"
        r"|stale (?:nfs )?file handle|device or resource busy|structure needs cleaning"
        r"|text file busy|ENFILE|resource temporarily unavailable|unable to fork"
        r"|can't start new thread|unable to create (?:new )?(?:native )?thread",
    ),
    Rule(
        "network",
        Weight.CAUSE,
        r"(?i)could ?n(?:o|')t resolve (?:host|proxy|hostname)|name resolution"
        r"|nodename nor servname|no such host"
        r"|connection (?:refused|reset|timed out|aborted|closed|was (?:closed|aborted"
        r"|reset)|broken|failed)"
        r"|\bE(?:CONNREFUSED|CONNRESET|TIMEDOUT|NOTFOUND|AI_AGAIN|HOSTUNREACH|PIPE"
        r"|ADDRINUSE|ACCES|PERM|NETUNREACH|SOCKETTIMEDOUT|CONNABORTED)\b|^curl: \(\d"
        r"|curl: \(\d{1,2}\)|^wget: |network is unreachable|no route to host"
        r"|host is unreachable|i/o timeout|read timed out|connect timed out"
        r"|SSL ?(?:error|certificate|_error|handshake|routines)"
        r"|certificate (?:verify failed|has expired|problem|signed by unknown"
        r"|is not trusted|required)|handshake (?:failure|failed|timeout)|x509: |PKIX path"
        r"|too many requests|service (?:temporarily )?unavailable|bad gateway"
        r"|gateway time-?out|internal server error|ERROR (?:40\d|410|429|50\d)\b"
        r"|HTTP(?:/[\d.]{1,3})? ?(?:error|status|response|code"
        r"|returned)?:? ?\(?(?:code )?[45]\d\d\b"
        r"|(?:status|response)(?: code)?:? (?:code )?[45]\d\d\b|returned error: [45]\d\d"
        r"|\b[45]\d\d (?:Client Error|Server Error|Not Found|Forbidden|Unauthorized|Service"
        r"|Internal|Bad Gateway|Gateway|Proxy|Too Many)|404 {1,2}Not Found"
        r"|address already in use|unexpected (?:eof|disconnect)|early EOF|broken pipe"
        r"|socket hang up|remote end closed|transfer closed"
        r"|unable to (?:access|connect|reach|fetch|download|resolve host)"
        r"|failed to (?:connect|fetch|download|resolve host)"
        r"|premature(?:ly)? (?:eof|end|close)|connect(?:ion)? to .{1,100} failed"
        r"|max retries exceeded|peer (?:reset|closed)|error in the (?:pull|push) function"
        r"|gnutls_handshake|net::ERR_\w{3,40}|port is already allocated|is not reachable"
        r"|server (?:is not responding|misbehaving|closed)|name or service not known$"
        r"|rate limit exceeded|exceeded .{0,30}rate limit",
    ),
    Rule(
        "timeout",
        Weight.CAUSE,
        (
            r"(?i)\btimed[ -]?out\b"
            r"|\btime[ -]?out(?:error|exception)? (?:after|of|expired|exceeded|reached|while"
            r"|waiting|error|was|in\b|\(|:)|\btimeout$|deadline exceeded"
            r"|exceeded .{0,60}(?:time ?limit|timeout|maximum (?:time|execution))"
            r"|no output (?:has been )?(?:received|for)|took (?:too long|longer than)"
            r"|has been (?:terminated|cancell?ed|killed)|maximum execution time"
            r"|(?:job|build|test|step) .{0,40}(?:timed|too long)|waited too long"
            r"|gave up (?:waiting|after)|still running after"
            r"|did not (?:complete|finish|start|respond|exit|terminate) (?:within|in|after)"
            r"|failed to (?:start|stop|respond) within"
        ),
        r"\bTIMEOUT(?:ED)?\b(?!=|_)[:!]? ",
    ),
    Rule(
        "apt",
        Weight.CAUSE,
        r"^E: (?!Sub-process|.{0,5}$)|Unable to locate package|has no installation candidate"
        r"|but it is not (?:going to be installed|installable)"
        r"|but .{1,60} is to be installed|unmet dependencies"
        r"|^dpkg: (?:error|dependency problems|unrecoverable)|dependency problems prevent"
        r"|^dpkg-\w{3,20}: (?:error|warning: .{0,60}(?:disappeared|appeared|new))"
        r"|^dh\w{0,24}: (?:error|warning: .{0,60}fail|cannot|missing|.{0,60}(?:aborting"
        r"|failed|not found|missing files))|[Uu]nmet build dependencies"
        r"|Unsatisfied (?:build )?dependenc|is not signed|NO_PUBKEY|GPG error"
        r"|no longer has a Release file|does not have a Release file|trying to overwrite"
        r"|missing-build-dep|Some packages could not be|held broken packages"
        r"|some symbols or patterns|post-installation script"
        r"|(?:preinst|postinst|prerm|postrm)\S{0,40} (?:returned|failed)"
        r"|E: Sub-process \S+ returned an error code",
    ),
    Rule(
        "rpm",
        Weight.CAUSE,
        r"(?i)nothing provides"
        r"|no (?:matching )?packages? (?:to install|matches|found|available|provides"
        r"|\S{1,80} available)|no match for argument|unable to find a match"
        r"|^problem(?: \d{1,3})?: |conflicting requests"
        r"|package .{1,200} (?:requires|conflicts|is filtered|does not|obsoletes) "
        r"|failed build dependencies|is needed by|bad exit status from"
        r"|installed \(but unpackaged\)"
        r"|^RPM build (?:errors|warnings)|^have choice for|no more mirrors|cannot download"
        r"|errors during downloading|solution \d: |problem with .{0,40}repo"
        r"|repository .{1,80} is invalid|valid metadata not found"
        r"|patch .{0,40}does not apply|cannot install"
        r"|requires .{1,120}, but none of the providers"
        r"|none of the providers can be installed|has inferior architecture"
        r"|file .{1,200} conflicts (?:with|between)|arch dependent binaries in noarch"
        r"|empty %files",
    ),
    Rule(
        "pacman",
        Weight.CAUSE,
        r"^==> ERROR:|unable to select packages|unsatisfiable constraints"
        r"|\(no such package\)|breaks: world|^>>> ERROR:|^\* ERROR: |^!!! "
        r"|emerge: there are no|masked (?:by|packages)|got: {4}sha"
        r"|builder for '.{1,200}' failed|xcrun: error|Port .{1,60} (?:not found|failed)"
        r"|is not available for"
        r"|^===> +\S{1,80} (?:is marked|depends|.{0,60}(?:broken|not found))|^pkg: "
        r"|^pkg-static: ",
    ),
    Rule(
        "pip",
        Weight.CAUSE,
        r"No matching distribution|ResolutionImpossible|Could not find a version"
        r"|ResolvePackageNotFound|PackagesNotFoundError|UnsatisfiableError|CondaHTTPError"
        r"|SolverProblemError|Because .{1,200} depends on|version solving failed"
        r"|No solution found when resolving|requires a different Python|requires Python"
        r"|Microsoft Visual C\+\+ .{0,20}is required|Failed building wheel"
        r"|legacy-install-failure|error in .{1,60} setup command|Could not build wheels"
        r"|externally-managed|DistributionNotFound|VersionConflict"
        r"|InvocationError for command|could not install deps|× .{1,100}",
    ),
    Rule(
        "gem",
        Weight.CAUSE,
        r"^Gem::",
    ),
    Rule(
        "conan",
        Weight.CAUSE,
        r"^vcpkg\S{0,10}: error",
    ),
    Rule(
        "git",
        Weight.CAUSE,
        r"^remote: (?:error|fatal|ERROR|Permission|Invalid|.{0,60}(?:denied|not found"
        r"|rejected|GH\d{3}|error))|^CONFLICT \(|! \[(?:remote )?rejected\]"
        r"|new blank line at EOF|trailing whitespace|space before tab in indent"
        r"|indent with spaces|tab in indent|leftover conflict marker"
        r"|Cannot (?:rebase|pull|merge|stash|apply|fast-forward|cherry-pick|save|update)\b"
        r"|would be overwritten by|unstaged changes|uncommitted changes|contains uncommitted"
        r"|Patch failed at|Hunk #\d+ FAILED|hunks? FAILED|hunks? failed|^patch: \*{4}"
        r"|^\d+ out of \d+ hunk|Reversed \(or previously applied\)|couldn't find remote ref"
        r"|RPC failed|Host key verification"
        r"|Automatic merge failed|not something we can merge|reference is not a tree"
        r"|not our ref|You have unmerged|unmerged files|Not possible to fast-forward"
        r"|refusing to merge|shallow update|dubious ownership|index\.lock"
        r"|could not read Username|Authentication failed|Repository not found"
        r"|unable to checkout|unknown revision|bad (?:object|revision)"
        r"|detached HEAD .{0,30}fail|non-fast-forward|^(?:svn|svnadmin): E\d|^abort: "
        r"|^bzr: ERROR|^cvs \[|^darcs failed|^Merge conflict|smudge filter|object not found"
        r"|No such remote|not a git repository|stale info|pre-receive hook declined"
        r"|submodule .{0,100}(?:fail|not)|nothing to commit|no changes added to commit"
        r"|Your branch .{0,40}diverged"
        r"|(?:commit|change) message .{0,80}(?:must|should|invalid)|Missing Signed-off-by"
        r"|subject (?:may not|must)|type (?:may not|must)|tree is (?:dirty|not clean)"
        r"|needs merge|needs update",
    ),
    Rule(
        "docker",
        Weight.CAUSE,
        r"Error response from daemon|^docker: |manifest (?:unknown|for .{1,150} not found)"
        r"|pull access denied"
        r"|failed to (?:solve|compute|build|create|start|push|pull|register|load|export"
        r"|read dockerfile|mount|set up|run)\b|executor failed running"
        r"|Cannot connect to the Docker|^(?:ERROR: )?unauthorized|denied: requested"
        r"|ErrImage\w{0,10}|ImagePull\w{0,10}|CrashLoopBackOff|toomanyrequests|no basic auth"
        r"|repository .{1,150} not found|OCI runtime|no matching manifest"
        r"|invalid reference format|COPY failed|ADD failed|dockerfile parse error"
        r"|service .{1,80} (?:failed to|refers to|is not healthy|didn't complete)"
        r"|container .{0,100}(?:unhealthy|exited|is not running|for service)"
        r"|is already in use by container|did not complete successfully: exit code",
    ),
    Rule(
        "deploy",
        Weight.CAUSE,
        r"fatal: \[\S{1,100}\]: (?:FAILED|UNREACHABLE)|^failed: \["
        r"|^\S{1,100}: .{0,60}(?:unreachable|failed)=[1-9]|Error from server"
        r"|error validating|UPGRADE FAILED",
    ),
    Rule(
        "database",
        Weight.CAUSE,
        r"\b(?:FATAL|PANIC): {1,2}\S|ERROR: {2}\S|^ERROR \d{4} \(|SQLSTATE|\[ fail \]"
        r"|mysqltest: |At line \d+: query|^query '.{1,200}' failed|ORA-\d{4,5}"
        r"|\bOperationalError|IntegrityError|ProgrammingError|deadlock detected"
        r"|syntax error at or near|relation \".{1,80}\" does not exist|duplicate key"
        r"|no such (?:table|column)|database .{1,80} (?:does not exist|is locked)|psql: "
        r"|regression\.diffs",
    ),
    Rule(
        "sphinx",
        Weight.CAUSE,
        r": (?:WARNING|ERROR|SEVERE|CRITICAL): \S"
        r"|^(?:WARNING|ERROR|SEVERE): (?:document isn't|undefined label|unknown document"
        r"|.{0,100}toctree|intersphinx|.{0,60}reference|autodoc|Unexpected|Title|Unknown"
        r"|Inline|Duplicate)|^Sphinx error|^Warning, treated as error|Extension error"
        r"|Configuration error|Theme error|Handler <function|\(WARNING/\d\)|\(ERROR/\d\)"
        r"|\(SEVERE/\d\)|reference target not found|Aborted with \d+ (?:warning|Docs)"
        r"|rubydoc"
        r"|: warning: (?:Member|Unsupported|explicit link|unable to resolve|argument"
        r"|The following param|documented symbol|no uniquely)"
        r"|doxygen.{0,40}(?:error|warning)",
    ),
    Rule(
        "python-lint",
        Weight.CAUSE,
        (
            r"^\S{1,200}:\d{1,6}(?::\d{1,5})?:? (?:\[?\(?[A-Z]{1,4}\d{2,5}\]?\)?[: (]"
            r"|\[[a-z-]{3,40}\])"
            r"|^(?:Oh no|.{0,4}\d+ files? would be (?:reformatted|changed|rewritten))"
            r"|Imports are incorrectly sorted|^Found \d+ errors? in|^\S{1,200}: note: "
            r"|^reformatted \S|^Files with|error: Library stubs"
            r"|files? (?:need|needs|require) (?:re)?format|^Unformatted|^Name +Stmts.{0,40}never"
            r"|^\S{1,200}:\d{1,6}: (?:unused|undefined|redefinition|local variable|import"
            r"""|unable|'|\")"""
        ),
        r"(?i)^would reformat|would be (?:reformatted|changed|rewritten)$",
    ),
    Rule(
        "format",
        Weight.CAUSE,
        r"code[ -]?format|Code style issues|\[warn\] \S"
        r"|not (?:properly |correctly )?formatted|needs? (?:to be )?formatt|is not formatted"
        r"|^Diff in |gofmt|goimports|rustfmt|formatting (?:errors?|issues?|differences|is)"
        r"|wrong(?:ly)? (?:format|indent)|whitespace (?:error|issues)"
        r"|style (?:violations?|errors?|issues?|check)|line (?:is )?too long"
        r"|Line \d{1,6} is too long"
        r"|exceeds? (?:the )?(?:maximum )?(?:line length|\d{2,4} (?:character|column))"
        r"|newline at end|No newline|tabs? (?:found|used)|coding style"
        r"|clang-format.{0,80}(?:fail|differ|violation|error|needed|changes|issue)",
    ),
    Rule(
        "lint",
        Weight.CAUSE,
        r"^\S{1,200}:\d{1,6}(?::\d{1,5})?:? .{3,300}(?:\((?:[\w/-]{2,40})\)"
        r"|\[[\w/:.-]{2,60}\])$|\bDL\d{4}\b|\bMD\d{3}\b|: (?:[EW]): |\[-W[a-z]"
        r"|License header|license header|\[[FRWCD]\] \S",
    ),
    Rule(
        "links",
        Weight.CAUSE,
        r"(?i)broken link|\[✖\]|dead link|^\S{0,4}\s{0,4}http\S{1,300} .{0,20}[45]\d\d|: 404"
        r"|404 .{0,10}http|^\d{1,5}\. (?:\[?L\d|http\S+ \d{3})|\[L\d{1,6}\] "
        r"|external link .{1,200} failed|internally linking to|internal image"
        r"|linking to internal hash|is not an HTTPS|does not have (?:an? )?(?:alt|href)"
        r"|issues? :-\(|Links? .{0,60}(?:not working|error|fail)|URI::Invalid"
        r"|Liquid Exception|Liquid syntax|htmlproofer \d|HTML-Proofer found"
        r"|ran into \d+ errors",
    ),
    Rule(
        "pre-commit",
        Weight.CAUSE,
        r"\.{5,}Failed$|files were modified by this hook|^- hook id: ",
    ),
    Rule(
        "missing",
        Weight.CAUSE,
        r"(?i)no such file or directory|\bENOENT\b|file not found|permission denied"
        r"|operation not permitted|access (?:is )?denied|not recognized as an? "
        r"|no module named|module not found"
        r"|unrecognized (?:option|command|argument|arguments|import)|illegal option"
        r"|missing (?:required|file|argument|option|dependency|key|operand|script|or"
        r"|semicolon)"
        r"|unsupported (?:class|option|version|platform|architecture|protocol|engine)"
        r"|requires? (?:at least )?version|uninitialized (?:constant|value)"
        r"|not (?:declared|defined) in|Class .{1,120} not found|has not been declared"
        r"|redefinition of|previously declared",
    ),
    Rule(
        "checksum",
        Weight.CAUSE,
        r"(?i)(?:sha\d{0,3}|md5|hash)(?:sum)? (?:mismatch|does not match|verification"
        r"|differs|check)|signature (?:verification|check|could not|invalid)|BAD signature"
        r"|unexpected end of (?:file|input|archive)|not in gzip format"
        r"|invalid (?:zip|tar|magic)|crc error"
        r"|\b(?:file|archive|data|image|package|object|cache) .{0,60}\bcorrupt(?:ed)?\b"
        r"|\bcorrupt(?:ed)? (?:file|archive|data|image|package|object|cache)",
    ),
    Rule(
        "coverage",
        Weight.CAUSE,
        r"(?i)coverage .{0,60}(?:below|less than|decreased|fail|threshold|not met|too low"
        r"|minimum)|(?:below|less than) .{0,40}(?:coverage|threshold)",
    ),
)

TESTS = (
    Rule(
        "tap-detail",
        Weight.TEST,
        r"""^(?:error|message|reason): (?:\||>|'|\")""",
        leads=3,
    ),
    Rule(
        "heading",
        Weight.TEST,
        r"^Regressions: |^Failing test\(s\):|^The following tests FAILED|^Failed Tests \(\d"
        r"|^Unexpected (?:Failing|Passing) Tests|^FAILED TEST SUMMARY"
        r"|^\d+ tests? failed(?: unexpectedly)?:$|^Failing tests?:"
        r"|^(?:\d{1,4}\) )?(?:Errors?|Failures?|FAIL|FAILURE|ERROR|Failed tests"
        r"|Tests in error|Failed checks)\s?:$|^(?:Error|Failure|FAIL):$"
        r"|^\d{1,4}\) (?:Error|Failure):|^Failed \d+ tests!!",
        leads=3,
    ),
    Rule(
        "pytest-test",
        Weight.TEST,
        r"^(?:FAILED|ERROR) \S{1,300}|^_{3,} .{1,200} _{3,}"
        r"|\b(?:FAILED|ERROR) {1,8}\[ {0,2}\d{1,3}%\]|^\S{1,200}::\S{1,200} (?:FAILED|ERROR)",
    ),
    Rule(
        "unittest-test",
        Weight.TEST,
        r"\.{3} (?:FAIL|ERROR)$",
    ),
    Rule(
        "trial-test",
        Weight.TEST,
        r"^\[(?:FAIL|ERROR)\]$|\.{3,} {0,4}\[(?:FAIL|ERROR)\]",
    ),
    Rule(
        "gtest-test",
        Weight.TEST,
        r"^\[  FAILED  \] (?!\d+ tests?)\S",
    ),
    Rule(
        "go-test-name",
        Weight.TEST,
        r"^--- FAIL: |^FAIL: \S|^FAIL\t\S",
    ),
    Rule(
        "rust-test-name",
        Weight.TEST,
        r"^test .{1,200} \.\.\. FAILED|^---- .{1,200} stdout ----"
        r"|^(?:FAIL|SIGNAL|TIMEOUT|SIGABRT|SIGSEGV) \[ {0,6}[\d.]{1,10}s\]",
    ),
    Rule(
        "automake-test",
        Weight.TEST,
        r"^(?:FAIL|XPASS|TIMEOUT|UNRESOLVED|UNEXPECTED|ERROR|NOTRUN|Fail|F)(?::|\s{2,})\s?\S"
        r"|^# (?:FAIL|ERROR|XPASS): +[1-9]",
    ),
    Rule(
        "junit-test",
        Weight.TEST,
        r"^(?:Tests run: .{0,60}(?:Failures: [1-9]|Errors: [1-9])|Failed tests:"
        r"|Tests in error:)|^\[ERROR\] Tests run: |^Test \S{1,200} FAILED",
    ),
    Rule(
        "other-test",
        Weight.TEST,
        r"^(?:✗|✖|✘|×|❌|✕|\[FAIL\]|\[FAILED\]|\[ FAIL \]|\[fail\]|\(FAIL\)|FAIL\b|Failed\b"
        r"|FAILED\b|FAILURE\b)[ :]\s{0,6}\S|\[FAIL\]$|\*{2,3} ?FAILED ?\*{2,3}|\*{3} FAILED"
        r"|\bFAIL(?:ED|URE)?!?(?: +\[? ?[\d.]{1,8} ?m?s\]?)?$"
        r"|^\S.{0,150}\.{2,}\s?(?:FAIL(?:ED)?|failed|Failed|ERROR|not ok|NOT OK)\b"
        r"|^rspec \.?/?\S|Failing Scenarios|^cucumber \S|\| FAIL \||\bFAILED\b(?!=0)"
        r"|<failure|<error|^Test failed|Fail \("
        r"|\[ (?:Failure|Timeout|Crash|Text|ImageOnlyFailure|Missing)[\w ]{0,20}\]$"
        r"|failed unexpectedly|^\S.{0,200} (?:FAIL|FAILED|failed)\*?$",
    ),
)

HINTS = (
    Rule(
        "python-traceback",
        Weight.HINT,
        r"^(?:\s{0,8}|[|+] {0,6})?Traceback \(most recent call last\)|^Stack trace"
        r"|^Backtrace:|^Call Trace:|^Stack:$",
    ),
    Rule(
        "make-error",
        Weight.HINT,
        r"^FAILED: \S",
    ),
    Rule(
        "error",
        Weight.HINT,
        r"(?:^|[\s:\[(!>*|])(?:ERROR|Error|error|FATAL|Fatal|fatal|CRITICAL|SEVERE|PANIC"
        r"|E)\]?\s?(?::|-|!|\)|>|=>)\s{0,4}\S|##\[error\]"
        r"|^(?:ERROR|FATAL|CRITICAL|SEVERE|error|Error|ERR!)\b"
        r"|\[(?:ERROR|FATAL|SEVERE|CRITICAL|error|fatal|err|E)\]|^::error"
        r"|\blevel=(?:error|fatal)|\[stderr\].{0,80}(?i:error|fail)",
    ),
    Rule(
        "exception",
        Weight.HINT,
        r"\b\w{1,80}(?:Exception|Error)\b(?:: |$|\()",
    ),
    Rule(
        "warning",
        Weight.HINT,
        r"^(?:\S{1,200}: )?(?:WARNING|Warning|warning|WARN|\[WARN(?:ING)?\]|W)[:\]!] ?\S"
        r"|^\S{1,200}:\d{1,6}(?::\d{1,5})?: (?:warning|style|performance|portability"
        r"|information|convention|refactor|lint|Warning): |^[EWF]: \S{1,80}: "
        r"|^(?:Over|Under)full \\[hv]box|^LaTeX Warning: ",
    ),
    Rule(
        "missing-thing",
        Weight.HINT,
        r"(?i)\b(?:can ?not|can't|could ?n(?:o|')t|unable to|failed to) (?:open|find|stat"
        r"|access|load|locate|read|create|execute|import|parse|compile|build|install|apply"
        r"|write|start|run|connect|resolve|download|fetch|get|link|delete|remove|set"
        r"|determine|satisfy|complete|initialize|allocate|verify|process|checkout|clone"
        r"|push|pull|merge)\b|does(?:n't| not) exist\b"
        r"|\bno such (?:module|option|command|target|user|process|container|image|task"
        r"|package|remote|table|column|host|key)\b"
        r"|\bunknown (?:option|command|argument|flag|type|task|target|key|directive|module"
        r"|test|variable|revision|property|parameter|identifier|warning option)\b"
        r"|\binvalid (?:option|argument|command|syntax|value|configuration|reference"
        r"|character|key|json|yaml|config|number|input|format|type|token)\b"
        r"|\bundefined (?:method|variable|local|index|function|constant|offset|name|macro)\b"
        r"|\bversion .{1,60} (?:is required|not (?:found|supported)|too (?:old|new))\b"
        r"|\bis (?:too old|not supported|no longer supported|not set|not defined"
        r"|not installed|out of date|not allowed|required but)\b|\bare not allowed\b"
        r"|\b(?:forbidden|prohibited|disallowed)\b|^usage: |\bmust (?:not )?be\b"
        r"|\bno .{1,60} found\b|\balready (?:exists|defined|declared)\b"
        r"|\bplease (?:run|rebuild|update|fix|commit|install|regenerate|add|use|make sure"
        r"|re-run|format)\b"
        r"|\bfound \d+ (?:errors?|problems?|issues?|violations?|offenses?)\b|\bspelling"
        r"|\bmisspell|\btypo",
    ),
    Rule(
        "file-line",
        Weight.HINT,
        r"""^\(?(?:\./)?[\w./@+-]{1,200}\.[A-Za-z]{1,9}\)?:\d{1,6}(?::\d{1,5})?: ?[A-Za-z'\"`]"""
        r"|^\S{1,200}\.\w{1,8}(?:\(\d{1,6}(?:,\d{1,5})?\)|, line \d{1,6}"
        r"|:\d{1,6}):? .{0,200}(?i:error|fail|expected|invalid|unexpected|should|must"
        r"|missing|too|not )|\bat line \d{1,6},? column \d{1,5}"
        r"|\(line \d{1,6}(?:, column \d{1,5})?\)",
    ),
    Rule(
        "diff",
        Weight.HINT,
        r"^@@ .{1,80} @@|^@@$"
        r"|^(?:--- |\+\+\+ |\*\*\* )(?:a/|b/|\S{1,200}\s|(?i:expected|actual|got))"
        r"|^(?:diff|Only in|Index:) \S|^\d{3,4}[+-] ",
        leads=4,
    ),
    Rule(
        "comparison",
        Weight.HINT,
        r"^\S.{0,120} (?:!==?|===?|<>|=/=|≠) \S.{0,120}$",
    ),
    Rule(
        "log-error",
        Weight.HINT,
        r"^\[(?:ERROR|FATAL)\] (?!.{0,3}$|Tests run"
        r"|Failed to execute goal .{0,200}(?:There are test failures|Compilation failure"
        r"|There was a timeout)|COMPILATION ERROR|Failures:|Errors:|Failed tests|mvn <"
        r"|Please refer|There are test failures|Tests in error)\S?",
    ),
)

SIGNS = (
    Rule(
        "word",
        Weight.SIGN,
        r"(?i)\b(?:fail(?:ed|ure|ures|s|ing)?|errors?|fatal|panic|crash(?:ed)?|abort(?:ed"
        r"|ing)?|unable|cannot|can't|couldn't|could not|invalid|illegal|unexpected|mismatch"
        r"|missing|denied|refused|unsupported|undefined|unresolved|unknown|not found"
        r"|not supported|no such|violat\w{1,6}|conflict\w{0,4}|broken|exceed\w{0,3}"
        r"|reject\w{0,3}|bad|incorrect|incompatible|wrong|corrupt\w{0,3}|exhausted|lost"
        r"|leak\w{0,3}|deadlock|differ(?:s|ent)?|not allowed|unmet|required|does not"
        r"|doesn't|do not match|is not|not a|must|should be|should have)\b",
    ),
)

RULES = (*NOISE, *CONSEQUENCES, *CAUSES, *TESTS, *HINTS, *SIGNS)


@cache
def standard_book() -> RuleBook:
    """Return the book of these rules; the first time it takes half a second to compile them."""
    return RuleBook(RULES)
