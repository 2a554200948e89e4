"""Tells the outcomes of all cases as a Markdown table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from chaos.scene import Outcome

COLUMNS = (
    "case",
    "builds",
    "POSTs accepted",
    "lost",
    "out of order",
    "wrong final state",
    "sent twice, and why",
    "through after",
    "stop",
    "accounts",
    "remarks",
    "result",
)
EXPLANATION = """\
A real Buildbot master and a real receiver, each a process of its own. After each case, what the
receiver wrote down is held against the master's database:

- **lost**: a status that was not accepted when all was over;
- **out of order**: a start that came after its build's finish, or a status that came after one of
  a later build of the same build request;
- **wrong final state**: a build whose last accepted status is not how it ended;
- **sent twice**: POSTs of a delivery that had been accepted before. A receiver knows them by their
  `webhook-id`. One without a cause is a failure;
- **through after**: seconds from the receiver's return until nothing waited any more, at most 60;
- **stop**: seconds from the end of the last build to the end of the master's process, of the
  slowest stop, at most 5;
- **accounts**: every delivery that was ever produced, and the state that it is in.
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
        """Say in a word or two how it went."""
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
            "# What came out of the faults made on purpose",
            "",
            f"Written by `tox -e chaos`. Seed {seed}, {seconds / 60:.0f} minutes, {versions}.",
            "",
            EXPLANATION,
            _line(COLUMNS),
            _line(["---"] * len(COLUMNS)),
            *(_line(_cells(report)) for report in reports),
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(report: Report) -> list[str]:
    name = report.case.replace("_", " ")
    if report.outcome is None:
        return [name, *[""] * (len(COLUMNS) - 2), report.result]
    outcome, finding = report.outcome, report.outcome.finding
    twice = [f"{count} {cause}" for cause, count in finding.duplicates.items()]
    twice += [f"{len(finding.unexplained)} without a cause"] if finding.unexplained else []
    return [
        name,
        str(outcome.builds),
        str(outcome.accepted),
        str(len(finding.missing)),
        str(len(finding.late)),
        str(len(finding.wrong)),
        ", ".join(twice) or "0",
        ", ".join(f"{each:.0f} s" for each in outcome.through),
        f"{max((each.services for each in outcome.stops), default=0):.1f} s",
        str(outcome.accounts),
        "; ".join(_remarks(outcome)),
        report.result,
    ]


def _remarks(outcome: Outcome) -> list[str]:
    finding = outcome.finding
    counted = {
        "held as they should be": finding.held,
        "starts superseded by their finish": finding.superseded,
        "starts of ended builds that nothing knew of": finding.unbegun,
        "late because the receiver had refused them, or not answered the later one":
            finding.excused,
    }  # fmt: skip
    waited = [] if outcome.wait is None else [f"others waited {outcome.wait:.1f} s at most"]
    return [*waited, *(f"{len(found)} {words}" for words, found in counted.items() if found)]
