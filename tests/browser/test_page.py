"""The page in a real browser: Debian's Chromium, driven by Playwright, without any network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from terralogue.agent.samples import SAMPLES
from terralogue.datasets.synthetic import make_demo_scene

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT = 60_000  # milliseconds; the first answer loads models


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app in a process of its own, with small samples."""
    home = tmp_path_factory.mktemp("home")
    for key in SAMPLES:
        make_demo_scene(home / "samples" / key / "scene.tif", size=96)
        (home / "samples" / key / "files.json").write_text(json.dumps(["scene.tif"]))
    command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "http://" in line)
            yield line.split()[4]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium here; `make browser` installs it where it may")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def requested() -> list[str]:
    """Every address that the page asked for."""
    return []


@pytest.fixture
def page(browser: Any, address: str, requested: list[str]) -> Iterator[Any]:
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    tab.set_default_timeout(WAIT)
    tab.on("request", lambda request: requested.append(request.url))
    tab.goto(address)
    tab.locator("#box textarea").wait_for()
    # The page is its visitor's own once it shows their conversation.
    tab.wait_for_function("document.querySelector('#thread textarea, #thread input').value")
    yield tab
    tab.close()


def _ask(page: Any, question: str) -> None:
    page.locator("#box textarea").fill(question)
    page.locator("#box textarea").press("Enter")


def _share_shown(page: Any) -> float:
    """The share in percent on the cards of the result."""
    card = page.locator(".tl-card", has_text=re.compile("share", re.IGNORECASE)).first
    return float(
        card.locator(".tl-figure").inner_text().replace("\N{NO-BREAK SPACE}", " ").split()[0]
    )


def test_a_person_uploads_a_scene_asks_and_downloads_the_mask(
    page: Any, address: str, requested: list[str], tmp_path: Path
) -> None:
    scene = make_demo_scene(tmp_path / "valley.tif", size=160)
    page.locator("#box input[type=file]").set_input_files(str(scene))
    page.locator("#box .thumbnail-item").wait_for()
    _ask(page, "How much of this is under water?")
    page.locator("#result-picture img").wait_for()
    assert "ha" in page.locator(".tl-card").first.inner_text()
    with page.expect_download() as download:
        page.locator("#files a[download$='.tif']").first.click()
    target = tmp_path / "mask.tif"
    download.value.save_as(target)
    with rasterio.open(target) as mask:
        assert mask.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert mask.shape == (160, 160)
        values = mask.read(1)
        seen = mask.read_masks(1) > 0
    measured = 100 * (values == 1).sum() / seen.sum()
    assert _share_shown(page) == pytest.approx(measured, abs=0.02)
    outside = [url for url in requested if not url.startswith((address, "data:", "blob:"))]
    assert outside == []


def test_a_sample_and_an_example_question_are_two_clicks(page: Any) -> None:
    page.locator("#samples button").first.click()
    page.locator("#scene-picture img").wait_for()
    assert "Sentinel-2 L2A" in page.locator("#facts").inner_text()
    page.locator("#chips button").first.click()
    page.locator("#result-picture img").wait_for()
    page.get_by_text("How it was measured").wait_for()


def test_a_conversation_is_there_again_by_its_address(
    page: Any, browser: Any, address: str
) -> None:
    page.locator("#samples button").first.click()
    page.locator("#scene-picture img").wait_for()
    _ask(page, "How much of this is under water?")
    page.get_by_text("How it was measured").wait_for()
    thread = page.locator("#thread textarea, #thread input").first.input_value()
    again = browser.new_page()
    again.set_default_timeout(WAIT)
    again.goto(f"{address}?thread={thread}")
    again.locator("#chat .user", has_text="under water?").first.wait_for()
    _ask(again, "And in acres?")
    again.locator(".tl-card", has_text="acres").first.wait_for()
    again.close()


def test_a_file_that_is_no_scene_is_told_and_the_chat_goes_on(page: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tif"
    broken.write_text("no raster at all")
    page.locator("#box input[type=file]").set_input_files(str(broken))
    page.locator("#box .thumbnail-item").wait_for()
    _ask(page, "How much water?")
    page.locator("#chat .bot", has_text="broken.tif").first.wait_for()
    assert "Traceback" not in page.locator("#chat").inner_text()
    page.locator("#samples button").first.click()
    page.locator("#scene-picture img").wait_for()


def test_an_unknown_conversation_is_told_and_the_page_stays(page: Any, address: str) -> None:
    page.goto(f"{address}?thread=nobody")
    page.get_by_text("There is no conversation 'nobody'").first.wait_for()
    assert not page.locator("#chat").get_by_text("Error", exact=True).is_visible()
    _ask(page, "How much water?")
    page.locator("#chat .bot").first.wait_for()


def test_a_question_of_ours_is_answered_with_a_click(page: Any, tmp_path: Path) -> None:
    scene = tmp_path / "unnamed.tif"
    numbers = np.random.default_rng(0).integers(400, 3000, (5, 64, 64), dtype=np.uint16)
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 5, "height": 64, "width": 64}
    grid = Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 5_000_000.0)
    with rasterio.open(scene, "w", crs="EPSG:32633", transform=grid, **profile) as target:
        target.write(numbers)
    page.locator("#box input[type=file]").set_input_files(str(scene))
    page.locator("#box .thumbnail-item").wait_for()
    _ask(page, "How much of this is vegetation?")
    option = page.get_by_role("button", name="landsat8").first
    option.wait_for()
    option.click()
    page.locator("#chat .user", has_text="landsat8").first.wait_for()
    page.locator("#chat .bot", has_text="landsat8:").first.wait_for()


def test_another_reading_of_the_question_is_one_click(page: Any) -> None:
    page.locator("#samples button").first.click()
    page.locator("#scene-picture img").wait_for()
    _ask(page, "How much water is there?")
    page.locator("#chat .bot", has_text="Understood as: Measure how much").first.wait_for()
    page.get_by_role("button", name="I meant: measure the area of").first.click()
    page.locator("#chat .user", has_text="I meant: measure the area of").first.wait_for()
    page.wait_for_function(
        "document.querySelector('#chat').innerText.split('Understood as').length > 2"
    )


def test_an_answer_by_eye_says_how_sure_it_is_and_where(page: Any) -> None:
    page.locator("#samples button").first.click()
    page.locator("#scene-picture img").wait_for()
    _ask(page, "Is there a river?")
    page.locator("#chat .bot", has_text="How sure: 0.83").first.wait_for()
    _ask(page, "Where is the white roof by the river?")
    page.locator("#result-picture img").wait_for()
    page.locator(".tl-card", has_text="How sure").first.wait_for()
    assert page.locator("#files a[download$='.geojson']").count() == 1


def test_an_unsure_answer_offers_to_measure_with_a_click(page: Any) -> None:
    page.locator("#samples button").first.click()
    page.locator("#scene-picture img").wait_for()
    _ask(page, "Is it a rural or an urban area?")
    page.locator("#chat .bot", has_text="Not sure:").first.wait_for()
    page.get_by_role("button", name="how much is built-up area, in hectares?").first.click()
    page.get_by_text("How it was measured").wait_for()
