"""A page as a browser reads it: its elements, its form, its words."""

import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

VOID = {"meta", "link", "input", "br", "circle", "path", "polyline"}


class Document(HTMLParser):
    """What a page holds.

    Attributes:
        elements: Each as (name, attributes), in order.
        words: The text, without that of scripts and styles.
        cells: The text of each cell of each table, in order.
        action: Where the form is sent.
        base: The path of the page: links and forms lead from there.
        fields: What the form would send.
    """

    def __init__(self, text: str, base: str = "/") -> None:
        super().__init__()
        self.base = base
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.cells: list[str] = []
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._open: list[str] = []
        self._select: str | None = None
        self.feed(text)
        self.close()
        assert self._open == [], "each element is closed"

    @staticmethod
    def json(text: str) -> Any:
        return json.loads(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.elements.append((tag, facts))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        elif tag == "form":
            self.action = urljoin(self.base, facts.get("action") or "")
        elif tag == "select":
            self._select = facts["name"]
        elif tag == "option" and self._select is not None:
            if "selected" in facts or self._select not in self.fields:
                self.fields[self._select] = facts.get("value") or ""
        elif tag == "input" and (facts.get("type") != "checkbox" or "checked" in facts):
            self.fields[str(facts["name"])] = facts.get("value") or ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes what was opened last"
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        self.words += data
        if {"td", "th"} & {*self._open}:
            self.cells[-1] += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a name."""
        return [facts for name, facts in self.elements if name == tag]

    @property
    def links(self) -> set[str]:
        """Where the links lead, as paths from the root or whole addresses."""
        return {urljoin(self.base, str(facts["href"])) for facts in self.of("a") if "href" in facts}

    @property
    def names(self) -> set[str]:
        """The names of all form fields."""
        return {str(facts["name"]) for tag in ("input", "select", "textarea") for facts in self.of(tag)}
