"""Chat models behind an OpenAI-compatible server: `load_vlm("openai:http://127.0.0.1:8000/v1#m")`.

    openai:http://127.0.0.1:8000/v1#Qwen/Qwen2.5-VL-3B-Instruct     vLLM, `transformers serve`
    openai:https://api.openai.com/v1#gpt-4.1-mini                   a hosted model

What leaves the machine: renderings of the pictures as PNG, the question, and what a prompt says of
sensor and bands; never files, paths or coordinates. A server on this machine counts as offline. The
key comes from TERRALOGUE_API_KEY or OPENAI_API_KEY and is never written anywhere. Servers tell no
likelihoods that could be calibrated, so there is no confidence.
"""

from __future__ import annotations

import base64
import hashlib
import io
import ipaddress
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.vlm.renderings import Colours, Rendering
from terralogue.vlm.vlm import VLM, Query, Reading, Task
from terralogue.vlm.vlm_prompts import (
    GROUNDING,
    MOST_TOKENS,
    Coordinates,
    Prompt,
    prompt_for,
    reading_of,
)

KEY_VARIABLES: Final = ("TERRALOGUE_API_KEY", "OPENAI_API_KEY")
SECONDS: Final = 120.0
AT_ONCE: Final = 8
"""Requests in flight; servers batch what comes together."""

# Models that reason take neither a temperature nor "max_tokens", and their reasoning counts as
# tokens that they write (platform.openai.com/docs/guides/reasoning).
_THOUGHT: Final = 2000
_SAMPLED: Final = "The server chose the sampling temperature, so another answer may differ."
_FORM: Final = "openai:<base url>#<model>, such as openai:http://127.0.0.1:8000/v1#model-name"
# Qwen2.5-VL counts pixels of a picture whose sides are multiples of this; such a picture is not
# resized by the server (huggingface/transformers, models/qwen2_vl/image_processing_qwen2_vl.py).
_MULTIPLE: Final = 28


