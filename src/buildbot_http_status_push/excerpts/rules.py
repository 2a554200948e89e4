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
        patterns: Searched in a line without colours, time stamps and other prefixes.
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
        every = [(rule, text) for rule in rules for text in rule.patterns]
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


def needed_words(pattern: str) -> frozenset[str]:
    """Return lower-case texts of which every match of the pattern has at least one.

    Looking for them is many times faster than trying the pattern. Empty where there is none that
    is worth looking for.
    """
    if pattern.startswith("(?i)"):
        pattern = pattern[4:]
    words: set[str] = set()
    for branch in _split(pattern):
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
    branches = [""]
    for each in _tokens(pattern):
        if each == "|":
            branches.append("")
        else:
            branches[-1] += each
    return branches


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
        (
            r"(?i)\b(?:0|no|zero) (?:errors?|failures?|failed|warnings?"
            r"|problems)\b(?!.{0,80}\b[1-9]\d* (?:errors?|fail))"
        ),
    ),
    Rule(
        "counts-of-none",
        Weight.NOISE,
        (
            r"(?i)(?:fail\w*|errors?)\s{0,3}[:=]\s{0,3}0\b(?!.{0,80}(?:fail\w*"
            r"|errors?)\s{0,3}[:=]\s{0,3}[1-9])"
        ),
    ),
    Rule(
        "skipped",
        Weight.NOISE,
        r" (?:SKIPPED|STARTED|PASSED|IGNORED)$",
        r"^(?:make\S{0,8}: )?(?:Leaving|Entering) directory",
        r"^make\S{0,8}: (?:Leaving|Entering|Nothing)",
        r"\bexited with 0\b|exit(?:ed)?(?: with)? (?:code|status) 0\b",
        r"^\(\d{1,4}\.\d{1,3} s\) ",
        r"\b(?:XFAIL|xfail|expected failure)\b",
        r"^in dir .{1,300} \(timeout \d",
        r"^(?:argv|environment|watching logfiles|using PTY|closing stdin|elapsedTime)\b",
        r"^DEPRECATED: |DeprecationWarning|^\s{0,4}warnings\.warn\(",
    ),
    Rule(
        "passed-test",
        Weight.NOISE,
        r"^(?:\[ {7}OK|ok\b|PASS(?:ED)?\b|--- PASS|✓|✔|√|\[ OK \]|XFAIL|SKIP)",
    ),
    Rule(
        "passed-test-end",
        Weight.NOISE,
        (
            r"(?:\.\.\. ?ok|\bPASSED|\.{3,} ?(?:ok|Passed)|\[ ok \]|✓|\(passed\)|\bpass(?:ed)?"
            r"|\.\.\.(?: expected)? (?:ok|expected failure|skipped.{0,80}))(?: +\[? ?\d{0,3}%\]"
            r"| +[\d.]{1,8} ?m?s(?:ec)?| +\(.{0,20}\))?$"
        ),
    ),
    Rule(
        "compile-command",
        Weight.NOISE,
        (
            r"^(?:\[ {0,2}\d{1,3}%\]|\[\d{1,6}/\d{1,6}\]|(?:\S{0,80}/)?(?:gcc|g\+\+|cc|c\+\+"
            r"|clang|clang\+\+|ar|ld|libtool:|javac|rustc|install|cp|mv|rm|mkdir|cd|chmod|ln|tar"
            r"|sed)) (?!.{0,200}(?:error|cannot|No such|not found|missing|Permission))"
        ),
    ),
    Rule(
        "compile-word",
        Weight.NOISE,
        (
            r"^(?:CC|CXX|LD|AR|Compiling|Building|Linking|Generating|Installing|Downloading"
            r"|Downloaded|Collecting|Fetching|Unpacking|Selecting|Setting up|Preparing to unpack"
            r"|Get:\d+|Hit:?\d*|Ign:?\d*|Processing|copying|creating|adding|inflating"
            r"|extracting) (?!.{0,200}(?:[Ee]rror|[Ff]ail|cannot|404|not found))"
        ),
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
        (
            r"(?i)^(?:-\S{1,40} )?.{0,100}(?:continue[ -]on[ -]error|fail[_-]?fast|exit-on-error"
            r"|error[_-]?level|on[_-]error|error[_-]reporting|display_errors)"
        ),
    ),
    Rule(
        "advice",
        Weight.NOISE,
        (
            r"(?i)^(?:npm ERR! (?:A complete log|.{0,120}npm-debug|If you need help|<https)"
            r"|\[ERROR\] (?:Re-run Maven|To see the full stack|For more information about"
            r"|\[Help \d\]|After correcting the problems|-> \[Help)"
            r"|note: run with `?RUST_BACKTRACE|Run with --(?:stacktrace|info|scan)|> Run with --)"
        ),
    ),
    Rule(
        "ignored",
        Weight.NOISE,
        r"(?i)\((?:ignored|non-fatal)\)",
        r"(?i)^-?make\S*: .{0,80}\(ignored\)",
    ),
    Rule(
        "check-for",
        Weight.NOISE,
        (
            r"(?i)^(?:checking|looking|testing) (?:for|if|whether|that|how)\b.{0,200}\b(?:yes|no"
            r"|none|\.\.\.|ok|not found|done|0|1)$"
        ),
    ),
    Rule(
        "cmake-check",
        Weight.NOISE,
        (
            r"^-- (?:Performing Test|Looking for|Check|Found|Detecting|Configuring done"
            r"|Could NOT find (?!.{0,100}required)|The \w+ compiler)"
        ),
    ),
    Rule(
        "prelude",
        Weight.NOISE,
        r"^Build (?:id|language|group|dist):",
        r"^W: http",
        (
            r"(?i)\b(?:copyright|licen[sc]e|redistribut\w{1,5}|warranty)\b(?!.{0,100}(?:header"
            r"|missing|error|fail|unapproved|unknown))"
        ),
        r"^found \d+ vulnerabilit",
        r"^npm WARN",
        (
            r"^WARNING: (?:The scripts?|You are using pip|Running pip|pip is|apt does not"
            r"|Retrying|Discarding)"
        ),
        r"^Your version of",
        r"^gpg: (?!.{0,200}(?:fail|error|BAD|Can't|no valid))",
        r"(?i)password prompt|authentication timestamp",
        r"^Get:\d",
        r"^debconf: ",
        r"^dpkg-preconfigure",
        r"^update-alternatives: (?!error)",
        r"^Couldn't find host|^\$ travis|^travis_",
        (
            r"(?i)encryption code of this|in this file|^Incorrect password message"
            r"|^Allow some information|^Target: |^Send mail if|^Executing: gpg|no longer required"
            r"|^YAML safe loading|^Package \S{1,80} is not available, but is referred"
            r"|^Vim: Warning"
        ),
    ),
)

CONSEQUENCES = (
    Rule(
        "exit-code",
        Weight.CONSEQUENCE,
        (
            r"(?i)^(?:program finished with|process (?:finished|completed|exited)"
            r"|the command .{0,300}(?:exited|failed|returned)|exit(?:ed)? (?:code|status|with)"
            r"|.{0,200}(?:exited with|returned|exit(?:ed)?|exit status"
            r"|failed with)(?: a)?(?: non-?zero)?(?: with)? ?(?:exit )?(?:code|status|error code"
            r"|value)?[ :=]{0,3}\(?[1-9]\d{0,2}\)?\.?$)"
        ),
        r"(?i)^elapsedTime=",
        r"(?i)^Done\. Your build exited",
        r"(?i)returned a non-zero code",
        r"(?i)^exit status \d",
        r"(?i)^Error: Process completed with exit code",
        r"(?i)^##\[error\](?:Process completed|Bash exited|The process)",
        r"(?i)^ERROR: (?:Job failed|script returned|InvocationError)",
        r"(?i)^##\[error\]\S{1,60} exited with code",
        r"(?i)^Cleaning up",
        r"(?i)^Command exited with",
        r"(?i)exited with code",
        r"(?i)^error Command failed with",
    ),
    Rule(
        "build-failed",
        Weight.CONSEQUENCE,
        r"^\[ERROR\] (?:BUILD|COMPILATION) ",
        r"^\*\* (?:BUILD|TEST|ARCHIVE) FAILED",
        r"^(?:\[INFO\] )?BUILD FAIL(?:ED|URE)",
        r"^FAILURE: Build failed",
        r"^make\S{0,8}: \*\*\* Waiting",
        r"^make\S{0,8}: Target .{1,200} not remade",
        r"^ninja: build stopped",
        r"^ninja: (?:no work|Entering)",
        r"\*\*\* \[.{1,200}\] Error \d{1,3}$",
        r"^error: could not (?:compile|document)",
        r"^error: aborting due to",
        r"^error: test failed",
        r"^error: (?:build|process|Recipe|recipe) ",
        r"^(?:collect2|clang\S{0,12}|cc|c\+\+): error: (?:ld returned|linker command failed)",
        r"^error: linker command failed",
        (
            r"npm (?:ERR!|error) (?:code ELIFECYCLE|errno|Exit status|Failed at the"
            r"|This is (?:probably|most likely)|Test failed|\S{1,100}: `|\S{1,80}@\S{1,30} |file "
            r"|path |command |A complete|Linux|Darwin|Windows|argv|node v|npm +v|syscall"
            r"|not ok code|errno|There is likely|Tell the author|You can get|If this|Or if"
            r"|Make sure|Please|cwd|\s|$)"
        ),
        r"^(?:npm|yarn|lerna) (?:ERR!|error)?\s?$",
        r"^=+ .{0,100}(?:failed|error|passed).{0,60} =+$",
        r"^FAILED \((?:failures|errors)",
        r"^Ran \d+ tests",
        (
            r"^\d+ (?:tests?|examples?|passing|failing|failed|passed|errors?|specs?|assertions"
            r"|problems?|warnings?|runs)\b"
        ),
        r"^Failed \d+/\d+",
        r"^Result: FAIL",
        r"^test result: FAILED",
        r"^FAIL$",
        r"^FAILED$",
        r"^Failed$",
        r"^\[  FAILED  \] \d",
        r"^\s?\d+ FAILED TEST",
        r"^\d+% tests passed",
        r"^Errors while running CTest",
        r"^--- FAIL",
        r"^exit status",
        r"^error: Bad exit status from /",
        r"^RPM build errors",
        r"^Error: failed$",
        r"^dh_auto_\w{4,12}: (?:error: )?.{0,200}returned exit code",
        r"^dpkg-buildpackage: error: .{0,100}subprocess returned",
        r"^debuild: fatal",
        r"^E: (?:Build failure|Sub-process)",
        r"^Build (?:failed|finished|step)",
        r"^ERROR: Build failed",
        r"^\[error\] \(",
        r"^\[error\] Total time",
        r"^Execution failed",
        r"^ERROR: .{0,100} (?:command|commands) failed",
        r"^ERROR: No build file",
        r"^_{2,} summary _{2,}",
        r"^\s{0,3}\S{1,60}: commands failed",
        r"errors? generated\.$",
        r"^\d+ errors?$",
        r"^\d+ warnings? and \d+ errors? generated",
        r"^compilation terminated",
        r"^(?:Aborting|aborting|Stop\.)$",
        r"^\*{3} Error code \d",
        r"^Stop\b",
        r"^Error Code: \d",
        r"^\S{0,40}make\S{0,8}: \*\*\* \[.{1,200}\] Error",
        r"^Tests? (?:run|failed|suites?|files?): {1,6}\d",
        r"^Test (?:Suites|Files) {1,4}\d|^Tests: {1,10}\d",
    ),
)

