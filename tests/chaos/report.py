"""The outcomes of all cases as a Markdown table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from chaos.scene import Outcome

COLUMNS = (
    "case",
    "result",
    "lost",
    "starts not sent",
    "out of order",
    "wrong result",
    "wrong on the board",
    "duplicates",
    "drained after",
    "stop",
)
COUNTED = 6
"""How many columns count something."""
EXPLANATION = """\
A real Buildbot master, receiver and board, each a process of its own. After each case, what the
receiver accepted and the board shows is compared with the master's database:

- **lost**: statuses that should have been accepted and were not; never a finish;
- **starts not sent**: starts that the receiver did not accept, of builds whose finish it did;
- **out of order**: a start after its finish, or a status after one of a later build of its request;
- **wrong result**: builds whose last accepted status differs from their result;
- **wrong on the board**: builds that the board shows otherwise than the master's database, and its
  messages about incidents that were lost, made twice or sent out of order;
- **duplicates**: POSTs of a delivery that had been accepted before; without a cause, a failure;
- **drained after**: seconds from the receiver's return until nothing was pending, at most 60;
- **stop**: seconds from the end of the last build to the end of the master's process, at most 5.

The notes have the causes, and each delivery's state.
"""


@frozen
class Report:
    """What one case came to.

    Args:
        case: Its name.
        outcome: What came out, None where it did not come to its end.
        trouble: Why it could not be run, or not to its end.
        failed: Whether that is a failure, and not just impossible here.
    """

    case: str
    outcome: Outcome | None
    trouble: str = ""
    failed: bool = False

    @property
    def faults(self) -> list[str]:
        """Return what must not be, in words."""
        found = self.outcome.faults if self.outcome else []
        return [*found, *([self.trouble] if self.failed else [])]

    @property
    def result(self) -> str:
        """The result in a word or two."""
        if self.faults:
            return "**failed**"
        return f"not run: {self.trouble}" if self.trouble else "passed"


def to_markdown(
    reports: Sequence[Report], seed: int, surroundings: Mapping[str, str], seconds: float
) -> str:
    """Return the page with the table.

    Args:
        reports: What came out, case by case.
        seed: The seed of all chance.
        surroundings: What it ran on and with, and in which version.
        seconds: How long it took.
    """
    versions = ", ".join(f"{name} {version}" for name, version in surroundings.items())
    return "\n".join(
        [
            "# Results of the fault suite",
            "",
            f"Written by `tox -e chaos`. Seed {seed}, {seconds / 60:.0f} minutes, {versions}.",
            "",
            EXPLANATION,
            _line(COLUMNS),
            _line(["---"] * len(COLUMNS)),
            *(_line(_cells(report)) for report in reports),
            _line(_totals(reports)),
            "",
            "## Notes",
            "",
            *map(_note, reports),
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(report: Report) -> list[str]:
    name = report.case.replace("_", " ")
    if report.outcome is None:
        return [name, report.result, *[""] * (len(COLUMNS) - 2)]
    outcome = report.outcome
    return [
        name,
        report.result,
        *map(str, _counts(outcome)),
        ", ".join(f"{each:.0f} s" for each in outcome.through),
        f"{_slowest_stop(outcome):.1f} s",
    ]


def _counts(outcome: Outcome) -> list[int]:
    """Return the numbers of the columns from "lost" to "duplicates"."""
    finding = outcome.finding
    return [
        len(finding.missing),
        len(finding.unbegun) + len(finding.superseded),
        len(finding.late),
        len(finding.wrong),
        len(outcome.misshown),
        sum(finding.duplicates.values()) + len(finding.unexplained),
    ]


def _slowest_stop(outcome: Outcome) -> float:
    return max((each.services for each in outcome.stops), default=0.0)


def _totals(reports: Sequence[Report]) -> list[str]:
    outcomes = [report.outcome for report in reports if report.outcome is not None]
    none = [0] * COUNTED
    counts = [sum(column) for column in zip(none, *map(_counts, outcomes), strict=True)]
    slowest = max((each for outcome in outcomes for each in outcome.through), default=0.0)
    return [
        f"all, {sum(outcome.builds for outcome in outcomes):,} builds",
        f"{sum(report.result == 'passed' for report in reports)} of {len(reports)} passed",
        *(f"{count:,}" for count in counts),
        f"{slowest:.0f} s at most",
        f"{max(map(_slowest_stop, outcomes), default=0.0):.1f} s at most",
    ]


def _note(report: Report) -> str:
    name = report.case.replace("_", " ")
    if report.outcome is None:
        return f"- **{name}**: {report.result}."
    outcome = report.outcome
    facts = [
        f"{outcome.builds} builds",
        f"{outcome.accepted} POSTs accepted",
        f"accounts {outcome.accounts}",
    ]
    return f"- **{name}**: {'; '.join([*facts, *_remarks(outcome)])}."


def _remarks(outcome: Outcome) -> list[str]:
    finding = outcome.finding
    counted = {
        "held as they should be": finding.held,
        "starts superseded by their finish": finding.superseded,
        "starts of finished builds that no event or scan found": finding.unbegun,
        "out of order since the receiver had rejected them, or not answered the later one":
            finding.excused,
        "duplicates without a cause": finding.unexplained,
    }  # fmt: skip
    waited = [] if outcome.wait is None else [f"a status waited {outcome.wait:.1f} s at most"]
    behind = [] if outcome.lag is None else [f"a browser was {outcome.lag:.1f} s behind at most"]
    twice = [f"duplicates: {count} {cause}" for cause, count in finding.duplicates.items()]
    remarks = [f"{len(found)} {words}" for words, found in counted.items() if found]
    return [*waited, *behind, *twice, *remarks]
