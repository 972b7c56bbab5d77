"""Chat models behind OpenAI-compatible servers: a real `transformers serve`, and a script."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from terralogue.datasets.errors import InputError
from terralogue.vlm.hf_tiny import write_tiny
from terralogue.vlm.openai_vlm import is_loopback
from terralogue.vlm.vlm import Query, load_vlm

PICTURE = np.random.default_rng(0).integers(0, 256, (3, 40, 60)).astype(np.uint8)
QUERIES = [
    Query("Is there a lake?", (PICTURE,)),
    Query("What changed?", (PICTURE, PICTURE[:, ::-1].copy()), dates=("2001", "2009")),
]
START: float = 120.0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("served") / "qwen")


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[str]:
    """Base URL of a server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(tiny)]
    command += ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    log = tiny.parent / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
    try:
        end = time.monotonic() + START
        while not _healthy(port):
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def test_a_served_model_answers_as_the_same_model_here(server: str, tiny: Path) -> None:
    vlm = load_vlm(f"openai:{server}#{tiny}")
    here = load_vlm(f"hf:{tiny}")
    served = vlm.answer_batch(QUERIES)
    assert [r.text for r in served] == [r.text for r in here.answer_batch(QUERIES)]
    assert vlm.offline
    assert all(r.notes == () and r.confidence is None for r in served)
    with pytest.raises(InputError, match="declined with status 400"):
        load_vlm(f"openai:{server}#another").answer(QUERIES[0])


class _Server(BaseHTTPRequestHandler):
    """Answers each request with what the test put there, and keeps what it was sent."""

    status = 200
    reply = ""
    unknown = ""
    heard: list[dict[str, object]] = []  # noqa: RUF012
    keys: list[str | None] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.heard.append(body)
        self.keys.append(self.headers["Authorization"])
        status = 400 if self.unknown and self.unknown in body else self.status
        content = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"],
             "choices": [{"index": 0, "finish_reason": "stop",
                          "message": {"role": "assistant", "content": self.reply}}]}
            if status == 200 else {"error": {"message": self.reply or f"unknown {self.unknown}"}}
        ).encode()  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-should-retry", "false")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[tuple[str, type[_Server]]]:
    """Base URL of a scripted server, and the script."""
    script = type("Script", (_Server,), {"heard": [], "keys": []})
    made = ThreadingHTTPServer(("127.0.0.1", 0), script)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}/v1", script
    made.shutdown()
    thread.join()
    made.server_close()


def test_pictures_go_as_data_and_boxes_come_back_in_pixels(
    echo: tuple[str, type[_Server]],
) -> None:
    url, script = echo
    script.reply = '[{"bbox_2d": [0, 0, 168, 112], "label": "lake"}]'
    vlm = load_vlm(f"openai:{url}#Qwen/Qwen2.5-VL-7B-Instruct")
    (box,) = vlm.answer(Query("the lake", (PICTURE,), task="grounding")).boxes
    assert box == pytest.approx((0, 0, 30, 20))
    (sent,) = script.heard
    assert sent["temperature"] == 0
    assert '"url": "data:image/png;base64,' in json.dumps(sent["messages"])
    thousandths = load_vlm(f"openai:{url}#qwen3-vl-plus")
    (box,) = thousandths.answer(Query("the lake", (PICTURE,), task="grounding")).boxes
    assert box == pytest.approx((0, 0, 10.08, 4.48))
    assert "grounding" not in load_vlm(f"openai:{url}#gpt-4.1-mini").tasks


def test_an_answer_from_elsewhere_says_what_left_the_machine(
    echo: tuple[str, type[_Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, script = echo
    script.reply = "Yes."
    monkeypatch.setattr("terralogue.vlm.openai_vlm.is_loopback", lambda _: False)
    vlm = load_vlm(f"openai:{url}#m")
    assert not vlm.offline
    notes = vlm.answer(QUERIES[1]).notes
    assert notes == (f"2 pictures (336 x 224 pixels) and the question went to {url}.",)


def test_a_model_that_reasons_is_asked_in_its_own_terms(
    echo: tuple[str, type[_Server]],
) -> None:
    url, script = echo
    script.unknown = "max_tokens"
    reading = load_vlm(f"openai:{url}#o9").answer(QUERIES[0])
    assert reading.notes == (
        "The server chose the sampling temperature, so another answer may differ.",
    )
    first, second = script.heard
    assert "temperature" in first
    assert "temperature" not in second
    assert second["max_completion_tokens"] == 2048


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "declined the key; set TERRALOGUE_API_KEY"), (404, "has no model 'm'"),
        (429, "takes no more requests"), (400, r"status 400 \(no pictures, please\)"),
        (500, "declined with status 500"),
    ],
)  # fmt: skip
def test_a_server_that_declines_is_explained_without_the_key(
    status: int, message: str, echo: tuple[str, type[_Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, script = echo
    script.status = status
    script.reply = "secret-key is wrong" if status == 401 else "no pictures, please"
    monkeypatch.setenv("TERRALOGUE_API_KEY", "secret-key")
    with pytest.raises(InputError, match=message) as caught:
        load_vlm(f"openai:{url}#m").answer(QUERIES[0])
    assert script.keys == ["Bearer secret-key"]
    assert "secret-key" not in str(caught.value)


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(InputError, match=f"no chat-completions server answers at {url}"):
            load_vlm(f"openai:{url}#m").answer(QUERIES[0])


@pytest.mark.parametrize("rest", ["", "http://host/v1", "#m", "ftp://host#m", "host:80/v1#m"])
def test_what_is_no_url_and_model_is_refused(rest: str) -> None:
    with pytest.raises(InputError, match="give openai:<base url>#<model>"):
        load_vlm(f"openai:{rest}")


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="carries a password") as caught:
        load_vlm("openai:https://me:hidden@host/v1#m")
    assert "hidden" not in str(caught.value)


def test_only_this_machine_counts_as_offline() -> None:
    here = ("http://localhost:8000/v1", "http://127.0.0.1/v1", "http://[::1]:8000/v1")
    away = ("https://api.openai.com/v1", "http://10.0.0.7/v1", "http://127.0.0.1.example.com/v1")
    assert all(map(is_loopback, here))
    assert not any(map(is_loopback, away))