CAUSES = (
    Rule(
        "leading",
        Weight.CAUSE,
        r"^rake aborted!",
        r"^\* What went wrong:",
        r"^Error found:$",
        r"^CMake Error at",
        r"^BUILD FAILED$",
        r"^Failed example:",
        r"^(?:\s{0,4})?thread '.{1,200}' (?:\(\d{1,10}\) )?panicked at",
        r"^Exception (?:in|occurred)\b.{0,100}:$",
        r"^ERROR in \S",
        r"^[A-Z][\w ]{2,60}(?i:error|failed|failure|exception)s?:$",
        r"^error: subprocess-exited",
        r"^\[!\] ",
        leads=2,
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
        "buildbot-worker",
        Weight.CAUSE,
        r"(?i)\b(?:worker|slave) (?:lost|disconnected|went away)",
        r"(?i)lost remote step",
        r"(?i)remoteFailed",
        r"(?i)^\[Failure instance: ",
        r"(?i)twisted\.internet\.error\.Connection(?:Lost|Done)",
        r"(?i)Connection to the other side was lost",
        r"(?i)Upstream(?:Worker)? .{0,40}lost",
    ),
    Rule(
        "compiler",
        Weight.CAUSE,
        (
            r"""[\w)\]\"'+.-]:\d{1,7}(?::\d{1,7})?(?:[-.]\d{1,5}(?::\d{1,5})?)?: (?:fatal """
            r"|internal compiler |sorry|catastrophic |syntax |parse |type |compile )?(?i:error"
            r"|sorry, unimplemented)\b"
        ),
    ),
    Rule(
        "compiler-driver",
        Weight.CAUSE,
        (
            r"^(?:\S{1,80}[/-])?(?:gcc|g\+\+|cc1|cc1plus|cc|c\+\+|collect2|clang(?:\+\+|-\d+)?"
            r"|clang-cl|gfortran|f951|swiftc?|rustc|javac|gnatmake|nvcc|emcc|ghc|ocamlfind|ifort"
            r"|icc|go|gmcs|mcs|csc|vbc|fsc|dmd|ldc2|nasm|yasm|as|flex|bison|moc|rcc|uic"
            r"|windres)(?:\.exe)?: (?:fatal |internal compiler )?error\b:? (?!trying to exec"
            r"|ld returned|linker command failed|command failed)"
        ),
    ),
    Rule(
        "werror",
        Weight.CAUSE,
        r"\[-Werror\b",
        r"\bwarnings? (?:being )?treated as errors?",
        r"error: .{0,200}\[-W",
    ),
    Rule(
        "msvc",
        Weight.CAUSE,
        (
            r"\b(?:fatal |general )?(?i:error) ?:? ?(?:C|CS|LNK|MSB|TS|FS|BC|NU|NETSDK|CA|IDE|RC"
            r"|SA|U|D|ADDLINK|CMP|CVT|AL|MC|MIDL|PRJ|LC|VSTHRD|xUnit|RS|BL)\d{3,5}\b"
        ),
    ),
    Rule(
        "msbuild",
        Weight.CAUSE,
        (
            r"^(?:MSBUILD|CSC|NMAKE|LINK|cl|CVTRES|CMake|EXEC|NuGet\S{0,20}) : (?:fatal "
            r"|Command line )?error\b"
        ),
        r"^NMAKE : fatal error",
    ),
    Rule(
        "rustc",
        Weight.CAUSE,
        (
            r"^error(?:\[E\d{4}\])?: (?!could not (?:compile|document)|aborting due to"
            r"|test failed|\d+ targets? failed|build failed|process didn't exit"
            r"|[Pp]rocess completed|Recipe )"
        ),
    ),
    Rule(
        "go-build",
        Weight.CAUSE,
        r"^(?:vet: |# )?(?:\.{0,2}/)?[\w./@+-]{1,200}\.go:\d{1,6}:\d{1,4}: (?!warning)",
    ),
    Rule(
        "go-line",
        Weight.CAUSE,
        (
            r"^(?:vet: )?(?:\.{0,2}/)?[\w./@+-]{1,200}\.go:\d{1,6}: (?:undefined|cannot|imported"
            r"|declared|syntax|missing|not enough|too many|invalid|unexpected|expected|multiple"
            r"|duplicate|assignment|.{0,60}redeclared)"
        ),
    ),
    Rule(
        "go-module",
        Weight.CAUSE,
        (
            r"^(?:go: |go\S* (?:build|get|list"
            r"|mod) )?(?:.{0,120}: )?(?:no required module provides|cannot find (?:package"
            r"|module)|module .{1,120} found .{0,80}but does not contain|updates to go\.(?:mod"
            r"|sum) needed|missing go\.sum entry|verifying .{1,120}: checksum mismatch"
            r"|build constraints exclude all Go files|unrecognized import path"
            r"|inconsistent vendoring|import cycle not allowed"
            r"|package .{1,100} is not in (?:GOROOT|std))"
        ),
    ),
    Rule(
        "go-error",
        Weight.CAUSE,
        (
            r"^go: (?:.{0,120}: )?(?:errors? |unknown|invalid|cannot|could not|unsupported"
            r"|.{0,100}requires go|.{0,80}: reading |no such)"
        ),
    ),
    Rule(
        "javac",
        Weight.CAUSE,
        (
            r"^\[(?:ERROR|error)\] \S{1,300}\.(?:java|kt|kts|scala|groovy|xml|proto|g4|sc"
            r"|sbt):\[?\d"
        ),
    ),
    Rule(
        "kotlin",
        Weight.CAUSE,
        r"^e: \S",
        r"^error: (?:unresolved reference|cannot find symbol|package .{1,120} does not exist)",
    ),
    Rule(
        "sbt",
        Weight.CAUSE,
        (
            r"^\[error\] (?!\([\w/ :.-]{1,80}\)|Total time|Failed tests|Failed: |Error: Total"
            r"|\s{0,3}\^|one error|\d+ errors? found|\(|Test suites?:|Passed: )\s{0,40}\S"
        ),
    ),
    Rule(
        "haskell",
        Weight.CAUSE,
        (
            r"^\S{1,200}\.(?:hs|lhs|purs|elm|agda|idr"
            r"|lean)[: ]\d{1,6}[:,]\d{1,5}\S{0,20}:?\s*(?:error|$|Not in scope|parse error"
            r"|Couldn't|No instance|Could not)"
        ),
        r"^Error found:$",
        r"^-- [A-Z]+(?: [A-Z]+)* -{10,}",
    ),
    Rule(
        "haskell-packages",
        Weight.CAUSE,
        r"rejecting: ",
        r"cabal: Could not resolve dependencies",
        r"Could not find module",
        r"While constructing the build plan",
        r"In the dependencies for",
        r"Stack has not been tested",
        r"depends on base",
        r"no-pkg",
        r"conflict: ",
        r"Failed to load interface",
    ),
    Rule(
        "ocaml",
        Weight.CAUSE,
        r"^\*\*\* \[ERROR\]",
    ),
    Rule(
        "elixir",
        Weight.CAUSE,
        (
            r"^(?:\d\) |\s{0,8})?\*\* \((?:\w+\.){0,5}(?:\w{0,60}(?:Error|Exception)|exit"
            r"|EXIT\b.{0,40}|Mix|throw|stop)\)"
        ),
        r"^== Compilation error",
    ),
    Rule(
        "erlang",
        Weight.CAUSE,
        r"\.[eh]rl:\d{1,6}(?::\d{1,5})?: (?!Warning)",
        r"^\*\*error:",
        (
            r"\{(?:badmatch|badarg|undef|function_clause|case_clause|badrecord|test_case_failed"
            r"|assert\w{0,20})[,}]"
        ),
        r"^===> (?:Compiling .{0,80}failed|.{0,100}(?i:failed|not found|error))",
        r"Dependency failure",
        r"Crash dump is being written",
        r"init terminating in do_boot",
    ),
    Rule(
        "dialyzer",
        Weight.CAUSE,
        (
            r"^\s{0,4}\d{1,6}: (?:Function|The (?:pattern|call|variable|test|return|created|spec)"
            r"|Call to missing|Unknown (?:function|type)|Callback|Record|Invalid type|Guard test"
            r"|Cons will)"
        ),
        (
            r"^:?\d{0,5}:?\w{0,20}: .{0,80}(?:no_return|pattern_match|invalid_contract"
            r"|unknown_function)"
        ),
    ),
    Rule(
        "perl",
        Weight.CAUSE,
        (
            r"^(?:# |\s{1,8})?(?:Can't locate \S|syntax error at |Global symbol |Can't (?:open"
            r"|exec|find|call|load|use|locate|modify|redeclare)|Undefined subroutine|Bareword "
            r"|Compilation failed in require|BEGIN failed)"
        ),
        r"^\S.{0,300} at \S{1,200} line \d{1,6}\.?(?:, <\w{1,20}> line \d{1,6}\.?)?$",
    ),
    Rule(
        "php",
        Weight.CAUSE,
        r"^(?:PHP )?(?:Fatal|Parse|Recoverable fatal|Catchable fatal) error:",
        r"^(?:PHP )?Warning: .{0,200} on line \d",
        r"^Parse error",
        r"^\s{0,4}\[(?:\w{1,40}\\){0,6}\w{0,60}(?:Exception|Error)\]",
        r"^Failed asserting that",
        r"\bfailed asserting\b",
        r"^(?:\w{1,40}\\){1,6}\w{0,60}(?:Exception|Error):",
    ),
    Rule(
        "composer",
        Weight.CAUSE,
        r"Your requirements could not be resolved",
        r"^Problem \d",
        (
            r"^\s{0,4}- (?:Root composer|Installation request|Conclusion: |The requested "
            r"|\S{1,100} requires .{0,200}(?:->|your)|Can only install)"
        ),
        r"^\[(?:RuntimeException|InvalidArgumentException)",
    ),
    Rule(
        "php-lint",
        Weight.CAUSE,
        r"^\s{0,4}\d{1,6} \| (?:ERROR|WARNING)\b",
        r"^\s{0,6}\d{1,4}\) \S{1,200}\.php\b",
        r"^ ------ -{5}",
        r"^\s{1,6}\d{1,6}  {1,6}[A-Z].{10,200}\.$",
    ),
    Rule(
        "ruby",
        Weight.CAUSE,
        r"^\s{0,10}Failure/Error:",
        r"^(?:\S{1,200}:\d{1,6}:in .{1,120}: ).{0,200}\(\w",
        r"Could not find gem",
        r"Bundler could not find compatible",
        r"Could not find \S{1,80} in any of the sources",
        r"An error occurred while installing",
        r"Gem::\w{1,60}(?:Error|Exception)",
        r"cannot load such file",
        r"^You have already activated",
        r"requires ruby version",
        r"Your Ruby version is",
        r"Bundler::\w{1,60}",
    ),
    Rule(
        "rubocop",
        Weight.CAUSE,
        r"^\S{1,200}:\d{1,6}:\d{1,4}: [CWEFR]: ",
    ),
    Rule(
        "lua",
        Weight.CAUSE,
        r"^(?:lua\S{0,10}|luajit|luac): ",
        r"^(?:Failure|Error) → ",
        r"^\S{1,150}\.lua:\d{1,6}: ",
        r"^\s{0,4}\S{1,200}\.lua:\d{1,6}:\d{1,5}: ",
    ),
    Rule(
        "lisp",
        Weight.CAUSE,
        r"\.el:\d{1,6}(?::\d{1,5})?:\s?(?:Error|Warning|warning|error)",
        r"^Symbol's (?:value|function)",
        r"^Test \S{1,100} condition:",
        (
            r"\((?:ert-test-failed|wrong-type-argument|void-(?:variable|function)|file-(?:error"
            r"|missing)|error \"|args-out-of-range|invalid-\w{1,20})"
        ),
        r"Cannot open load file",
        r"^Debugger entered",
        r"debugger invoked on",
        r"Unhandled \S{1,60}(?:ERROR|error|CONDITION)",
        r"^FAILED: \S",
    ),
    Rule(
        "clojure",
        Weight.CAUSE,
        (
            r"^(?:Exception in thread|CompilerException|Syntax error \w{1,20} |Caused by"
            r"|clojure\.lang\.\w{1,60})"
        ),
        r"Could not find artifact",
        r"Unable to resolve symbol",
    ),
    Rule(
        "r",
        Weight.CAUSE,
        r"^Error in ",
        r"^Error(?: in .{1,100})? : ",
        r"^\* checking .{1,200} \.\.\. (?:\[.{0,20}\] )?(?:ERROR|WARNING)",
        r"^ERROR: (?:dependenc|compilation failed|lazy loading|installing|loading failed)",
        r"^(?:── )?(?:\d{1,4}\. )?(?:Failure|Error)(?: \(|: )",
        r"there is no package called",
        r"package .{1,60} is not available",
        r"LaTeX errors found",
        r"Undocumented (?:arguments|code)",
        r"^Quitting from lines",
    ),
    Rule(
        "swift",
        Weight.CAUSE,
        r"^(?:❌|✗|⚠️?) {0,3}\S",
        r": error: -\[",
        r": error: .{0,100} : ",
        r"^Undefined symbols for architecture",
        r"^ld: (?!warning)",
        r"symbol\(s\) not found",
        r"^xcodebuild: error",
        r"^\[!\] ",
        r"^error: (?:no such module|unable to|.{0,80}requires|terminated|the package)",
        r"The following build commands failed",
        r"does not contain a scheme",
        r"Unable to find a destination",
        r"Code Sign error",
        r"Provisioning profile",
    ),
    Rule(
        "tex",
        Weight.CAUSE,
        r"^! (?!=)\S",
        r"^l\.\d{1,6} ",
        r"LaTeX Error:",
        r"Undefined control sequence",
        r"Emergency stop",
        r"File `.{1,100}' not found",
        r"Fatal error occurred",
        r"Package \w{1,40} Error",
    ),
    Rule(
        "vim",
        Weight.CAUSE,
        r"^Vim(?:\(\w{1,30}\))?:",
        r"^E\d{2,4}: ",
        r"^\s{0,20}\(X\) ",
        r"Error detected while processing",
        r"^\S{1,200}\.vim:\d{1,6}:",
    ),
    Rule(
        "powershell",
        Weight.CAUSE,
        r"^\[-\] ",
        r"^\s{0,10}\[-\] ",
        r"^At \S.{0,200}:\d{1,6} char:\d",
        r": The term '.{1,100}' is not recognized",
        r"^\s{0,8}\+ (?:CategoryInfo|FullyQualifiedErrorId) *:",
        r"ParserError",
        r"Expected:? .{0,200}But was",
        r"^\s{0,12}Expected(?: (?:strings|exactly|regular|like|an? |collection|value)|:)",
        r"is not recognized as (?:an internal|the name)",
    ),
    Rule(
        "pester",
        Weight.CAUSE,
        (
            r"^(?:RuntimeException|ParameterBindingException|CommandNotFoundException"
            r"|PropertyNotFoundException)"
        ),
    ),
    Rule(
        "coffee",
        Weight.CAUSE,
        r"\.coffee:\d{1,6}:\d{1,4}: error",
        r"^#\d{1,6}: .{1,200}\. (?:\S{1,200}:)?$",
    ),
    Rule(
        "shell",
        Weight.CAUSE,
        r"(?i)\b(?:command not found|not found in \$?PATH)\b",
        r"(?i)syntax error near unexpected token",
        r"(?i): unbound variable",
        (
            r"(?i)^(?:\S{1,80}/)?(?:ba|da|z|k|a)?sh: (?:line )?\d{0,6}:? ?.{0,200}: (?:not found"
            r"|No such file|Permission denied|cannot|bad substitution|Is a directory|Syntax error"
            r"|Argument list too long|invalid)"
        ),
        r"(?i)\S{1,200}: line \d{1,6}: .{1,200}: ",
        r"(?i)exec format error",
        r"(?i)Syntax error: ",
        r"(?i)Bad substitution",
        r"(?i): Argument list too long",
        r"(?i): cannot execute",
        r"(?i)/usr/bin/env: ",
        r"(?i)is required but (?:not|could not)",
        r"(?i)integer expression expected",
        r"(?i)unary operator expected",
        r"(?i)cannot open shared object file",
    ),
    Rule(
        "shellcheck",
        Weight.CAUSE,
        r"\bSC\d{4}\b",
    ),
    Rule(
        "linker",
        Weight.CAUSE,
        r"undefined reference to",
        r"multiple definition of",
        r"undefined symbol",
        r"unresolved external",
        r"Undefined symbols",
        r"cannot find -l",
        r": symbol lookup error",
        r"relocation truncated",
        r"recompile with -f(?:PIC|PIE)",
        r"file format not recognized",
        (
            r"ld(?:\.\w{1,8})?: (?:error|fatal|cannot|.{0,200}(?:not found|undefined"
            r"|skipping incompatible|hidden symbol|DSO missing|truncated"
            r"|final link failed: (?!bad value|nonrepresentable|symbol needs)))"
        ),
        r"error adding symbols",
        r"duplicate symbol",
        r"has no symbols? named",
        r"library not found for",
        r"framework not found",
        r"ld\.lld: error",
        r"mold: (?:error|fatal)",
        r"wild import",
        r"modpost: \"",
        r"Missing symbol",
        r"GLIBC\w{0,4}_[\d.]{1,8}' not found",
    ),
    Rule(
        "make",
        Weight.CAUSE,
        r"No rule to make target",
        r"missing separator",
        (
            r"\*\*\* (?:recipe|target pattern|multiple target|commands commence|unterminated"
            r"|missing|No targets|insufficient|mixed|empty|first|.{1,200}\.  Stop\.)"
        ),
        (
            r"^(?:\S{0,40}/)?g?make(?:\[\d+\])?: (?:\S{1,200}: )?(?:Command not found"
            r"|No such file|Permission denied|Nothing to be done|Circular .{0,80} dependency)"
        ),
        r"^(?:\S{0,40}/)?g?make(?:\[\d+\])?: \S{1,200}: (?:Command|No such|Permission)",
        r"^(?:b?make|make): don't know how to make",
    ),
    Rule(
        "make-signal",
        Weight.CAUSE,
        (
            r"\*\*\* \[.{1,200}\] (?:Segmentation|Killed|Aborted|Bus error|Illegal|Floating"
            r"|Terminated|Interrupt|Hangup|Trace)"
        ),
    ),
    Rule(
        "ninja",
        Weight.CAUSE,
        r"^ninja: (?:error|fatal): ",
    ),
    Rule(
        "cmake",
        Weight.CAUSE,
        r"^CMake (?:Error|Internal Error)",
        r"Could NOT find .{0,200}(?:missing|required|too old|minimum)",
        r"^Could not find (?:a package configuration|package)",
        r"CMakeLists\.txt:\d{1,6} \(",
        r"Parse error\.  ",
        r"By not providing \"Find",
        r"The (?:C|CXX|Fortran) compiler is not able",
        r"unknown to? ?CMake command",
        r"Policy CMP\d{4} (?:is not|may not)",
        r"Compatibility with CMake",
    ),
    Rule(
        "meson",
        Weight.CAUSE,
        (
            r"^(?:\S{1,200}/)?meson(?:\.build|\.options"
            r"|_options\.txt)?:\d{1,6}(?::\d{1,5})?: (?:ERROR|WARNING: .{0,40}fatal)"
        ),
        (
            r"^ERROR: (?:Dependency|Program|Problem encountered|Unknown|Native dep|Could not"
            r"|Include dir|Compiler|Subproject|Function|Value|File)"
        ),
        r"Dependency .{1,80} not found, tried",
        r"Program '?.{1,80}'? not found or not executable",
        r"^meson\.build:\d",
    ),
    Rule(
        "autoconf",
        Weight.CAUSE,
        r"^configure(?:\.ac|\.in)?:(?:\d{1,6}:)? (?:error|WARNING: unrecognized)",
        r"possibly undefined macro",
        (
            r"(?:autoreconf|autoconf|automake|aclocal|autom4te|libtoolize|autopoint"
            r"|gettextize)\S{0,12}: (?:error|.{0,80}(?:failed|not found|No such|is required))"
        ),
        r"^config\.status: error",
        r"no acceptable C compiler",
        r"C compiler cannot create executables",
        r"required file '?\S{1,80}'? not found",
        r"^\*\*\* .{0,120}(?:not found|is required|too old|must be)",
        r"Package requirements \(.{1,200}\) were not met",
        r"No package '.{1,80}' found",
        r"Package .{1,60} was not found in the pkg-config",
        r"was not found in the pkg-config search path",
        r"cannot (?:run C compiled|guess build type)",
    ),
    Rule(
        "gn",
        Weight.CAUSE,
        r"^ERROR at //",
        r"^ERROR Unresolved dependencies",
        r"^scons: \*\*\*",
        r"^waf: ",
        r"The configuration failed",
        r"^Could not find the program",
        r"^bjam: ",
        r"^\.\.\.failed ",
    ),
    Rule(
        "bazel",
        Weight.CAUSE,
        r"^ERROR: \S{1,200}(?:BUILD|\.bzl|\.bazel|WORKSPACE|MODULE)\S{0,20}:\d",
        (
            r"^ERROR: (?:no such|Skipping|Analysis of target|error loading|Failed to|Could not"
            r"|Unable|build interpreter|in )"
        ),
        r"^FAIL: //",
        r"no such (?:package|target) '",
        r"^//\S{1,150}\s+(?:FAILED|TIMEOUT|NO STATUS|FAILED TO BUILD)",
    ),
    Rule(
        "pytest",
        Weight.CAUSE,
        r"^E {2,}\S",
    ),
    Rule(
        "python-exception",
        Weight.CAUSE,
        (
            r"^(?:\s{0,12}|E\s{1,6}|["
            r"|+-]\s{1,8})?(?:[A-Za-z_]\w{0,60}\.){0,8}[A-Z]\w{0,80}(?:Error|Exception|Failure"
            r"|Interrupt|Exit|Timeout|NotFound|Refused|Fault|Mismatch|Conflict|Unsatisfiable"
            r"|Denied|TimedOut|DoesNotExist|Required|Unavailable|Missing|Violation)(?:: \S|:?$)"
        ),
    ),
    Rule(
        "python-syntax",
        Weight.CAUSE,
        r"^(?:\s{0,4}|E\s{1,6})?(?:SyntaxError|IndentationError|TabError|KeyboardInterrupt)\b",
    ),
    Rule(
        "pytest-cause",
        Weight.CAUSE,
        r"^fixture '.{1,80}' not found",
        r"^(?:ERROR|FAILED) \S{1,300} - \S",
        r"^ERROR: (?:not found: |file or directory not found|usage: |found no collectors)",
        r"unrecognized arguments: ",
        r"^ImportError while (?:loading|importing)",
        r"INTERNALERROR>",
        r"^\S{1,60}: error: (?:unrecognized|argument|the following|invalid|too few)",
        r"Interrupted: \d+ error",
        r"FAIL Required test coverage",
        r"Coverage failure: total",
        r"^fail_under",
        r"async def functions are not natively",
        r"PytestUn\w{1,40}Warning",
    ),
    Rule(
        "doctest",
        Weight.CAUSE,
        r"^Failed example:",
        r"^(?:Expected|Got)(?: nothing)?:$",
        r"^Differences \(",
    ),
    Rule(
        "expectation",
        Weight.CAUSE,
        (
            r"^(?:\s{0,30}|# {1,12}|\[ERROR\]\s{0,6}|\|\s{0,8})?(?:Expected|expected|EXPECTED"
            r"|Actual|actual|ACTUAL|Received|received|Got|got|But was|but was|Expecting|left"
            r"|right|wanted|Wanted|want|With|Value of|Which is|Which|Error|Message|Reason|reason"
            r"|Diff|Difference|found|Found|operator|stack|error|code|message|failureType|at_?|exp"
            r"|act|have)(?: (?:value|string|result|output|equality of these values|nothing|to|but"
            r"|not|\w{1,20} \w{1,20}))?\s{0,10}(?::|=>|<)(?: |$)\s{0,20}(?!\s{0,5}(?:0|ok|none)$)"
        ),
    ),
    Rule(
        "assertion",
        Weight.CAUSE,
        r"(?i)\bassert(?:ion|ionerror|ionfailed\w{0,20})?\b.{0,300}\bfail",
        r"(?i)(?i:assertion) (?:failed|violated|`)",
        r"(?i)AssertionError",
        r"(?i)AssertionFailedError",
        r"(?i)AssertionException",
        r"(?i)ComparisonFailure",
        r"(?i)\bTRAP: ",
        r"(?i)assertion failed",
        r"(?i)ASSERT(?:ION)?(?: FAILED)?:",
        r"(?i)^Bail out!",
        r"(?i)CHECK failed",
        r"(?i)Check failed:",
        (
            r"(?i)should(?:'ve| have)? (?:be|equal|not|eq|contain|match|return|throw"
            r"|raise)\b.{0,150}(?:but|got|was|instead)"
        ),
        (
            r"(?i)expected .{1,200} (?:but (?:got|was|found|is)|to (?:be|equal|eql|have|include"
            r"|contain|match|deeply|throw|not|strictly|exist|raise|return|respond|receive|start"
            r"|end)|got |actual|received |, got)"
        ),
        r"(?i)did not (?:match|equal|raise|contain|throw)\b",
        r"(?i)was not equal to",
        r"(?i)is not equal to",
        r"(?i)does not (?:match|equal|contain)",
        r"(?i)(?:doesn't|don't|didn't) (?:match|equal|contain)",
        r"(?i)Mismatch",
        r"(?i)mismatch(?:ed)?:",
        r"(?i)not equal",
        r"(?i)values? differ",
        r"(?i)(?:Files|files) .{1,200} differ\b",
        r"(?i)^Binary files .{1,200} differ",
        r"(?i)differs? from expected",
        r"(?i)\bNOT EQUAL\b",
        r"(?i)^Only in \S",
    ),
    Rule(
        "gtest",
        Weight.CAUSE,
        r":\d{1,6}: Failure$",
        r"\(\d{1,6}\): error: ",
        r"\(\d{1,6}\): Failure",
        (
            r"^(?:Expected equality|Value of|Death test|C\+\+ exception with|Unexpected mock"
            r"|Actual function call count|Mock function called|.{0,100} Uninteresting)"
        ),
        r"unknown file: Failure",
    ),
    Rule(
        "catch",
        Weight.CAUSE,
        r"^(?:\S{1,200}:\d{1,6}: |\.{0,3})?FAILED:$",
        r"is NOT correct!",
        r"^(?:REQUIRE|CHECK|REQUIRE_\w{1,20}|CHECK_\w{1,20})\( ",
        r"with expansion:",
        r"due to (?:unexpected exception|a fatal error)",
        r"^\S{1,200}:\d{1,6}:[FE]:",
        r"error: in \"",
        r": fatal error in \"",
    ),
    Rule(
        "ctest",
        Weight.CAUSE,
        (
            r"^\s{0,8}\d{1,6} - .{1,200} \((?:Failed|SEGFAULT|Timeout|Not Run|Child aborted"
            r"|Subprocess|ILLEGAL|BAD_COMMAND|NUMERICAL|OTHER_FAULT|Disabled failed)"
        ),
        r"\*{3}(?:Failed|Exception|Timeout|Not Run)",
        r"Could not find executable",
        r"Unable to find executable",
        r"No tests were found",
    ),
    Rule(
        "go-test",
        Weight.CAUSE,
        r"^\S{1,200}_test\.go:\d{1,6}: ",
        r"^panic: ",
        r"\bpanic: (?:test timed out|runtime error|.{1,200})",
        r"^fatal error: ",
        r"WARNING: DATA RACE",
        r"^FAIL\s+\S{1,200} \[(?:build|setup) failed\]",
        r"Error Trace:",
        r"^Error:\s{2,}",
        r"^\s{1,12}Error(?: Trace)?:\s{2,}",
        r"\[recovered\]",
    ),
    Rule(
        "ginkgo",
        Weight.CAUSE,
        r"^\[Fail\] ",
        r"^\s{0,6}\[FAILED\] ",
        r"^• (?:Failure|\[FAILED\])",
        r"^Summarizing \d+ Failure",
        r"^to (?:equal|be|match|contain)\b",
    ),
    Rule(
        "rust-test",
        Weight.CAUSE,
        r"^(?:\s{0,4})?thread '.{1,200}' (?:\(\d{1,10}\) )?(?:panicked at|has overflowed)",
        r"^assertion (?:`|failed|left)",
        r"^(?:\s{1,8})?(?:left|right): `?",
        r"panicked at '",
    ),
    Rule(
        "cargo",
        Weight.CAUSE,
        (
            r"^error: (?:failed to (?:select|parse|resolve|load|get|run custom|download|fetch"
            r"|verify|read)|no matching package|package `|the lock file|linking with|linker `"
            r"|toolchain|component|target|could not find `Cargo)"
        ),
        r"^cargo: ",
        r"^failed to select a version",
        r"is not installed for the toolchain",
        r"candidate versions found which didn't match",
        r"rustc \S{1,20} is not supported",
        r"requires rustc",
    ),
    Rule(
        "junit",
        Weight.CAUSE,
        r"<<< (?:FAILURE|ERROR)!",
        (
            r"^(?:Caused by: |Exception in thread \".{1,80}\" |\[ERROR\]\s{1,8}"
            r"|\s{1,12})?(?:[a-z_][\w$]{0,60}\.){1,9}[A-Z][\w$]{0,90}(?:Exception|Error|Failure"
            r"|Throwable|Failed|NotFound)\w{0,12}(?::|$| )"
        ),
        r"There (?:was|were) \d+ (?:failure|error)",
        r"^\[ERROR\]\s{1,6}(?:\w{1,100}[.:>-]){1,6}.{0,60}:\d{1,6}",
        r"crashed\? VM crashed",
        r"The forked VM terminated",
        r"Exception in thread",
    ),
    Rule(
        "java-cause",
        Weight.CAUSE,
        r"^Caused by: ",
    ),
    Rule(
        "gradle",
        Weight.CAUSE,
        (
            r"^> (?!Task |Configure |Transform )(?:Could not|Cannot|Failed|There were"
            r"|Compilation (?:error|failed)|A problem|Process '|Unable|No |Plugin|Unsupported"
            r"|Timeout|.{0,80}(?:failed|exception|not found|does not|error))"
        ),
        r"^Execution failed for task",
        r"^A problem occurred",
        r"There were failing (?:tests|rules)",
        r"Lint found",
        r"Gradle build daemon disappeared",
        r"Checkstyle rule violations",
        r"PMD rule violations",
        r"SpotBugs",
        r"Daemon .{0,40}expir",
        r"^(?:> )?Could not (?:resolve|determine|compile|GET|create|initialize|dispatch)\b",
    ),
    Rule(
        "gradle-test",
        Weight.CAUSE,
        r"^\S.{0,200} > .{1,200} FAILED$",
    ),
    Rule(
        "maven",
        Weight.CAUSE,
        r"Could not (?:resolve dependencies|transfer artifact|find artifact)",
        r"Non-resolvable",
        r"Failure to (?:find|transfer)",
        r"^Rule \d+: .{1,200} failed",
        r"Failed to execute goal .{0,300}: (?!There are test failures|Compilation failure$)",
        r"Too many files with unapproved",
        r"format violations",
        r"Checksum validation failed",
        (
            r"^\[(?:ERROR|FATAL)\] (?:Failed to execute goal|Plugin|Error resolving|Non-"
            r"|Unknown lifecycle|The goal|'.{1,80}' is missing|Could not|Unresolveable|Malformed"
            r"|Internal error|Error (?:occurred|executing|building)|Source option|Fatal error"
            r"|The project)"
        ),
        r"^\[(?:ERROR|FATAL)\] {1,6}(?:\w{1,100}[.:>#-]){1,6}",
        r"^\[(?:ERROR|FATAL)\] \S{1,200}:\d{1,6}",
    ),
    Rule(
        "ant",
        Weight.CAUSE,
        (
            r"^\[(?:junit|javac|java|exec|ivy:\w{1,20}|testng|checkstyle)\] .{0,200}(?:FAILED"
            r"|error|ERROR|Caused an|Exception|FAILURE)"
        ),
    ),
    Rule(
        "unittest",
        Weight.CAUSE,
        r"^(?:FAIL|ERROR): (?!.{0,5}$)\S",
    ),
    Rule(
        "tap",
        Weight.CAUSE,
        r"^not ok\b(?!.{0,200}# (?:TODO|SKIP|todo|skip))",
        (
            r"^#\s{1,6}(?:Failed test|at \S{1,200} line|Looks like|got:|expected:"
            r"|.{0,20}Structures begin)"
        ),
        r"Dubious, test returned",
        r"No subtests run",
        r"Bad plan",
        r"Non-zero exit status",
        r"Non-zero wait status",
        r"Parse errors:",
    ),
    Rule(
        "lit",
        Weight.CAUSE,
        (
            r"error: (?:CHECK|no expected|expected string not found|'\w{1,20}' diagnostics"
            r"|.{0,60}string (?:found|not found) in input)"
        ),
        r"Exit Code: (?!0\b)",
        r"^Command Output \(stderr\)",
        r"Expected-to-pass",
        r"FileCheck error",
    ),
    Rule(
        "mocha",
        Weight.CAUSE,
        r"^\d{1,4}\) (?!.{0,5}$)\S",
        r"^\s{1,14}\d{1,4}\) \S",
    ),
    Rule(
        "jest",
        Weight.CAUSE,
        r"^\s{0,4}● (?!Console|.{0,3}$)\S",
        r"Snapshot(?: name:| .{0,100}(?:obsolete|failed|mismatch))",
        r"^\s{0,12}✕ ",
        r"^\s{0,14}(?:✗|✖|✘|×|❌) \S",
        r"^\s{0,8}> \d{1,6} \|",
        r"thrown: ",
        r"Exceeded timeout of",
        r"Test suite failed to run",
        r"Your test suite must contain",
        r"threshold for \w{1,20} \(",
        r"does not meet (?:global )?threshold",
        r"not met: ",
    ),
    Rule(
        "karma",
        Weight.CAUSE,
        r"^\s{0,10}(?:Expected|Error:|TypeError|ReferenceError|SyntaxError) .{0,200}",
        r"Disconnected(?:, because|reconnect)",
        r"No captured browser",
        r"Cannot start \w{1,20}",
        r"have not captured in",
        r"Executed \d+ of \d+ .{0,30}(?:FAILED|ERROR|DISCONNECTED)",
    ),
    Rule(
        "javascript",
        Weight.CAUSE,
        (
            r"^\s{0,14}(?:Uncaught |Unhandled |\[?error\]? |ERROR:? |throw new )?(?:Assertion"
            r"|Type|Reference|Syntax|Range|Eval|URI|Internal|Parse|Timeout|Validation|Build"
            r"|Module\w{0,20}|Invariant ?\w{0,20}|Fetch|Mongo\w{0,20})Error\b(?:\s\[\w{1,50}\])?:"
        ),
        r"^\s{0,14}(?:Uncaught |Unhandled )?Error: \S",
        r"Cannot find (?:module|name|type|namespace)",
        r"Module (?:not found|build failed|parse failed)",
        r"Can't resolve '",
        r"UnhandledPromiseRejection",
        r"ERR_[A-Z_]{4,40}",
        r"is not a function",
        r"is not defined",
        r"Cannot read propert",
        r"Unexpected (?:token|identifier|end of)",
        r"has no exported member",
        r"Unsupported engine",
        r"The engine \"",
        r"is not compatible with this",
        r"Found incompatible module",
        r"Your lockfile needs",
        r"ERESOLVE",
        r"Could not resolve dependency",
    ),
    Rule(
        "npm",
        Weight.CAUSE,
        (
            r"^(?:npm|pnpm|yarn)?\s?(?:ERR!|error"
            r"|ERR_PNPM\w{1,40}) (?:code E(?!LIFECYCLE)\w{2,30}|\d{3}\b|404|notarget|enoent"
            r"|network|Missing:|Invalid:|Unsupported|EBADPLATFORM|peer|Cannot|Could not|Refusing"
            r"|missing script|Missing script|Invalid|invalid|Failed|failed|syscall"
            r"|Error: (?!.{0,100}ELIFECYCLE)|self.signed|cb\(\)|[A-Z][a-z]{2,20}Error|Unexpected"
            r"|notsup|No |Package |An unexpected|Couldn't|Your |`)"
        ),
        r"^error (?!Command failed|An error occurred|Command \")[A-Z\"]\S{0,40} ",
        r"ERR_PNPM_\w{3,40}",
        r"^npm error (?:code E|\d{3}|notarget|Missing|Invalid|Could not|peer)",
    ),
    Rule(
        "eslint",
        Weight.CAUSE,
        r"^\d{1,6}:\d{1,5}\s{1,8}(?:error|warning|✖|Error|×)\s{1,4}\S",
        r"^\s{1,8}\d{1,6}:\d{1,5}\s{1,8}(?:error|warning|✖|×)\s{1,4}\S",
        r": line \d{1,6}, col \d{1,5}, ",
        r"^line \d{1,6}\s{1,4}col \d{1,5}\s",
        r"^\S{1,200}\[\d{1,6}, \d{1,5}\]: ",
        r"^(?:ERROR|WARNING): \S{1,200}[:\[]\d{1,6}[:,] ?\d{1,5}\]?",
        r"^\S{1,200}: line \d{1,6}, character",
        r"\(\d{1,6},\d{1,5}\): (?:error|warning|lint)",
        r"problems? \([1-9]\d* errors?",
        r"^\s{0,6}L?\d{1,6} ?\| ",
        r"^.{1,200} at line \d{1,6} col \d",
    ),
    Rule(
        "sanitizer",
        Weight.CAUSE,
        r"==\d{1,10}==\s?(?:ERROR|WARNING|FATAL|HINT): ?\w{0,20}(?:Sanitizer|nterceptor)",
        r"^SUMMARY: \w{2,20}Sanitizer",
        r"runtime error: ",
        r"ThreadSanitizer: ",
        r"LeakSanitizer",
        r"^#\d \S{3,20} in \S",
    ),
    Rule(
        "valgrind",
        Weight.CAUSE,
        (
            r"==\d{1,10}== (?:Invalid |Conditional jump|Use of uninit|Syscall param|Mismatched"
            r"|Process terminating|.{0,40}(?:definitely|indirectly) lost: [1-9])"
        ),
        r"ERROR SUMMARY: [1-9]",
        r"Source and destination overlap",
    ),
    Rule(
        "segfault",
        Weight.CAUSE,
        r"(?i)\bseg(?:mentation)?[ -]?(?:fault|violation|v)\b",
        r"(?i)\bSIG(?:SEGV|ABRT|BUS|ILL|FPE|TRAP|KILL|XCPU|SYS)\b",
        r"(?i)core dumped",
        r"(?i)\bBus error\b",
        r"(?i)Illegal instruction",
        r"(?i)Floating point exception",
        r"(?i)(?:signal|code) (?:4|6|7|8|9|11)\b",
        r"(?i)0x?C0000005",
        r"(?i)STATUS_\w{4,40}",
        r"(?i)access violation",
        r"(?i)unhandled exception",
        r"(?i)EXC_BAD_\w{4,20}",
        r"(?i)EXC_CRASH",
        (
            r"(?i)exit(?:ed)?(?: with)?(?: code| status)?[ :]{1,2}(?:13[24679]|139|-11|-6|-9"
            r"|3221225477|-1073741\d{3})\b"
        ),
    ),
    Rule(
        "abort",
        Weight.CAUSE,
        r"^terminate called",
        r"^\s{0,4}what\(\):",
        r"stack smashing detected",
        r"double free or corruption",
        r"corrupted (?:size|double|unsorted)",
        r"free\(\): invalid",
        r"malloc\(\): ",
        r"munmap_chunk",
        r"libc\+\+abi",
        r"pure virtual method",
        r"stack overflow",
        r"StackOverflow",
        r"Stack overflow",
        r"stack level too deep",
        r"maximum recursion",
        r"terminating (?:with|due)",
        r"A fatal error has been detected by the Java",
        r"Fatal Python error",
        r"^Fatal error: (?:Uncaught|exception)",
        r"Fatal signal",
        r"heap corruption",
        r"buffer overflow detected",
        r"Unhandled exception",
        r"uncaught exception",
        r"Uncaught exception",
        r"Uncaught \w{0,30}Error",
    ),
    Rule(
        "kernel",
        Weight.CAUSE,
        r"Kernel panic",
        r"^(?:\[[ \d.]{3,20}\] )?BUG: ",
        r"Oops: ",
        r"general protection fault",
        r"unable to handle (?:kernel|page)",
        r"^WARNING: (?:CPU|possible|suspicious|modpost|unmet|inconsistent)",
        r"^(?:\[[ \d.]{3,20}\] )?(?:KASAN|KCSAN|UBSAN|INFO): (?:task|rcu|.{0,80}in \w)",
        r"soft lockup",
        r"rcu_\w{3,10} detected",
        r"Unable to mount root",
        r"not syncing",
        r"ERROR: modpost",
        r"section mismatch",
        r"^\*\*\* Configuration file",
        r"has undefined symbol",
        r"DTC_CHK",
        r"^Error: \S{1,150}\.dts\S{0,8}:\d",
        r"FATAL: modpost",
        r"checkpatch",
        r"total: [1-9]\d* errors",
    ),
    Rule(
        "out-of-memory",
        Weight.CAUSE,
        r"(?i)\bout of memory\b",
        r"(?i)cannot allocate memory",
        r"(?i)memory exhausted",
        r"(?i)OutOfMemory",
        r"(?i)\bMemoryError\b",
        r"(?i)std::bad_alloc",
        r"(?i)heap out of memory",
        r"(?i)heap limit",
        r"(?i)insufficient memory",
        r"(?i)oom-?kill",
        r"(?i)killed process \d",
        r"(?i)GC overhead",
        r"(?i)reserve enough space",
        r"(?i)\bENOMEM\b",
        r"(?i)signal Killed",
        r"(?i)Killed signal",
        r"(?i)memory allocation of \d",
        r"(?i)not enough memory",
        r"(?i)Killed: 9",
        r"(?i)OOMKilled",
        r"(?i)compiler is out of heap",
        r"(?i)exceeded memory",
        r"(?i)Allocation failed",
    ),
    Rule(
        "killed",
        Weight.CAUSE,
        r"^(?:\S{0,200}: line \d{1,6}:\s{1,4}\d{1,10} )?(?:Killed|Terminated|Aborted|Hangup)\b",
        r"(?:\s|:)Killed$",
        r"/\S{1,200}: line \d+: +\d+ (?:Killed|Aborted|Terminated|Segmentation|Bus)",
    ),
    Rule(
        "disk",
        Weight.CAUSE,
        r"(?i)no space left on device",
        r"(?i)disk (?:quota|full|is full)",
        r"(?i)quota exceeded",
        r"(?i)\bENOSPC\b",
        r"(?i)not enough (?:free )?(?:disk )?space",
        r"(?i)read-only file system",
        r"(?i)input/output error",
        r"(?i)file ?system (?:is )?full",
        r"(?i)too many open files",
        r"(?i)\bEMFILE\b",
        r"(?i)stale (?:nfs )?file handle",
        r"(?i)device or resource busy",
        r"(?i)structure needs cleaning",
        r"(?i)text file busy",
        r"(?i)ENFILE",
        r"(?i)resource temporarily unavailable",
        r"(?i)unable to fork",
        r"(?i)can't start new thread",
        r"(?i)unable to create (?:new )?(?:native )?thread",
    ),
    Rule(
        "network",
        Weight.CAUSE,
        r"(?i)could ?n(?:o|')t resolve (?:host|proxy|hostname)",
        r"(?i)name resolution",
        r"(?i)nodename nor servname",
        r"(?i)no such host",
        (
            r"(?i)connection (?:refused|reset|timed out|aborted|closed|was (?:closed|aborted"
            r"|reset)|broken|failed)"
        ),
        (
            r"(?i)\bE(?:CONNREFUSED|CONNRESET|TIMEDOUT|NOTFOUND|AI_AGAIN|HOSTUNREACH|PIPE"
            r"|ADDRINUSE|ACCES|PERM|NETUNREACH|SOCKETTIMEDOUT|CONNABORTED)\b"
        ),
        r"(?i)^curl: \(\d",
        r"(?i)curl: \(\d{1,2}\)",
        r"(?i)^wget: ",
        r"(?i)network is unreachable",
        r"(?i)no route to host",
        r"(?i)host is unreachable",
        r"(?i)i/o timeout",
        r"(?i)read timed out",
        r"(?i)connect timed out",
        r"(?i)SSL ?(?:error|certificate|_error|handshake|routines)",
        (
            r"(?i)certificate (?:verify failed|has expired|problem|signed by unknown"
            r"|is not trusted|required)"
        ),
        r"(?i)handshake (?:failure|failed|timeout)",
        r"(?i)x509: ",
        r"(?i)PKIX path",
        r"(?i)too many requests",
        r"(?i)service (?:temporarily )?unavailable",
        r"(?i)bad gateway",
        r"(?i)gateway time-?out",
        r"(?i)internal server error",
        r"(?i)ERROR (?:40\d|410|429|50\d)\b",
        (
            r"(?i)HTTP(?:/[\d.]{1,3})? ?(?:error|status|response|code"
            r"|returned)?:? ?\(?(?:code )?[45]\d\d\b"
        ),
        r"(?i)(?:status|response)(?: code)?:? (?:code )?[45]\d\d\b",
        r"(?i)returned error: [45]\d\d",
        (
            r"(?i)\b[45]\d\d (?:Client Error|Server Error|Not Found|Forbidden|Unauthorized"
            r"|Service|Internal|Bad Gateway|Gateway|Proxy|Too Many)"
        ),
        r"(?i)404 {1,2}Not Found",
        r"(?i)address already in use",
        r"(?i)unexpected (?:eof|disconnect)",
        r"(?i)early EOF",
        r"(?i)broken pipe",
        r"(?i)socket hang up",
        r"(?i)remote end closed",
        r"(?i)transfer closed",
        r"(?i)unable to (?:access|connect|reach|fetch|download|resolve)",
        r"(?i)failed to (?:connect|fetch|download|resolve host)",
        r"(?i)premature(?:ly)? (?:eof|end|close)",
        r"(?i)connect(?:ion)? to .{1,100} failed",
        r"(?i)max retries exceeded",
        r"(?i)peer (?:reset|closed)",
        r"(?i)error in the (?:pull|push) function",
        r"(?i)gnutls_handshake",
        r"(?i)net::ERR_\w{3,40}",
        r"(?i)port is already allocated",
        r"(?i)is not reachable",
        r"(?i)server (?:is not responding|misbehaving|closed)",
        r"(?i)name or service not known$",
        r"(?i)rate limit exceeded|exceeded .{0,30}rate limit",
    ),
    Rule(
        "timeout",
        Weight.CAUSE,
        r"(?i)\btimed[ -]?out\b",
        (
            r"(?i)\btime[ -]?out(?:error|exception)? (?:after|of|expired|exceeded|reached|while"
            r"|waiting|error|was|in\b|\(|:)"
        ),
        r"(?i)\btimeout$",
        r"(?i)^timeout\b",
        r"(?i)deadline exceeded",
        r"(?i)exceeded .{0,60}(?:time ?limit|timeout|maximum (?:time|execution))",
        r"(?i)no output (?:has been )?(?:received|for)",
        r"(?i)took (?:too long|longer than)",
        r"(?i)has been (?:terminated|cancell?ed|killed)",
        r"(?i)maximum execution time",
        r"(?i)(?:job|build|test|step) .{0,40}(?:timed|too long)",
        r"(?i)waited too long",
        r"(?i)gave up (?:waiting|after)",
        r"(?i)still running after",
        r"(?i)did not (?:complete|finish|start|respond|exit|terminate) (?:within|in|after)",
        r"(?i)failed to (?:start|stop|respond) within",
        r"\bTIMEOUT(?:ED)?\b(?!=|_)[:!]? ",
    ),
    Rule(
        "apt",
        Weight.CAUSE,
        r"^E: (?!Sub-process|.{0,5}$)",
        r"Unable to locate package",
        r"has no installation candidate",
        r"Hash Sum mismatch",
        r"but it is not (?:going to be installed|installable)",
        r"but .{1,60} is to be installed",
        r"unmet dependencies",
        r"^dpkg: (?:error|dependency problems|unrecoverable)",
        r"dependency problems prevent",
        r"^dpkg-\w{3,20}: (?:error|warning: .{0,60}(?:disappeared|appeared|new))",
        (
            r"^dh\w{0,24}: (?:error|warning: .{0,60}fail|cannot|missing|.{0,60}(?:aborting|failed"
            r"|not found|missing files))"
        ),
        r"[Uu]nmet build dependencies",
        r"Unsatisfied (?:build )?dependenc",
        r"is not signed",
        r"NO_PUBKEY",
        r"GPG error",
        r"no longer has a Release file",
        r"does not have a Release file",
        r"trying to overwrite",
        r"missing-build-dep",
        r"Some packages could not be",
        r"held broken packages",
        r"some symbols or patterns",
        r"post-installation script",
        r"(?:preinst|postinst|prerm|postrm)\S{0,40} (?:returned|failed)",
        r"E: Sub-process \S+ returned an error code",
    ),
    Rule(
        "rpm",
        Weight.CAUSE,
        r"(?i)nothing provides",
        (
            r"(?i)no (?:matching )?packages? (?:to install|matches|found|available|provides"
            r"|\S{1,80} available)"
        ),
        r"(?i)no match for argument",
        r"(?i)unable to find a match",
        r"(?i)^problem(?: \d{1,3})?: ",
        r"(?i)conflicting requests",
        r"(?i)package .{1,200} (?:requires|conflicts|is filtered|does not|obsoletes) ",
        r"(?i)failed build dependencies",
        r"(?i)is needed by",
        r"(?i)bad exit status from",
        r"(?i)installed \(but unpackaged\)",
        (
            r"(?i)^error: (?:file not found|directory not found|package|bad|failed|line \d|unable"
            r"|.{0,40}spec|installed)"
        ),
        r"(?i)file not found(?: by glob)?: ",
        r"(?i)^RPM build (?:errors|warnings)",
        r"(?i)^have choice for",
        r"(?i)gpg check failed",
        r"(?i)no more mirrors",
        r"(?i)cannot download",
        r"(?i)errors during downloading",
        r"(?i)solution \d: ",
        r"(?i)problem with .{0,40}repo",
        r"(?i)repository .{1,80} is invalid",
        r"(?i)valid metadata not found",
        r"(?i)patch .{0,40}does not apply",
        r"(?i)cannot install",
        r"(?i)requires .{1,120}, but none of the providers",
        r"(?i)none of the providers can be installed",
        r"(?i)has inferior architecture",
        r"(?i)file .{1,200} conflicts (?:with|between)",
        r"(?i)arch dependent binaries in noarch",
        r"(?i)empty %files",
    ),
    Rule(
        "pacman",
        Weight.CAUSE,
        (
            r"^error: (?:target not found|failed (?:to|retrieving)|could not|unresolvable"
            r"|.{0,60}signature)"
        ),
        r"^==> ERROR:",
        r"unable to select packages",
        r"unsatisfiable constraints",
        r"\(no such package\)",
        r"breaks: world",
        (
            r"^ERROR: (?:\S{1,80}: )?(?:package|trying to overwrite|unable|BAD|UNTRUSTED"
            r"|\S{1,60} (?:failed|missing))"
        ),
        r"^>>> ERROR:",
        r"^ \* ERROR: ",
        r"^!!! ",
        r"emerge: there are no",
        r"masked (?:by|packages)",
        (
            r"^error: (?:builder for|attribute|Package|hash mismatch|undefined variable|infinite"
            r"|path|cannot build|getting status|flake)"
        ),
        r"hash mismatch in fixed",
        r"got: {4}sha",
        r"builder for '.{1,200}' failed",
        (
            r"^Error: (?:No available formula|.{1,60} (?:was not|already|failed|is unlinked"
            r"|not found)|Failure|An exception)"
        ),
        r"xcrun: error",
        r"Port .{1,60} (?:not found|failed)",
        r"is not available for",
        r"^===> +\S{1,80} (?:is marked|depends|.{0,60}(?:broken|not found))",
        r"^pkg: ",
        r"^pkg-static: ",
    ),
    Rule(
        "pip",
        Weight.CAUSE,
        (
            r"^(?:ERROR|error): (?:Could not|No matching|Cannot|Failed|Package"
            r"|ResolutionImpossible|.{1,120} (?:requires|has requirement|is not a (?:supported"
            r"|valid)|depends)|Invalid|Command errored|Directory|THESE PACKAGES|To modify|Ignored"
            r"|subprocess-exited|Exception|pip's|externally|Hash|metadata-generation|Can not)"
        ),
        r"No matching distribution",
        r"ResolutionImpossible",
        r"Could not find a version",
        r"ResolvePackageNotFound",
        r"PackagesNotFoundError",
        r"UnsatisfiableError",
        r"CondaHTTPError",
        r"SolverProblemError",
        r"Because .{1,200} depends on",
        r"version solving failed",
        r"No solution found when resolving",
        r"requires a different Python",
        r"requires Python",
        r"error: subprocess-exited",
        r"Microsoft Visual C\+\+ .{0,20}is required",
        r"Failed building wheel",
        r"legacy-install-failure",
        r"error in .{1,60} setup command",
        r"Could not build wheels",
        r"externally-managed",
        r"DistributionNotFound",
        r"VersionConflict",
        r"ContextualVersionConflict",
        r"InvocationError for command",
        r"could not install deps",
        r"× .{1,100}",
    ),
    Rule(
        "gem",
        Weight.CAUSE,
        r"^ERROR: {1,2}(?:Could not|While executing|Error installing|Failed|Loading|Can't)",
        r"^Gem::",
        r"^ERROR:  ",
    ),
    Rule(
        "conan",
        Weight.CAUSE,
        r"^ERROR: .{0,100}(?:Package|Missing|package_id|binary|conanfile|recipe|remote)",
        r"^vcpkg\S{0,10}: error",
        r"^error: (?:building|while|.{0,60}failed with: BUILD)",
    ),
    Rule(
        "git",
        Weight.CAUSE,
        (
            r"^(?:fatal|error): (?!could not compile|aborting|test failed|Bad exit|process|recipe"
            r"|Recipe)\S"
        ),
        (
            r"^remote: (?:error|fatal|ERROR|Permission|Invalid|.{0,60}(?:denied|not found"
            r"|rejected|GH\d{3}|error))"
        ),
        r"^CONFLICT \(",
        r"! \[(?:remote )?rejected\]",
        r"new blank line at EOF",
        r"trailing whitespace",
        r"space before tab in indent",
        r"indent with spaces",
        r"tab in indent",
        r"leftover conflict marker",
        r"Cannot (?:rebase|pull|merge|stash|apply|fast-forward|cherry-pick|save|update)\b",
        r"would be overwritten by",
        r"unstaged changes",
        r"uncommitted changes",
        r"contains uncommitted",
        r"Patch failed at",
        r"Hunk #\d+ FAILED",
        r"hunks? FAILED",
        r"hunks? failed",
        r"^patch: \*{4}",
        r"^\d+ out of \d+ hunk",
        r"patch does not apply",
        r"Reversed \(or previously applied\)",
        r"couldn't find remote ref",
        r"RPC failed",
        r"Host key verification",
        r"Permission denied \(publickey",
        r"Automatic merge failed",
        r"did not match any",
        r"not something we can merge",
        r"reference is not a tree",
        r"not our ref",
        r"You have unmerged",
        r"unmerged files",
        r"Not possible to fast-forward",
        r"refusing to merge",
        r"shallow update",
        r"dubious ownership",
        r"index\.lock",
        r"could not read Username",
        r"Authentication failed",
        r"Repository not found",
        r"unable to checkout",
        r"unknown revision",
        r"bad (?:object|revision)",
        r"detached HEAD .{0,30}fail",
        r"non-fast-forward",
        r"^(?:svn|svnadmin): E\d",
        r"^abort: ",
        r"^bzr: ERROR",
        r"^cvs \[",
        r"^darcs failed",
        r"^Merge conflict",
        r"smudge filter",
        r"object not found",
        r"No such remote",
        r"not a git repository",
        r"stale info",
        r"pre-receive hook declined",
        r"submodule .{0,100}(?:fail|not)",
        r"nothing to commit",
        r"no changes added to commit",
        r"Your branch .{0,40}diverged",
        r"(?:commit|change) message .{0,80}(?:must|should|invalid)",
        r"Missing Signed-off-by",
        r"subject (?:may not|must)",
        r"type (?:may not|must)",
        r"tree is (?:dirty|not clean)",
        r"needs merge",
        r"needs update",
    ),
    Rule(
        "docker",
        Weight.CAUSE,
        r"Error response from daemon",
        r"^docker: ",
        r"manifest (?:unknown|for .{1,150} not found)",
        r"pull access denied",
        (
            r"failed to (?:solve|compute|build|create|start|push|pull|register|load|export"
            r"|read dockerfile|mount|set up|run)\b"
        ),
        r"executor failed running",
        r"Cannot connect to the Docker",
        r"^(?:ERROR: )?unauthorized",
        r"denied: requested",
        r"ErrImage\w{0,10}",
        r"ImagePull\w{0,10}",
        r"CrashLoopBackOff",
        r"toomanyrequests",
        r"no basic auth",
        r"repository .{1,150} not found",
        r"OCI runtime",
        r"no matching manifest",
        r"invalid reference format",
        r"COPY failed",
        r"ADD failed",
        r"dockerfile parse error",
        r"service .{1,80} (?:failed to|refers to|is not healthy|didn't complete)",
        r"container .{0,100}(?:unhealthy|exited|is not running|for service)",
        r"Error: (?:initializing|creating|building|error|INSTALLATION FAILED|UPGRADE FAILED)",
        r"is already in use by container",
        r"did not complete successfully: exit code",
    ),
    Rule(
        "deploy",
        Weight.CAUSE,
        r"^(?:[│|╷] )?Error: \S",
        r"fatal: \[\S{1,100}\]: (?:FAILED|UNREACHABLE)",
        r"^failed: \[",
        r"^\S{1,100}: .{0,60}(?:unreachable|failed)=[1-9]",
        r"Error from server",
        r"error validating",
        r"error: (?:the server|unable|no |timed|deployment|resource)",
        r"UPGRADE FAILED",
    ),
    Rule(
        "database",
        Weight.CAUSE,
        r"\b(?:FATAL|PANIC): {1,2}\S",
        r"ERROR: {2}\S",
        r"^ERROR \d{4} \(",
        r"SQLSTATE",
        r"\[ fail \]",
        r"mysqltest: ",
        r"At line \d+: query",
        r"^query '.{1,200}' failed",
        r"ORA-\d{4,5}",
        r"\bOperationalError",
        r"IntegrityError",
        r"ProgrammingError",
        r"deadlock detected",
        r"syntax error at or near",
        r"relation \".{1,80}\" does not exist",
        r"duplicate key",
        r"Lock wait timeout",
        r"no such (?:table|column)",
        r"database .{1,80} (?:does not exist|is locked)",
        r"psql: ",
        r"regression\.diffs",
    ),
    Rule(
        "sphinx",
        Weight.CAUSE,
        r": (?:WARNING|ERROR|SEVERE|CRITICAL): \S",
        (
            r"^(?:WARNING|ERROR|SEVERE): (?:document isn't|undefined label|unknown document"
            r"|.{0,100}toctree|intersphinx|.{0,60}reference|autodoc|Unexpected|Title|Unknown"
            r"|Inline|Duplicate)"
        ),
        r"^Sphinx error",
        r"^Warning, treated as error",
        r"Extension error",
        r"Configuration error",
        r"Theme error",
        r"Handler <function",
        r"\(WARNING/\d\)",
        r"\(ERROR/\d\)",
        r"\(SEVERE/\d\)",
        r"reference target not found",
        r"Aborted with \d+ (?:warning|Docs)",
        r"rubydoc",
        (
            r": warning: (?:Member|Unsupported|explicit link|unable to resolve|argument"
            r"|The following param|documented symbol|no uniquely)"
        ),
        r"doxygen.{0,40}(?:error|warning)",
    ),
    Rule(
        "python-lint",
        Weight.CAUSE,
        (
            r"^\S{1,200}:\d{1,6}(?::\d{1,5})?:? (?:\[?\(?[A-Z]{1,4}\d{2,5}\]?\)?[: (]"
            r"|\[[a-z-]{3,40}\])"
        ),
        r"^would reformat",
        r"^(?:Oh no|.{0,4}\d+ files? would be (?:reformatted|changed|rewritten))",
        r"Imports are incorrectly sorted",
        r"^Found \d+ errors? in",
        r"^\S{1,200}: note: ",
        r"\d+ files? would be re",
        r"^reformatted \S",
        r"^Files with",
        r"error: Library stubs",
        r"files? (?:need|needs|require) (?:re)?format",
        r"^Unformatted",
        r"^Name +Stmts.{0,40}never",
        (
            r"^\S{1,200}:\d{1,6}: (?:unused|undefined|redefinition|local variable|import|unable|'"
            r"|\")"
        ),
    ),
    Rule(
        "format",
        Weight.CAUSE,
        r"code[ -]?format",
        r"Code style issues",
        r"\[warn\] \S",
        r"not (?:properly |correctly )?formatted",
        r"needs? (?:to be )?formatt",
        r"is not formatted",
        r"^Diff in ",
        r"gofmt",
        r"goimports",
        r"rustfmt",
        r"formatting (?:errors?|issues?|differences|is)",
        r"wrong(?:ly)? (?:format|indent)",
        r"whitespace (?:error|issues)",
        r"style (?:violations?|errors?|issues?|check)",
        r"line (?:is )?too long",
        r"Line \d{1,6} is too long",
        r"exceeds? (?:the )?(?:maximum )?(?:line length|\d{2,4} character)",
        r"newline at end",
        r"No newline",
        r"tabs? (?:found|used)",
        r"coding style",
        r"clang-format.{0,80}(?:fail|differ|violation|error|needed|changes|issue)",
    ),
    Rule(
        "lint",
        Weight.CAUSE,
        (
            r"^\S{1,200}:\d{1,6}(?::\d{1,5})?:? .{3,300}(?:\((?:[\w/-]{2,40})\)"
            r"|\[[\w/:.-]{2,60}\])$"
        ),
        r"\bDL\d{4}\b",
        r"\bMD\d{3}\b",
        r": (?:[EW]): ",
        r"\[-W[a-z]",
        r"License header",
        r"license header",
        r"\[[FRWCD]\] \S",
    ),
    Rule(
        "links",
        Weight.CAUSE,
        r"(?i)broken link",
        r"(?i)\[✖\]",
        r"(?i)dead link",
        r"(?i)^\S{0,4}\s{0,4}http\S{1,300} .{0,20}[45]\d\d",
        r"(?i): 404",
        r"(?i)404 .{0,10}http",
        r"(?i)^\d{1,5}\. (?:\[?L\d|http\S+ \d{3})",
        r"(?i)\[L\d{1,6}\] ",
        r"(?i)external link .{1,200} failed",
        r"(?i)internally linking to",
        r"(?i)internal image",
        r"(?i)linking to internal hash",
        r"(?i)is not an HTTPS",
        r"(?i)does not have (?:an? )?(?:alt|href)",
        r"(?i)issues? :-\(",
        r"(?i)Links? .{0,60}(?:not working|error|fail)",
        r"(?i)URI::Invalid",
        r"(?i)Liquid Exception",
        r"(?i)Liquid syntax",
        r"(?i)htmlproofer \d",
        r"(?i)HTML-Proofer found",
        r"(?i)ran into \d+ errors",
    ),
    Rule(
        "pre-commit",
        Weight.CAUSE,
        r"\.{5,}Failed$",
        r"files were modified by this hook",
        r"^- exit code: [1-9]",
        r"^- hook id: ",
    ),
    Rule(
        "missing",
        Weight.CAUSE,
        r"(?i)no such file or directory",
        r"(?i)\bENOENT\b",
        r"(?i)file not found",
        r"(?i)permission denied",
        r"(?i)operation not permitted",
        r"(?i)access (?:is )?denied",
        r"(?i)not recognized as an? ",
        r"(?i)no module named",
        r"(?i)module not found",
        r"(?i)unrecognized (?:option|command|argument|arguments|import)",
        r"(?i)illegal option",
        (
            r"(?i)missing (?:required|file|argument|option|dependency|key|operand|script|or"
            r"|semicolon)"
        ),
        r"(?i)unsupported (?:class|option|version|platform|architecture|protocol|engine)",
        r"(?i)requires? (?:at least )?version",
        r"(?i)uninitialized (?:constant|value)",
        r"(?i)not (?:declared|defined) in",
        r"(?i)Class .{1,120} not found",
        r"(?i)has not been declared",
        r"(?i)redefinition of",
        r"(?i)previously declared",
    ),
    Rule(
        "checksum",
        Weight.CAUSE,
        (
            r"(?i)(?:sha\d{0,3}|md5|hash)(?:sum)? (?:mismatch|does not match|verification|differs"
            r"|check)"
        ),
        r"(?i)signature (?:verification|check|could not|invalid)",
        r"(?i)BAD signature",
        r"(?i)unexpected end of (?:file|input|archive)",
        r"(?i)not in gzip format",
        r"(?i)invalid (?:zip|tar|magic)",
        r"(?i)crc error",
        (
            r"(?i)\b(?:file|archive|data|image|package|object|cache) .{0,60}\bcorrupt(?:ed)?\b"
            r"|\bcorrupt(?:ed)? (?:file|archive|data|image|package|object|cache)"
        ),
    ),
    Rule(
        "coverage",
        Weight.CAUSE,
        (
            r"(?i)coverage .{0,60}(?:below|less than|decreased|fail|threshold|not met|too low"
            r"|minimum)"
        ),
        r"(?i)(?:below|less than) .{0,40}(?:coverage|threshold)",
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
        r"^Regressions: ",
        r"^Failing test\(s\):",
        r"^The following tests FAILED",
        r"^Failed Tests \(\d",
        r"^Unexpected (?:Failing|Passing) Tests",
        r"^FAILED TEST SUMMARY",
        r"^\d+ tests? failed(?: unexpectedly)?:$",
        r"^Failing tests?:",
        (
            r"^(?:\d{1,4}\) )?(?:Errors?|Failures?|FAIL|FAILURE|ERROR|Failed tests|Tests in error"
            r"|Failed checks)\s?:$"
        ),
        r"^(?:Error|Failure|FAIL):$",
        r"^\d{1,4}\) (?:Error|Failure):",
        r"^Failed \d+ tests!!",
        leads=3,
    ),
    Rule(
        "pytest-test",
        Weight.TEST,
        r"^(?:FAILED|ERROR) \S{1,300}",
        r"^_{3,} .{1,200} _{3,}",
        r"\b(?:FAILED|ERROR) {1,8}\[ {0,2}\d{1,3}%\]",
        r"^\S{1,200}::\S{1,200} (?:FAILED|ERROR)",
    ),
    Rule(
        "unittest-test",
        Weight.TEST,
        r"\.{3} (?:FAIL|ERROR)$",
        r"^(?:FAIL|ERROR): ",
    ),
    Rule(
        "trial-test",
        Weight.TEST,
        r"^\[(?:FAIL|ERROR)\]$",
        r"\.{3,} {0,4}\[(?:FAIL|ERROR)\]",
    ),
    Rule(
        "gtest-test",
        Weight.TEST,
        r"^\[  FAILED  \] (?!\d+ tests?)\S",
    ),
    Rule(
        "go-test-name",
        Weight.TEST,
        r"^\s{0,8}--- FAIL: ",
        r"^FAIL: \S",
        r"^FAIL\t\S",
    ),
    Rule(
        "rust-test-name",
        Weight.TEST,
        r"^test .{1,200} \.\.\. FAILED",
        r"^---- .{1,200} stdout ----",
        r"^\s{0,10}(?:FAIL|SIGNAL|TIMEOUT|SIGABRT|SIGSEGV) \[ {0,6}[\d.]{1,10}s\]",
    ),
    Rule(
        "automake-test",
        Weight.TEST,
        r"^(?:FAIL|XPASS|TIMEOUT|UNRESOLVED|UNEXPECTED|ERROR|NOTRUN|Fail|F)(?::|\s{2,})\s?\S",
        r"^# (?:FAIL|ERROR|XPASS): +[1-9]",
    ),
    Rule(
        "junit-test",
        Weight.TEST,
        (
            r"^(?:Tests run: .{0,60}(?:Failures: [1-9]|Errors: [1-9])|Failed tests:"
            r"|Tests in error:)"
        ),
        r"^\[ERROR\] Tests run: ",
        r"^Test \S{1,200} FAILED",
    ),
    Rule(
        "other-test",
        Weight.TEST,
        (
            r"^(?:✗|✖|✘|×|❌|✕|\[FAIL\]|\[FAILED\]|\[ FAIL \]|\[fail\]|\(FAIL\)|FAIL\b|Failed\b"
            r"|FAILED\b|FAILURE\b)[ :]\s{0,6}\S"
        ),
        r"\[FAIL\]$",
        r"\*{2,3} ?FAILED ?\*{2,3}",
        r"\*{3} FAILED",
        r"\bFAIL(?:ED|URE)?!?(?: +\[? ?[\d.]{1,8} ?m?s\]?)?$",
        r"^\S.{0,150}\.{2,}\s?(?:FAIL(?:ED)?|failed|Failed|ERROR|not ok|NOT OK)\b",
        r"^rspec \.?/?\S",
        r"^\s{0,6}Failed {2,}\S",
        r"Failing Scenarios",
        r"^cucumber \S",
        r"^# FAIL",
        r"\| FAIL \|",
        r"\bFAILED\b(?!=0)",
        r"<failure",
        r"<error",
        r"^Test failed",
        r"TEST FAILED",
        r"Fail \(",
        r"\bFAILED$",
        r"\[ (?:Failure|Timeout|Crash|Text|ImageOnlyFailure|Missing)[\w ]{0,20}\]$",
        r"failed unexpectedly",
        r"^\S.{0,200} (?:FAIL|FAILED|failed)\*?$",
        r"^test .{1,100} \.{2,} ?FAILED",
    ),
)

