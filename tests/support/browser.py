"""A real browser, without a screen: the system's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support import generated
from tests.support.node import PROJECT
from tests.support.promised import skip_or_fail
from tests.support.waiting import patience_s

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What axe-core looks for: WCAG 2.2 up to AA, and what is good practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser; skips the test where the system has none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        skip_or_fail("CHROMIUM", "there is no Chromium here")
    with sync_playwright() as playwright:
        # Its own sandbox needs rights that root in a container doesn't give.
        options: dict[str, Any] = {"args": ["--no-sandbox"] if os.geteuid() == 0 else []}
        running = playwright.chromium.launch(executable_path=path, **options)
        try:
            yield running
        finally:
            running.close()


def axe() -> str:
    """The script of axe-core; skips the test where npm can't install it."""
    folder: Path = generated.node_tools(PROJECT)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def findings(page: Page, script: str) -> list[str]:
    """What axe-core finds wrong with the page as it stands."""
    # Not as a script of the page's, which its policy would refuse.
    page.evaluate(script)
    found = page.evaluate(f"axe.run({{runOnly: {RULES}}})")
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes']][:3]}"
        for one in found["violations"]
    ]


def patient(page: Page) -> Page:
    """The page, as patient as the tests are."""
    page.set_default_timeout(patience_s() * 1000)
    return page
