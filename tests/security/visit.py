"""A member of staff who signs in over HTTP and opens every page that a link leads to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urljoin, urlsplit

import requests

LINK = re.compile(r"(?:href|action|src)=\"([^\"]+)\"")
TOKEN = re.compile(r"name=\"csrfmiddlewaretoken\" value=\"([^\"]+)\"")
SHOWN_ON_PURPOSE = ("recovery-codes", "totp/activate")
"""Pages whose task is to show a secret to its owner, once."""
LEAVE_OUT = (*SHOWN_ON_PURPOSE, "logout", "/static/", "jsi18n")
MOST_OF_A_KIND = 3
"""Pages that differ only by the row's number or by a filter: so many of them."""


class Visitor:
    """A session of one browser."""

    def __init__(self, base: str) -> None:
        self.base, self.session = base, requests.Session()
        self.session.trust_env = False

    def sign_in(self, user: str, password: str, code: str) -> None:
        """Name and password, then the second factor."""
        page = self.post("/accounts/login/?next=/admin/", login=user, password=password)
        assert "2fa" in page.url, page.url
        page = self.post(page.url, code=code)
        assert urlsplit(page.url).path == "/admin/", page.url

    def post(self, address: str, **fields: str) -> requests.Response:
        """Fill in the form of a page and send it."""
        url = urljoin(self.base, address)
        page = self.session.get(url, timeout=20)
        token = TOKEN.search(page.text)
        assert token, f"no form at {url}"
        body = {"csrfmiddlewaretoken": token[1], **fields}
        return self.session.post(page.url, data=body, headers={"Referer": page.url}, timeout=20)

    def crawl(self, start: str) -> Iterator[requests.Response]:
        """Every page that can be reached from there by GET on this site, a few of each kind."""
        waiting, seen = [start], {start}
        kinds: dict[str, int] = {}
        while waiting:
            address = waiting.pop(0)
            kind = re.sub(r"\d+", "0", address.partition("?")[0]) + ("?" if "?" in address else "")
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] > MOST_OF_A_KIND:
                continue
            page = self.session.get(urljoin(self.base, address), timeout=20)
            yield page
            for link in self._links(page):
                if link not in seen:
                    seen.add(link)
                    waiting.append(link)

    def _links(self, page: requests.Response) -> list[str]:
        if "html" not in page.headers.get("Content-Type", ""):
            return []
        found = (urlsplit(urljoin(page.url, unescape(link))) for link in LINK.findall(page.text))
        mine = [link for link in found if link.netloc == urlsplit(self.base).netloc]
        paths = [link.path + (f"?{link.query}" if link.query else "") for link in mine]
        return [path for path in paths if not any(word in path for word in LEAVE_OUT)]