HINTS = (
    Rule(
        "python-traceback",
        Weight.HINT,
        r"^(?:\s{0,8}|[|+] {0,6})?Traceback \(most recent call last\)",
        r"^Stack trace",
        r"^Backtrace:",
        r"^Call Trace:",
        r"^Stack:$",
    ),
    Rule(
        "make-error",
        Weight.HINT,
        r"\*\*\* \[.{1,200}\] Error \d",
        r"^ninja: build stopped",
        r"^FAILED: \S",
    ),
    Rule(
        "error",
        Weight.HINT,
        (
            r"(?:^|[\s:\[(!>*|])(?:ERROR|Error|error|FATAL|Fatal|fatal|CRITICAL|SEVERE|PANIC"
            r"|E)\]?\s?(?::|-|!|\)|>|=>)\s{0,4}\S"
        ),
        r"##\[error\]",
        r"^(?:ERROR|FATAL|CRITICAL|SEVERE|error|Error|ERR!)\b",
        r"\[(?:ERROR|FATAL|SEVERE|CRITICAL|error|fatal|err|E)\]",
        r"^::error",
        r"\blevel=(?:error|fatal)",
        r"\[stderr\].{0,80}(?i:error|fail)",
    ),
    Rule(
        "exception",
        Weight.HINT,
        r"\b\w{1,80}(?:Exception|Error)\b(?:: |$|\()",
    ),
    Rule(
        "warning",
        Weight.HINT,
        r"^(?:\S{1,200}: )?(?:WARNING|Warning|warning|WARN|\[WARN(?:ING)?\]|W)[:\]!] ?\S",
        (
            r"^\S{1,200}:\d{1,6}(?::\d{1,5})?: (?:warning|style|performance|portability"
            r"|information|convention|refactor|lint|Warning): "
        ),
        r"^[EWF]: \S{1,80}: ",
        r"^(?:Over|Under)full \\[hv]box",
        r"^LaTeX Warning: ",
    ),
    Rule(
        "missing-thing",
        Weight.HINT,
        (
            r"(?i)\b(?:can ?not|can't|could ?n(?:o|')t|unable to|failed to) (?:open|find|stat"
            r"|access|load|locate|read|create|execute|import|parse|compile|build|install|apply"
            r"|write|start|run|connect|resolve|download|fetch|get|link|delete|remove|set"
            r"|determine|satisfy|complete|initialize|allocate|verify|process|checkout|clone|push"
            r"|pull|merge)\b"
        ),
        r"(?i)does(?:n't| not) exist\b",
        (
            r"(?i)\bno such (?:module|option|command|target|user|process|container|image|task"
            r"|package|remote|table|column|host|key)\b"
        ),
        (
            r"(?i)\bunknown (?:option|command|argument|flag|type|task|target|key|directive|module"
            r"|test|variable|revision|property|parameter|identifier|warning option)\b"
        ),
        (
            r"(?i)\binvalid (?:option|argument|command|syntax|value|configuration|reference"
            r"|character|key|json|yaml|config|number|input|format|type|token)\b"
        ),
        (
            r"(?i)\bundefined (?:method|variable|local|index|function|constant|offset|name"
            r"|macro)\b"
        ),
        r"(?i)\bversion .{1,60} (?:is required|not (?:found|supported)|too (?:old|new))\b",
        (
            r"(?i)\bis (?:too old|not supported|no longer supported|not set|not defined"
            r"|not installed|out of date|not allowed|required but)\b"
        ),
        r"(?i)\bare not allowed\b",
        r"(?i)\b(?:forbidden|prohibited|disallowed)\b",
        r"(?i)^usage: ",
        r"(?i)\bmust (?:not )?be\b",
        r"(?i)\bno .{1,60} found\b",
        r"(?i)\balready (?:exists|defined|declared)\b",
        (
            r"(?i)\bplease (?:run|rebuild|update|fix|commit|install|regenerate|add|use|make sure"
            r"|re-run|format)\b"
        ),
        r"(?i)\bfound \d+ (?:errors?|problems?|issues?|violations?|offenses?)\b",
        r"(?i)\bspelling|\bmisspell|\btypo",
    ),
    Rule(
        "file-line",
        Weight.HINT,
        r"""^\(?(?:\./)?[\w./@+-]{1,200}\.[A-Za-z]{1,9}\)?:\d{1,6}(?::\d{1,5})?: ?[A-Za-z'\"`]""",
        (
            r"^\S{1,200}\.\w{1,8}(?:\(\d{1,6}(?:,\d{1,5})?\)|, line \d{1,6}"
            r"|:\d{1,6}):? .{0,200}(?i:error|fail|expected|invalid|unexpected|should|must|missing"
            r"|too|not )"
        ),
        r"\bat line \d{1,6},? column \d{1,5}",
        r"\(line \d{1,6}(?:, column \d{1,5})?\)",
    ),
    Rule(
        "diff",
        Weight.HINT,
        r"^@@ .{1,80} @@|^@@$",
        r"^(?:--- |\+\+\+ |\*\*\* )(?:a/|b/|\S{1,200}\s|(?i:expected|actual|got))",
        r"^(?:diff|Only in|Index:) \S",
        r"^\d{3,4}[+-] ",
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
        (
            r"^\[(?:ERROR|FATAL)\] (?!.{0,3}$|Tests run"
            r"|Failed to execute goal .{0,200}(?:There are test failures|Compilation failure"
            r"|There was a timeout)|COMPILATION ERROR|Failures:|Errors:|Failed tests|mvn <"
            r"|Please refer|There are test failures|Tests in error)\S?"
        ),
    ),
)

SIGNS = (
    Rule(
        "word",
        Weight.SIGN,
        (
            r"(?i)\b(?:fail(?:ed|ure|ures|s|ing)?|errors?|fatal|panic|crash(?:ed)?|abort(?:ed"
            r"|ing)?|unable|cannot|can't|couldn't|could not|invalid|illegal|unexpected|mismatch"
            r"|missing|denied|refused|unsupported|undefined|unresolved|unknown|not found"
            r"|not supported|no such|violat\w{1,6}|conflict\w{0,4}|broken|exceed\w{0,3}"
            r"|reject\w{0,3}|bad|incorrect|incompatible|wrong|corrupt\w{0,3}|exhausted|lost"
            r"|leak\w{0,3}|deadlock|differ(?:s|ent)?|not allowed|unmet|required|does not|doesn't"
            r"|do not match|is not|not a|must|should be|should have)\b"
        ),
    ),
)

RULES = (*NOISE, *CONSEQUENCES, *CAUSES, *TESTS, *HINTS, *SIGNS)


@cache
def standard_book() -> RuleBook:
    """Return the book of these rules; the first time it takes half a second to compile them."""
    return RuleBook(RULES)
