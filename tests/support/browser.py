"""A real Chromium, driven by its WebDriver."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from support.programs import missing, not_there

NODE_MODULES = Path(__file__).parent.parent / "node_modules"
"""Where npm puts what ``tests/package.json`` names."""

SWITCHES = (
    "--headless",
    "--no-sandbox",  # tests may run as root, in containers
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


class Browser:
    """A window of Chromium.

    Args:
        driver: What drives it.
    """

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        """Go to an address and wait until it is loaded."""
        self.driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script's text in the page, and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def run_async(self, script: str, *arguments: Any) -> Any:
        """Run a script's text in the page; it tells what it returns by its last argument."""
        return self.driver.execute_async_script(script, *arguments)

    @property
    def is_live(self) -> bool:
        """Whether the page follows the board's changes."""
        return bool(self.run("return document.body.classList.contains('is-live')"))

    def text(self, selector: str) -> str:
        """Return what a page shows in the first element that is selected."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText", selector))

    def wait(self, what: Callable[[], Any], seconds: float = 60, every: float = 0.02) -> Any:
        """Wait until something is true, looking every so many seconds, and return it."""
        return WebDriverWait(self.driver, seconds, poll_frequency=every).until(lambda _: what())

    def resize(self, width: int, height: int, scale: float = 1) -> None:
        """Give the page a size in CSS pixels, and each of them so many dots."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=width < 600,
        )  # fmt: skip

    def prefer(self, **features: str) -> None:
        """Set what the person likes, such as ``prefers_color_scheme="dark"``."""
        wanted = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        self.command("Emulation.setEmulatedMedia", features=wanted)

    def switch_scripts(self, on: bool) -> None:
        """Let pages that are opened from now on run scripts, or not."""
        self.command("Emulation.setScriptExecutionDisabled", value=not on)

    def press(self, *keys: str) -> None:
        """Type, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def screenshot(self, path: Path, part: str = "") -> None:
        """Keep what the window shows, or the element that is selected, as a PNG."""
        if part:
            self.driver.find_element(By.CSS_SELECTOR, part).screenshot(str(path))
        else:
            self.driver.save_screenshot(str(path))

    def complaints(self) -> list[str]:
        """Return what was said on the console since last asked: errors and warnings."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def command(self, name: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser without a past; it is closed at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = _program("chromium", "chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "WARNING"})
        for switch in (*SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        service = Service(_program("chromedriver", "chromium-driver"))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield Browser(driver)
        finally:
            driver.quit()


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise missing(name, package)
    return found


def axe() -> str:
    """Return the text of axe-core's script, which finds what keeps people out of a page."""
    script = NODE_MODULES / "axe-core" / "axe.min.js"
    if not script.exists():
        raise not_there("axe-core", "npm install --prefix tests")
    return script.read_text()
