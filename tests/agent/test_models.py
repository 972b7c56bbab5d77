from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from terralogue.agent import doctor, models
from terralogue.agent.models import FETCHED, MODELS, Model
from terralogue.datasets.errors import InputError


def test_the_list_says_size_and_licence_of_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.print_list(as_json=True) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == [model.name for model in (*MODELS, *FETCHED)]
    assert all(row["size"] > 0 and row["licence"] for row in rows)
    assert models.print_list(as_json=False) == 0
    assert "Apache-2.0" in capsys.readouterr().out


def test_an_unknown_model_lists_the_valid_ones() -> None:
    with pytest.raises(InputError, match="minilm, ukis-csmask"):
        models.get("oracle")


def test_a_model_that_is_there_is_not_fetched_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.get("minilm") == 0
    assert "is installed" in capsys.readouterr().out


def test_a_model_of_a_missing_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = Model(
        "moon", "the moon", 1, "MIT", "no-such-package", install="pip install no-such-package"
    )
    monkeypatch.setattr(models, "MODELS", (absent,))
    assert not absent.installed
    with pytest.raises(InputError, match="pip install no-such-package"):
        models.get("moon")


def test_weights_that_the_package_lacks_are_not_called_installed() -> None:
    assert models.find("embedded").installed
    assert not Model("moon", "the moon", 1, "MIT", "terralogue", "no-such-folder").installed


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and in place of the hub a folder of repositories."""
    hub, files = tmp_path / "hub", tmp_path / "cache"

    def download(repo: str, name: str) -> str:
        source = hub / repo / name
        if not (hub / repo).is_dir():
            raise LocalEntryNotFoundError("no connection")
        if not source.is_file():
            raise EntryNotFoundError(name)
        base = files / f"models--{repo.replace('/', '--')}"
        copy = base / "snapshots" / "abcdef0123" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        (base / "refs").mkdir(exist_ok=True)
        (base / "refs" / "main").write_text("abcdef0123", encoding="utf-8")
        copy.write_bytes(source.read_bytes())
        return str(copy)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(files))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    return hub


def put(hub: Path, repo: str, **files: str) -> None:
    (hub / repo).mkdir(parents=True)
    for name, text in files.items():
        path = hub / repo / name.replace("__", ".")
        path.write_text(text, encoding="utf-8")


def test_a_published_model_is_fetched_once(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = "openclip:RemoteCLIP-RN50"
    with pytest.raises(InputError, match="cannot be reached"):
        models.get(spec)
    assert not models.find(spec).installed
    put(cache, "chendelong/RemoteCLIP", **{"RemoteCLIP-RN50.pt": "weights"})
    assert models.get(spec) == 0
    assert f"{spec} is fetched" in capsys.readouterr().out
    assert models.find(spec).version == "abcdef0"
    assert models.get(spec) == 0
    assert f"{spec} is installed" in capsys.readouterr().out
    assert models.print_list(as_json=False) == 0
    assert "installed, abcdef0" in capsys.readouterr().out


def test_any_repository_is_fetched_with_its_tokeniser(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"model_cfg": {"text_cfg": {"hf_tokenizer_name": "you/words"}}}
    put(cache, "you/words", tokenizer_config__json="{}", tokenizer__json="{}")
    put(
        cache, "me/clip", open_clip_model__safetensors="w", open_clip_pytorch_model__bin="w",
        open_clip_config__json=json.dumps(config),
    )  # fmt: skip
    assert models.get("dofaclip:hf-hub:me/clip") == 0
    assert "open_clip_model.safetensors" in capsys.readouterr().out
    fetched = sorted(path.name for path in (tmp_path / "cache").glob("*/snapshots/*/*"))
    assert fetched == [
        "open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    put(cache, "me/empty")
    with pytest.raises(InputError, match="me/empty holds none of"):
        models.get("openclip:hf-hub:me/empty")


def test_an_unknown_clip_lists_the_ways_to_name_one() -> None:
    with pytest.raises(InputError, match=r"RemoteCLIP-ViT-B-32.*openclip:<architecture>/<tag>"):
        models.get("openclip:oracle")


def test_the_doctor_finds_what_measuring_needs(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.run(as_json=True) == 0
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["rasterio"]["level"] == "ok"
    assert str(home) in found["home"]["text"]
    assert not home.exists()
    assert doctor.run(as_json=False) == 0


def test_the_doctor_says_where_the_home_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("TERRALOGUE_HOME", str(tmp_path / "file" / "home"))
    assert doctor.run(as_json=False) == 2
    assert "TERRALOGUE_HOME" in capsys.readouterr().out
