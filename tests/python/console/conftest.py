"""A real browser, and a server for it to look at. Where there is no Chromium these tests are skipped, and say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.libraries import BOTO3
from turbosqs.local import Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: How many times slower the browser is to be than the machine: ``TURBOSQS_SLOWER=20`` finds what the page is late for.
SLOWER = int(os.environ.get("TURBOSQS_SLOWER", "1"))


# For a module, not for all: while Playwright runs, an event loop runs in this thread, where others run theirs.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect.set_options(timeout=20_000 * SLOWER)
    home = tmp_path_factory.mktemp("browser")
    with playwright.sync_playwright() as driver:
        # As root, and in containers, it has no sandbox to use; it looks at pages of this machine alone.
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], env={**os.environ, "HOME": str(home)}
        )
        yield browser
        browser.close()


Look = Callable[..., Any]


@pytest.fixture
def look(browser: Any) -> Iterator[Look]:
    """Opens a page: ``look(url)``. At the end nothing may have gone wrong in it, and nothing left for another host."""
    contexts = []
    wrong: list[str] = []

    def look(url: str, **settings: Any) -> Any:
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000 * SLOWER)
        if SLOWER > 1:
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        origin = url.split("/", 3)[:3]
        page.on(
            "request",
            lambda request: None if request.url.split("/", 3)[:3] == origin else wrong.append(f"asked {request.url}"),
        )
        page.goto(url)
        return page

    yield look
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def sqs(server: Server) -> Iterator[Any]:
    client = BOTO3.client(server.endpoint_url)
    yield client
    client.close()


@pytest.fixture
def shots() -> Path | None:
    """Where to leave pictures, if somebody wants them: ``TURBOSQS_SHOTS=FOLDER``."""
    folder = os.environ.get("TURBOSQS_SHOTS")
    return Path(folder) if folder else None
