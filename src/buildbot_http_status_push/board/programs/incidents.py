"""Incidents as programs read them: JSON, and a feed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from buildbot_http_status_push.board.http.documents import Document
from buildbot_http_status_push.board.incidents.incident import (
    Incident,
    IncidentBuild,
    IncidentReason,
    Place,
    Step,
)
from buildbot_http_status_push.board.incidents.words import ended, headline, whereabouts
from buildbot_http_status_push.board.pages.wording import iso
from buildbot_http_status_push.board.programs.feed import ATOM, ATOM_TYPE, link
from buildbot_http_status_push.board.programs.xml_text import xml

PLACES = 500
"""How many builders of an incident are listed."""


def incident_json(found: Incident) -> dict[str, Any]:
    """Return an incident's public form."""
    suspects, claim = found.suspects, found.claim
    return {
        "id": found.id,
        "kind": found.kind,
        "title": headline(found),
        "master": found.cluster,
        "branch": found.branch,
        "cause": found.cause,
        "opened_at": found.opened_at,
        "over_at": found.over_at,
        "closed_at": found.closed_at,
        "endings": sorted(found.endings),
        "builders": len(found.places),
        "places": [_place(each) for each in found.places[:PLACES]],
        "reasons": [_reason(each) for each in found.reasons],
        "suspects": {
            "count": suspects.count,
            "nothing_changed": suspects.is_unchanged,
            "changes": [
                {
                    "id": each.id,
                    "author": each.author,
                    "comment": each.comment,
                    "revision": each.revision,
                    "url": each.url,
                }
                for each in suspects.changes
            ],
        },
        "claim": claim and {"by": claim.by, "at": claim.at, "note": claim.note, "link": claim.link},
        "muted_until": found.muted_until,
        "covers": list(found.covers),
        "covered_by": found.covered_by,
        "merged_into": found.merged_into,
        "first_start": found.is_first_start,
    }


def step_json(step: Step) -> dict[str, Any]:
    """Return the public form of a step of an incident's life."""
    return {
        "number": step.number,
        "kind": step.kind,
        "at": step.at,
        "builder": step.builder,
        "about": step.about,
        "by": step.by,
    }


def feed(
    found: Sequence[Incident], address: str, epoch: str, *, has_several_masters: bool
) -> Document:
    """Return a feed of incidents."""
    root = ElementTree.Element("feed", {"xmlns": ATOM})
    itself = f"urn:buildbot-http-status-push:board:{epoch}:incidents"
    _add(root, {"id": itself, "title": "Incidents", "updated": iso(_updated(found))})
    link(root, f"{address}incidents.atom", "self", "application/atom+xml")
    link(root, f"{address}incidents", "alternate", "text/html")
    _add(ElementTree.SubElement(root, "author"), {"name": "Buildbot"})
    for each in found:
        entry = ElementTree.SubElement(root, "entry")
        is_over = each.closed_at is not None
        title = f"{'Closed' if is_over else 'Open'}: {headline(each)} on {whereabouts(each)}"
        title += f" ({each.cluster})" if has_several_masters else ""
        summary = ended(each) if is_over else f"since {iso(each.opened_at)}"
        about = {
            "id": f"{itself}:{each.id}",
            "title": title,
            "updated": iso(_updated([each])),
            "summary": summary,
        }
        _add(entry, about)
        link(entry, f"{address}incidents/{each.id}", "alternate", "text/html")
    return Document(body=xml(root), content_type=ATOM_TYPE)


def _place(place: Place) -> dict[str, Any]:
    return {
        "builder": place.builder,
        "name": place.builder_name,
        "branch": place.branch,
        "step": place.step,
        "worker": place.worker,
        "since": place.since,
        "in_a_row": place.bad,
        "was_good": place.was_good,
        "masked": place.is_masked,
        "over_at": place.over_at,
        "ending": place.ending,
        "first_bad": _build(place.first_bad),
        "last_bad": _build(place.last_bad),
        "good": place.good and _build(place.good),
    }


def _build(build: IncidentBuild) -> dict[str, Any]:
    return {
        "id": build.id,
        "number": build.number,
        "url": build.url,
        "revision": build.revision,
        "started_at": build.started_at,
        "complete_at": build.complete_at,
    }


def _reason(reason: IncidentReason) -> dict[str, Any]:
    return {
        "signature": reason.reason.signature,
        "step": reason.reason.step,
        "text": reason.reason.text,
        "is_test": reason.reason.rule == "test",
        "state": reason.state,
        "earlier": reason.earlier,
        "rebuilt": reason.rebuilt,
        "passed": reason.passed,
        "known": reason.known and {"title": reason.known.title, "link": reason.known.link},
    }


def _updated(found: Iterable[Incident]) -> int:
    return max(
        (
            each.closed_at or max(place.last_bad.complete_at for place in each.places)
            for each in found
        ),
        default=0,
    )


def _add(parent: ElementTree.Element, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = text
