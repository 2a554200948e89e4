"""Whether a branch may be released: rules that people have written down, and what they make of it.

Pure. Knows no file and no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from attrs import frozen

from buildbot_http_status_push.board.filters import name_fits
from buildbot_http_status_push.board.model import Build, Builder, Filter
from buildbot_http_status_push.board.toml_files import FileFault, check_keys, text_of, texts_of
from buildbot_http_status_push.board.verdicts.revision import KINDS, BuilderVerdict
from buildbot_http_status_push.results import RETRY, WARNINGS

MOST = 50
"""The most verdicts of a file, and the most groups of a verdict."""
RULE_KEYS = ("name", "branch", "master", "codebase", "judge", "warnings", "no_result", "group")
GROUP_KEYS = ("title", "tags", "builders", "red")
JUDGED = ("revision", "builders")
"""What is judged: the branch's newest revision, or each builder's last judgement."""
REDS = ("blocks", "known", "concern", "allowed")
"""What a red builder of a group means.

- blocks: the branch is not releasable.
- known: likewise, unless it is red for known reasons only, which is a concern.
- concern: it is named, and the branch is releasable.
- allowed: nothing; nor is the builder waited for.
"""
NO_RESULTS = ("pending", "red", "allowed")
"""What a build means that ended without judging, or a builder that never judged."""
STATES = {"not releasable": "✗", "pending": "…", "releasable": "✓"}
"""What a verdict may be, with a sign for it."""


@frozen(kw_only=True)
class Group:
    """Builders of which the same is required.

    Args:
        title: What they are called.
        tags: Tags of which a builder must have all.
        builders: Globs of names, of which one must fit; empty for all.
        red: One of ``REDS``.
    """

    title: str
    tags: frozenset[str] = frozenset()
    builders: tuple[str, ...] = ()
    red: str = "blocks"

    def has(self, builder: Builder) -> bool:
        """Return whether a builder is of the group, if it is of none before."""
        is_named = any(name_fits(each, builder.name) for each in self.builders)
        return self.tags.issubset(builder.tags) and (is_named or not self.builders)


@frozen(kw_only=True)
class Rule:
    """What must be so that a branch is releasable.

    Args:
        name: The verdict's name.
        branch: The branch.
        master: The master whose builders count, None for all.
        codebase: The codebase whose newest revision is judged, None for any.
        judge: One of ``JUDGED``.
        warnings: Whether a build with warnings is ``green`` or ``red``.
        no_result: One of ``NO_RESULTS``.
        groups: The groups; a builder is of the first one that has it.
    """

    name: str
    branch: str
    master: str | None = None
    codebase: str | None = None
    judge: str = JUDGED[0]
    warnings: str = "green"
    no_result: str = NO_RESULTS[0]
    groups: tuple[Group, ...] = ()

    @property
    def chosen(self) -> Filter:
        """The builders that may count."""
        return Filter(master=self.master)


def rules_of(content: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Return the rules that a file says.

    Raises:
        FileFault: A key is missing, unknown, or has a value that it can't have.
    """
    check_keys(content, ("verdict",))
    tables = _tables("verdict", content.get("verdict"))
    if not tables:
        raise FileFault('verdict: must be given, e.g. [[verdict]] and name = "main"')
    rules: list[Rule] = []
    groups = count(1)
    for number, table in enumerate(tables, 1):
        try:
            rules.append(_rule(table, groups))
        except FileFault as fault:
            raise fault if fault.table else fault.within("verdict", number) from None
        name = rules[-1].name
        if any(each.name == name for each in rules[:-1]):
            twice = FileFault(f"name is {name!r}: must be another than that of the others")
            raise twice.within("verdict", number)
    return tuple(rules)


def _rule(table: Mapping[str, Any], numbers: Iterator[int]) -> Rule:
    check_keys(table, RULE_KEYS)
    name = text_of("name", table.get("name"))
    if name is None:
        raise FileFault('name: must be given, e.g. name = "main"')
    tables = _tables("group", table.get("group"))
    if not tables:
        raise FileFault('group: must be given, e.g. [[verdict.group]] and title = "stable"')
    groups: list[Group] = []
    for each, number in zip(tables, numbers, strict=False):
        try:
            groups.append(_group(each))
        except FileFault as fault:
            raise fault.within("verdict.group", number) from None
    return Rule(
        name=name,
        branch=text_of("branch", table.get("branch")) or name,
        master=text_of("master", table.get("master")),
        codebase=text_of("codebase", table.get("codebase")),
        judge=_one_of("judge", table.get("judge"), JUDGED),
        warnings=_one_of("warnings", table.get("warnings"), ("green", "red")),
        no_result=_one_of("no_result", table.get("no_result"), NO_RESULTS),
        groups=tuple(groups),
    )


def _group(table: Mapping[str, Any]) -> Group:
    check_keys(table, GROUP_KEYS)
    title = text_of("title", table.get("title"))
    if title is None:
        raise FileFault('title: must be given, e.g. title = "stable"')
    return Group(
        title=title,
        tags=frozenset(texts_of("tags", table.get("tags"))),
        builders=texts_of("builders", table.get("builders")),
        red=_one_of("red", table.get("red"), REDS),
    )


