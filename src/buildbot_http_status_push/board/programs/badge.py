"""Badges: a builder's state as a small SVG, in the look that README pages are used to. Pure."""

from __future__ import annotations

from xml.etree import ElementTree

from attrs import frozen

from buildbot_http_status_push.board.http.documents import Document
from buildbot_http_status_push.board.model import Build
from buildbot_http_status_push.board.programs.xml_text import xml
from buildbot_http_status_push.board.verdicts.rules import BranchVerdict
from buildbot_http_status_push.results import FAILURE, SUCCESS, WARNINGS

SVG = "http://www.w3.org/2000/svg"
SVG_TYPE = "image/svg+xml; charset=utf-8"
HEIGHT = 20
PADDING = 6
FONT = "Verdana,Geneva,DejaVu Sans,sans-serif"
FONT_SIZE = 11
LABEL_MOST = 60

NARROW, USUAL, WIDE = 4.0, 6.9, 10.0
_NARROW_CHARACTERS = frozenset("fijlrtI.,:;|!'()[]{} -")
_WIDE_CHARACTERS = frozenset("mwMW@%✓✗")


@frozen
class Look:
    """What a badge says.

    Args:
        shape: A sign that says it without colour.
        word: The same in a word.
        colour: The same as a colour, dark enough for white letters on it (WCAG 2.2, 1.4.3).
    """

    shape: str
    word: str
    colour: str


UNKNOWN = Look("?", "unknown", "#5f6368")
VERDICTS = {
    SUCCESS: Look("✓", "passing", "#1a7f37"),
    WARNINGS: Look("!", "warnings", "#8a5a00"),
    FAILURE: Look("✗", "failing", "#c0232c"),
}
RELEASABLE = {
    "releasable": Look("✓", "releasable", "#1a7f37"),
    "pending": Look("…", "pending", "#8a5a00"),
    "not releasable": Look("✗", "not releasable", "#c0232c"),
}


def badge(label: str, last: Build | None) -> Document:
    """Make the badge of a builder's last conclusive build, a grey one without."""
    return _badge(label, UNKNOWN if last is None else VERDICTS.get(last.results or 0, UNKNOWN))


def verdict_badge(found: BranchVerdict | None, name: str) -> Document:
    """Make the badge of a verdict, a grey one without."""
    return _badge(name, UNKNOWN if found is None else RELEASABLE[found.state])


def _badge(label: str, verdict: Look) -> Document:
    text = label if len(label) <= LABEL_MOST else f"{label[: LABEL_MOST - 1]}…"
    # READMEs on other sites show it.
    return Document(body=_svg(text, verdict), content_type=SVG_TYPE, is_for_other_sites=True)


def _svg(label: str, verdict: Look) -> bytes:
    message = f"{verdict.shape} {verdict.word}"
    left, right = _width(label), _width(message)
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": SVG,
            "width": str(left + right),
            "height": str(HEIGHT),
            "role": "img",
            "aria-label": f"{label}: {verdict.word}",
        },
    )
    ElementTree.SubElement(root, "title").text = f"{label}: {verdict.word}"
    _box(root, 0, left, "#3c4043", label)
    _box(root, left, right, verdict.colour, message)
    return xml(root, is_document=False)


def _box(root: ElementTree.Element, start: int, width: int, colour: str, text: str) -> None:
    place = {"x": str(start), "width": str(width), "height": str(HEIGHT), "fill": colour}
    ElementTree.SubElement(root, "rect", place)
    ElementTree.SubElement(
        root,
        "text",
        {
            "x": f"{start + width / 2:g}",
            "y": "14",
            "fill": "#fff",
            "text-anchor": "middle",
            "font-family": FONT,
            "font-size": str(FONT_SIZE),
            # The reader's font may be another one: the text fits its box all the same.
            "textLength": f"{width - 2 * PADDING}",
            "lengthAdjust": "spacingAndGlyphs",
        },
    ).text = text


def _width(text: str) -> int:
    return round(sum(map(_character_width, text))) + 2 * PADDING


def _character_width(character: str) -> float:
    if character in _NARROW_CHARACTERS:
        return NARROW
    return WIDE if character in _WIDE_CHARACTERS else USUAL