class OpenAIVLM(VLM):
    """A chat model behind a server.

    Args:
        base_url: up to and with `/v1`.
        model: as the server calls it.
        name: what `load_vlm` was given.
    """

    def __init__(self, base_url: str, model: str, name: str) -> None:
        self.base_url = base_url
        self.model = model
        self.name = name
        self.offline = is_loopback(base_url)
        # The weights cannot be seen: a server may change them under the same name.
        self.fingerprint = hashlib.sha256(f"{base_url}#{model}".encode()).hexdigest()[:16]
        self._coordinates = coordinates_of(model)
        tasks: set[Task] = {"qa", "caption"}
        if self._coordinates is not None:
            tasks.add("grounding")
        self.tasks = frozenset(tasks)

    def answer_batch(self, queries: Sequence[Query]) -> list[Reading]:
        """Answer queries, several at a time; see `VLM.answer_batch`."""
        import openai

        for query in queries:
            if query.task not in self.tasks:
                raise InputError(
                    f"{self.name} does not do {query.task}; it does {', '.join(sorted(self.tasks))}"
                )
        key = next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), "none")
        with (
            openai.OpenAI(
                base_url=self.base_url, api_key=key, timeout=SECONDS, max_retries=2
            ) as client,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):
            return list(pool.map(lambda query: self._answer(client, query), queries))

    def _answer(self, client: Any, query: Query) -> Reading:
        prompt = prompt_for(query)
        if query.task == "grounding" and self._coordinates == "pixels":
            parts = [p if isinstance(p, str) else _fitted(p) for p in prompt.parts]
            prompt = replace(prompt, parts=tuple(parts))
        text, notes = self._complete(client, prompt, MOST_TOKENS[query.task])
        reading = reading_of(text, query, prompt, coordinates=self._coordinates or "pixels")
        sent = () if self.offline else (self._sent(prompt),)
        return replace(reading, notes=(*reading.notes, *notes, *sent))

    def _sent(self, prompt: Prompt) -> str:
        """What left the machine."""
        sizes = [f"{p.picture.shape[1]} x {p.picture.shape[0]}" for p in prompt.pictures]
        count = "1 picture" if len(sizes) == 1 else f"{len(sizes)} pictures"
        listed = ", ".join(dict.fromkeys(sizes))
        return f"{count} ({listed} pixels) and the question went to {self.base_url}."

    def _complete(self, client: Any, prompt: Prompt, most: int) -> tuple[str, tuple[str, ...]]:
        """What the server writes, and what a person must know of how it was asked.

        Raises:
            InputError: it cannot be reached, declines, or answers with something else.
        """
        import openai

        content = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image_url", "image_url": {"url": data_url(part.picture)}}
            for part in prompt.parts
        ]
        asked = {"model": self.model, "messages": [{"role": "user", "content": content}]}
        create = client.chat.completions.create
        notes: tuple[str, ...] = ()
        try:
            try:
                completion = create(**asked, temperature=0, max_tokens=most)
            except openai.BadRequestError as error:
                if not re.search(r"max_tokens|temperature", _reason(error.body)):
                    raise
                completion = create(**asked, max_completion_tokens=most + _THOUGHT)
                notes = (_SAMPLED,)
        except openai.APIStatusError as error:
            raise InputError(self._declined(error)) from None
        except openai.APITimeoutError:
            raise InputError(
                f"the server at {self.base_url} did not answer in {SECONDS:.0f} s; ask for less at "
                "once, or use a smaller model"
            ) from None
        except (openai.APIConnectionError, openai.APIResponseValidationError, ValueError):
            raise InputError(
                f"no chat-completions server answers at {self.base_url}; start it, or use another "
                "--vlm"
            ) from None
        choices = getattr(completion, "choices", None)
        text = choices[0].message.content if choices else None
        if not isinstance(text, str):
            raise InputError(
                f"the model {self.model!r} at {self.base_url} wrote no text; name a chat model"
            )
        return text, notes

    def _declined(self, error: Any) -> str:
        where = f"the server at {self.base_url}"
        if error.status_code in (401, 403):
            return f"{where} declined the key; set {KEY_VARIABLES[0]} to one that it takes"
        if error.status_code == 404:
            return f"{where} has no model {self.model!r}; name one that it serves"
        if error.status_code == 429:
            return f"{where} takes no more requests for now; try again later, or with --limit"
        said = _reason(error.body)
        return (
            f"{where} declined with status {error.status_code}{said}; check that {self.model!r} is "
            "a model that it serves and that takes pictures"
        )


def _reason(body: object) -> str:
    """What a server says of a request that it declined; "" where it says nothing."""
    if not isinstance(body, dict):
        return ""
    text = body.get("message") or body.get("detail") or body.get("error") or ""
    lines = str(text).strip().splitlines()
    return f" ({lines[0][:200]})" if lines else ""


def data_url(colours: Colours) -> str:
    """A picture (H, W, 3) as a PNG in a data URL."""
    buffer = io.BytesIO()
    Image.fromarray(colours).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def coordinates_of(model: str) -> Coordinates | None:
    """How a model counts, told from its name; None where it gives no boxes."""
    folded = "".join(c for c in model.casefold() if c.isalnum())
    return next((way for kind, way in GROUNDING.items() if kind.replace("_", "") in folded), None)


def _fitted(view: Rendering) -> Rendering:
    """A rendering with sides that the server keeps."""
    height, width = (max(1, round(n / _MULTIPLE)) * _MULTIPLE for n in view.picture.shape[:2])
    resized = Image.fromarray(view.picture).resize((width, height), Image.Resampling.BICUBIC)
    return replace(view, picture=np.asarray(resized, np.uint8))


def load(rest: str) -> OpenAIVLM:
    """Take what stands after `openai:`; nothing is sent yet.

    Raises:
        InputError: it is not a URL and a model.
    """
    base_url, _, model = rest.partition("#")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not model:
        raise InputError(f"openai:{rest} cannot be used; give {_FORM}")
    if parts.username or parts.password:
        raise InputError(
            f"openai:{parts.scheme}://… carries a password; set {KEY_VARIABLES[0]} instead"
        )
    return OpenAIVLM(base_url.rstrip("/"), model, f"openai:{rest}")