def _tables(key: str, value: object) -> list[Mapping[str, Any]]:
    given = [] if value is None else value
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise FileFault(f"{key} is {value!r:.60}: must be tables, each under [[…{key}]]")
    if len(given) > MOST:
        raise FileFault(f"{key} has {len(given)} tables: must have at most {MOST}")
    return given


def _one_of(key: str, value: object, allowed: Sequence[str]) -> str:
    if value is None:
        return allowed[0]
    if value not in allowed:
        raise FileFault(f"{key} is {value!r:.60}: must be one of {', '.join(allowed)}")
    return str(value)


@frozen(kw_only=True)
class Ground:
    """A builder that stands in the way of a release, or that is of concern.

    Args:
        weight: ``blocks``, ``pending`` or ``concern``.
        group: The group's title, None for all.
        builder: The builder, None where there is none.
        build: Its build, where there is one.
        words: What is so.
    """

    weight: str
    group: str | None
    builder: Builder | None
    build: Build | None
    words: str


WEIGHTS = ("blocks", "pending", "concern")
"""In which order grounds are named."""


@frozen(kw_only=True)
class BranchVerdict:
    """Whether a branch may be released.

    Args:
        rule: The rule.
        revision: The revision that is judged, None where each builder's last judgement counts, or
            where none is known.
        grounds: What stands in the way, then what is of concern.
        count: How many builders there are in groups.
    """

    rule: Rule
    revision: str | None
    grounds: tuple[Ground, ...]
    count: int

    @property
    def state(self) -> str:
        """One of ``STATES``."""
        weights = {each.weight for each in self.grounds}
        if "blocks" in weights:
            return "not releasable"
        return "pending" if "pending" in weights else "releasable"

    @property
    def reasons(self) -> tuple[Ground, ...]:
        """The grounds that are why it is not releasable, or not yet."""
        weight = {"not releasable": "blocks", "pending": "pending"}.get(self.state)
        return tuple(each for each in self.grounds if each.weight == weight)

    @property
    def concerns(self) -> tuple[Ground, ...]:
        """What is of concern."""
        return tuple(each for each in self.grounds if each.weight == "concern")


def judged(
    rule: Rule,
    builders: Iterable[Builder],
    verdicts: Mapping[int, BuilderVerdict],
    revision: str | None = None,
) -> BranchVerdict:
    """Return the verdict of a rule."""
    by_group: dict[int, list[Builder]] = {place: [] for place, _ in enumerate(rule.groups)}
    for builder in builders:
        place = next((at for at, each in enumerate(rule.groups) if each.has(builder)), None)
        if place is not None:
            by_group[place].append(builder)
    grounds = [
        ground
        for place, some in by_group.items()
        for builder in some
        for ground in _grounds(rule, rule.groups[place], builder, verdicts.get(builder.id))
    ]
    fitting = [builder for some in by_group.values() for builder in some]
    if not any(builder.id in verdicts for builder in fitting):
        words = "nothing has been built" if fitting else "no builder fits the groups"
        nothing = Ground(weight="pending", group=None, builder=None, build=None, words=words)
        grounds.append(nothing)
    return BranchVerdict(
        rule=rule,
        revision=revision,
        grounds=tuple(sorted(grounds, key=lambda each: WEIGHTS.index(each.weight))),
        count=len(fitting),
    )


def _grounds(
    rule: Rule, group: Group, builder: Builder, verdict: BuilderVerdict | None
) -> Iterator[Ground]:
    light = _light(rule, verdict)
    weight = _weight(group.red, light)
    if weight is not None:
        build = verdict.build if verdict else None
        words = KINDS[verdict.kind] if verdict else "not built yet"
        if verdict and verdict.kind == "good":  # with warnings, which the rule takes for red
            words = "warnings"
        yield Ground(weight=weight, group=group.title, builder=builder, build=build, words=words)


def _weight(red: str, light: str) -> str | None:
    """Return what a builder's light means in a group, None where nothing is to be said."""
    if red == "allowed" or light == "green":
        return None
    if light == "pending":
        return "pending"
    return "concern" if red == "concern" or (red == light == "known") else "blocks"


def _light(rule: Rule, verdict: BuilderVerdict | None) -> str:
    """Return ``green``, ``red``, ``known`` or ``pending``."""
    without = {"pending": "pending", "red": "red", "allowed": "green"}[rule.no_result]
    if verdict is None:
        return "pending" if rule.judge == "revision" else without
    if verdict.kind == "no result":
        return without
    build = verdict.build
    if verdict.kind in ("waiting", "running"):
        is_retry = build is not None and build.results == RETRY
        return "red" if is_retry and rule.no_result == "red" else "pending"
    if verdict.kind == "good":
        is_red = rule.warnings == "red" and build is not None and build.results == WARNINGS
        return "red" if is_red else "green"
    return "known" if verdict.kind == "known" else "red"
