"""Writes all XML that the board makes: badges, CCTray and the feed. Pure."""

from __future__ import annotations

from xml.etree import ElementTree

from buildbot_http_status_push.board.storable import storable


def xml(root: ElementTree.Element, *, is_document: bool = True) -> bytes:
    """Return an element as well-formed XML, whatever its texts hold."""
    for element in root.iter():
        element.text = storable(element.text) if element.text else element.text
        for name, value in element.items():
            element.set(name, storable(value))
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=is_document)
    return text
