from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import rasterio

from terralogue.agent.samples import SAMPLES
from terralogue.datasets.synthetic import make_demo_scene, simulate

SIZE = 128
QUESTION = "How much of this is under water?"


def small_samples(home: Path) -> Path:
    """Put small scenes where the samples are kept, so that none has to be written in full."""
    for key in SAMPLES:
        folder = home / "samples" / key
        make_demo_scene(folder / "scene.tif", size=64)
        (folder / "files.json").write_text(json.dumps(["scene.tif"]))
    return home


@contextlib.contextmanager
def serving(home: Path, *options: str) -> Iterator[str]:
    """The app in a process of its own; gives its address, without a slash at the end."""
    command = [sys.executable, "-m", "terralogue.app", "--home", str(small_samples(home)), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "http://" in line)
            yield line.split()[4].rstrip("/")
        finally:
            process.terminate()


@dataclass
class Served:
    address: str
    home: Path
    scene: Path

    def ask(self, text: str, *files: Path, thread: str = "", region: str = "") -> Any:
        """Call the endpoint as a script would; the answer, and the addresses of its files."""
        with httpx.Client(base_url=f"{self.address}/gradio_api", timeout=120) as web:
            sent = []
            for file in files:
                (path,) = web.post(
                    "/upload", files={"files": (file.name, file.read_bytes())}
                ).json()
                meta = {"_type": "gradio.FileData"}
                sent.append({"path": path, "orig_name": file.name, "meta": meta})
            data = [{"text": text, "files": sent}, thread, region]
            event = web.post("/call/chat", json={"data": data}).json()["event_id"]
            told = web.get(f"/call/chat/{event}").text.strip().rsplit("event: ", 1)[1]
        kind, _, result = told.partition("\ndata: ")
        if kind != "complete":
            raise RuntimeError(result)
        answer, found = json.loads(result)
        return answer, [file["url"] for file in found]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    scene = make_demo_scene(home / "outside.tif", size=SIZE, clouds=0)
    with serving(home) as address:
        yield Served(address, home, scene)


def test_a_script_asks_over_the_page_and_gets_figures_and_files(served: Served) -> None:
    answer, files = served.ask(QUESTION, served.scene)
    assert answer["route"] == "tools"
    figures = {m["name"]: m for m in answer["measurements"]}
    assert figures["area"]["unit"] == "ha"
    (mask,) = (file for file in files if file.endswith(".tif"))
    content = httpx.get(mask).content
    with rasterio.MemoryFile(content) as memory, memory.open() as opened:
        found = opened.read(1) == 1
    assert figures["area"]["value"] == pytest.approx(found.sum() / 100, rel=2e-3)
    assert simulate(size=SIZE, clouds=0).where("water")[found].mean() > 0.9


def test_a_conversation_goes_on_by_its_id(served: Served) -> None:
    first, _ = served.ask(QUESTION, served.scene)
    second, _ = served.ask("And in acres?", thread=first["thread"])
    assert second["thread"] == first["thread"]
    (acres,) = (m["value"] for m in second["measurements"] if m["name"] == "area")
    (hectares,) = (m["value"] for m in first["measurements"] if m["name"] == "area")
    assert acres == pytest.approx(hectares * 2.47105, rel=1e-3)


def test_a_file_that_is_no_scene_is_told_in_a_sentence(served: Served, tmp_path: Path) -> None:
    text = tmp_path / "notes.tif"
    text.write_text("no raster at all")
    with pytest.raises(RuntimeError, match=r"notes\.tif"):
        served.ask(QUESTION, text)


def test_a_file_of_another_kind_is_refused(served: Served, tmp_path: Path) -> None:
    program = tmp_path / "virus.exe"
    program.write_bytes(b"MZ")
    with pytest.raises(RuntimeError, match="Invalid file type"):
        served.ask(QUESTION, program)


def test_a_path_is_no_region(served: Served) -> None:
    with pytest.raises(RuntimeError, match="no bounding box"):
        served.ask(QUESTION, served.scene, region="/etc/passwd")


def test_a_region_outside_the_scene_is_told(served: Served) -> None:
    with pytest.raises(RuntimeError, match="outside"):
        served.ask(QUESTION, served.scene, region="1, 1, 2, 2")


def test_only_results_can_be_downloaded(served: Served) -> None:
    answer, _ = served.ask(QUESTION, served.scene)
    result = answer["artefacts"][0]["path"]
    base = f"{served.address}/gradio_api/file="
    assert httpx.get(base + result).status_code == 200
    (record,) = (served.home / "workspace" / "scenes").glob("outside*.json")
    secret = [served.home / "threads.sqlite", record, Path("pyproject.toml").absolute()]
    assert [httpx.get(f"{base}{path}").status_code for path in secret] == [403, 403, 403]
    climb = f"{served.home}/workspace/artefacts/../../threads.sqlite"
    assert httpx.get(base + climb).status_code == 403


def test_the_page_names_no_other_server_to_fetch_from(served: Served) -> None:
    page = httpx.get(served.address).text
    config = httpx.get(f"{served.address}/config").json()
    assert config["analytics_enabled"] is False
    assert "fonts.googleapis" not in page
    assert "cdnjs" not in page
    assert not any(str(url).startswith("http") for url in config.get("stylesheets", []))


def test_the_page_can_ask_for_a_login(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--auth", "ada:pass") as address,
        httpx.Client(base_url=address) as browser,
    ):
        assert browser.get("/config").status_code == 401
        wrong = browser.post("/login", data={"username": "ada", "password": "no"})
        right = browser.post("/login", data={"username": "ada", "password": "pass"})
        assert (wrong.status_code, right.status_code) == (400, 200)
        assert browser.get("/config").status_code == 200


def test_a_port_in_use_is_told_in_a_sentence(served: Served, tmp_path: Path) -> None:
    port = served.address.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "terralogue.app", "--home", str(small_samples(tmp_path))]
    done = subprocess.run([*command, "--port", port], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert port in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


SCRIPT = """
import sys
from gradio_client import Client, handle_file
client = Client(sys.argv[1], verbose=False)
message = {"text": sys.argv[2], "files": [handle_file(sys.argv[3])]}
answer, files = client.predict(message=message, thread="", region="", api_name="/chat")
print(answer["route"], len(files) == len(answer["artefacts"]) > 0)
"""


def test_the_client_library_of_gradio_can_ask(served: Served) -> None:
    command = [sys.executable, "-c", SCRIPT, served.address, QUESTION, str(served.scene)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["tools", "True"], done.stderr
