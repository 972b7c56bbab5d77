from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip import pretrained
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from terralogue.datasets.errors import InputError
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.sensors import SENSORS
from terralogue.vlm import published
from terralogue.vlm.clip import load_geoclip
from terralogue.vlm.published import Published, architecture_of
from terralogue.vlm.teacher import teacher_logits

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
VISION = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32}
# name → open_clip's description; two of them share all shapes.
TINY: dict[str, dict[str, Any]] = {
    "tiny-vit": {"embed_dim": 32, "vision_cfg": VISION, "text_cfg": TEXT},
    "tiny-twin": {"embed_dim": 40, "vision_cfg": VISION, "text_cfg": TEXT},
    "tiny-twin-quickgelu": {
        "embed_dim": 40, "quick_gelu": True, "vision_cfg": VISION, "text_cfg": TEXT,
    },
    "tiny-wide": {"embed_dim": 40, "vision_cfg": VISION, "text_cfg": {**TEXT, "width": 24}},
    "tiny-resnet": {
        "embed_dim": 24, "text_cfg": TEXT,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
    },
    "tiny-timm": {
        "embed_dim": 24, "text_cfg": TEXT, "custom_text": True,
        "vision_cfg": {
            "timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160
        },
    },
}  # fmt: skip
WORDS = ["a lake", "a town of many roofs", "forest"]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32)).astype(np.uint8)


@pytest.fixture(scope="module", autouse=True)
def architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    for name, config in TINY.items():
        (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(folder)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def build(name: str, seed: int = 0) -> Any:
    config = dict(TINY[name])
    kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    torch.manual_seed(seed)
    return kind(**config).eval()


def saved(name: str, path: Path, seed: int = 0) -> Path:
    torch.save(build(name, seed).state_dict(), path)
    return path


def in_cache(cache: Path, repo: str) -> Path:
    """The folder where the hub's client keeps the files of a repository."""
    base = cache / f"models--{repo.replace('/', '--')}"
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text("0123456789abcdef", encoding="utf-8")
    folder = base / "snapshots" / "0123456789abcdef"
    folder.mkdir(parents=True)
    return folder


def test_pictures_and_texts_are_embedded_as_open_clip_embeds_them(tmp_path: Path) -> None:
    clip = load_geoclip(f"openclip:tiny-vit@{saved('tiny-vit', tmp_path / 'a.pt')}")
    model = build("tiny-vit")
    scale = open_clip.transform.image_transform(32, is_train=False)
    pictures = torch.stack([scale(Image.fromarray(p.transpose(1, 2, 0))) for p in PIXELS])
    with torch.inference_mode():
        seen = model.encode_image(pictures, normalize=True).numpy()
        read = model.encode_text(open_clip.tokenize(WORDS), normalize=True).numpy()
    np.testing.assert_allclose(clip.encode_image(PIXELS, RGB_BANDS), seen, atol=2e-2)
    np.testing.assert_allclose(clip.encode_text(WORDS), read, atol=1e-5)
    assert clip.dimensions == 32
    assert clip.label_scale == pytest.approx(1 / 0.07, rel=1e-3)
    assert clip.encode_text([]).shape == (0, 32)
    ranked = clip.classify(PIXELS, WORDS, RGB_BANDS)
    assert [sum(score.score for score in row) for row in ranked] == pytest.approx([1, 1, 1])


def test_one_set_of_weights_is_one_model_in_whatever_file_it_comes(tmp_path: Path) -> None:
    state = build("tiny-vit").state_dict()
    save_file(state, tmp_path / "a.safetensors")
    training = {"epoch": 20, "state_dict": {f"module.{k}": v for k, v in state.items()}}
    torch.save(training, tmp_path / "epoch_20.pt")
    files = ["a.safetensors", "epoch_20.pt", saved("tiny-vit", tmp_path / "b.pt").name]
    # Its shapes are those of one architecture only, which then need not be named.
    clips = [load_geoclip(f"openclip:{tmp_path / file}") for file in files]
    assert len({clip.fingerprint for clip in clips}) == 1
    assert len({clip.encode_image(PIXELS, RGB_BANDS).tobytes() for clip in clips}) == 1
    other = load_geoclip(f"openclip:{saved('tiny-vit', tmp_path / 'c.pt', seed=1)}")
    assert other.fingerprint != clips[0].fingerprint


def test_what_a_file_does_not_tell_has_to_be_said(tmp_path: Path) -> None:
    file = saved("tiny-twin", tmp_path / "twin.pt")
    with pytest.raises(InputError, match="tiny-twin and tiny-twin-quickgelu"):
        load_geoclip(f"openclip:{file}")
    plain, quick = (
        load_geoclip(f"openclip:{name}@{file}") for name in ("tiny-twin", "tiny-twin-quickgelu")
    )
    assert plain.fingerprint != quick.fingerprint
    assert not np.allclose(plain.encode_text(WORDS), quick.encode_text(WORDS), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "side", "width"),
    [("tiny-vit", 32, 64), ("tiny-timm", 160, 64), ("tiny-resnet", 64, 24)],
)
def test_features_are_those_before_the_projection(
    name: str, side: int, width: int, tmp_path: Path
) -> None:
    clip = load_geoclip(f"openclip:{name}@{saved(name, tmp_path / 'a.pt')}")
    pixels = np.zeros((2, 3, side, side), np.uint8)
    pixels[1, :, :9] = 200
    assert clip.features(pixels, RGB_BANDS).shape == (2, width)
    embedded = clip.encode_image(pixels, RGB_BANDS)
    assert embedded.shape == (2, TINY[name]["embed_dim"])
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-5)


def test_other_bands_are_seen_as_red_green_and_blue(tmp_path: Path) -> None:
    clip = load_geoclip(f"openclip:{saved('tiny-vit', tmp_path / 'a.pt')}")
    rng = np.random.default_rng(0)
    optical = SENSORS["sentinel2_l2a"].bands
    scene = rng.uniform(0, 0.3, (len(optical), 40, 60)).astype(np.float32)
    names = [band.name for band in optical]
    rgb = [names.index(name) for name in ("B04", "B03", "B02")]
    colour = clip.encode_image(scene[rgb], [optical[i] for i in rgb])
    np.testing.assert_allclose(clip.encode_image(scene, optical), colour, atol=2e-2)
    radar = SENSORS["sentinel1_grd"].bands
    backscatter = rng.uniform(-25, 0, (len(radar), 32, 32)).astype(np.float32)
    grey = clip.encode_image(backscatter, radar)
    np.testing.assert_allclose(clip.encode_image(backscatter[::-1], radar), grey, atol=1e-5)


def test_a_folder_of_open_clip_brings_its_own_tokeniser(tmp_path: Path, cache: Path) -> None:
    text = {
        **TEXT, "vocab_size": 9, "context_length": 8, "hf_tokenizer_name": "someone/words",
        "pool_type": "last",
    }  # fmt: skip
    config = {**TINY["tiny-vit"], "text_cfg": text}
    folder = in_cache(cache, "someone/eo-clip")
    torch.manual_seed(0)
    save_file(open_clip.CLIP(**config).state_dict(), folder / "open_clip_model.safetensors")
    scaling = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    described = {"model_cfg": config, "preprocess_cfg": scaling}
    (folder / "open_clip_config.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(InputError, match="tokeniser someone/words"):
        load_geoclip("openclip:hf-hub:someone/eo-clip")
    tokens = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "lake": 2}, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, unk_token="[UNK]", pad_token="[PAD]"
    ).save_pretrained(folder)
    clip = load_geoclip("openclip:hf-hub:someone/eo-clip")
    lake, desert = clip.encode_text(["lake", "desert"])
    assert not np.allclose(lake, desert)
    assert load_geoclip(f"openclip:{folder}").fingerprint == clip.fingerprint
    (folder / "open_clip_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="does not describe a model"):
        load_geoclip(f"openclip:{folder}")


def test_a_published_model_is_read_from_the_cache_of_the_hub(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Published("openclip:Tiny", "", 1, "MIT", "me/tiny", ("ckpt/Tiny.pt",), "tiny-twin")
    monkeypatch.setattr(published, "PUBLISHED", (row,))
    with pytest.raises(InputError, match="run: terralogue models get openclip:Tiny"):
        load_geoclip("openclip:Tiny")
    folder = in_cache(cache, "me/tiny")
    (folder / "ckpt").mkdir()
    file = saved("tiny-twin", folder / "ckpt" / "Tiny.pt")
    clip = load_geoclip("openclip:Tiny")
    assert (clip.name, clip.dimensions) == ("openclip:Tiny", 40)
    # The file's name tells the architecture that its shapes do not.
    assert load_geoclip(f"openclip:{file}").fingerprint == clip.fingerprint


def test_a_tag_brings_activation_and_scaling(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {"gray": {"hf_hub": "me/gray/", "quick_gelu": True, "mean": (0.5,) * 3, "std": (1,) * 3}}
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-twin", tags)
    with pytest.raises(InputError, match="models get openclip:tiny-twin/gray"):
        load_geoclip("openclip:tiny-twin/gray")
    file = saved("tiny-twin", in_cache(cache, "me/gray") / "open_clip_pytorch_model.bin")
    quick = load_geoclip("openclip:tiny-twin/gray")
    same = load_geoclip(f"openclip:tiny-twin-quickgelu@{file}")
    np.testing.assert_array_equal(quick.encode_text(WORDS), same.encode_text(WORDS))
    assert not np.allclose(
        quick.encode_image(PIXELS, RGB_BANDS), same.encode_image(PIXELS, RGB_BANDS)
    )


@pytest.mark.parametrize(
    ("file", "architecture"),
    [
        ("RemoteCLIP-ViT-L-14.pt", "ViT-L-14"),
        ("RS5M_ViT-B-32.pt", "ViT-B-32-quickgelu"),
        ("SkyCLIP_ViT_B32_top50pct/epoch_20.pt", "ViT-B-32"),
        ("epoch_20.pt", None),
    ],
)
def test_published_files_are_known_by_name(file: str, architecture: str | None) -> None:
    assert architecture_of(Path("models") / file) == architecture
    assert architecture is None or architecture in open_clip.list_models()


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("", "give one as in openclip:RemoteCLIP-ViT-B-32"),
        ("tiny-vit", "needs weights"),
        ("ViT-B-32/nonsense", "a tag such as openai"),
        ("nonsense/openai", "architecture 'nonsense'"),
        ("nonsense", "no model 'openclip:nonsense'"),
        ("hf-hub:a/b/c", "not a repository"),
        ("gone.pt", "there is no checkpoint gone.pt"),
        ("tiny-vit@{folder}/gone.pt", "there is no checkpoint"),
        ("tiny-vit@{folder}/text.pt", "cannot be read as a checkpoint"),
        ("tiny-vit@{folder}/object.pt", "cannot be read as a checkpoint"),
        ("tiny-vit@{folder}/text.safetensors", "cannot be read as a checkpoint"),
        ("tiny-vit@{folder}/twin.pt", "do not fit tiny-vit"),
        ("tiny-wide@{folder}/twin.pt", "do not fit tiny-wide"),
        ("roberta-ViT-B-32@{folder}/twin.pt", "two plain towers"),
        ("{folder}/odd.pt", "fits no architecture"),
        ("{folder}", "has no open_clip_config.json"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(
    rest: str, says: str, tmp_path: Path, cache: Path
) -> None:
    for name in ("text.pt", "text.safetensors"):
        (tmp_path / name).write_text("not a checkpoint", encoding="utf-8")
    torch.save({"state_dict": tmp_path}, tmp_path / "object.pt")
    torch.save({"visual.weight": torch.zeros(3)}, tmp_path / "odd.pt")
    saved("tiny-twin", tmp_path / "twin.pt")
    with pytest.raises(InputError, match=says):
        load_geoclip(f"openclip:{rest.format(folder=tmp_path)}")


def test_a_teacher_says_how_well_each_picture_goes_with_each_text(tmp_path: Path) -> None:
    clip = load_geoclip(f"openclip:{saved('tiny-vit', tmp_path / 'a.pt')}")
    images = torch.from_numpy(PIXELS[:2]).float() / 127.5 - 1
    logits = teacher_logits(clip, images, RGB_BANDS, WORDS)
    assert logits.shape == (2, 3)
    assert logits.dtype == torch.float32
    ranked = clip.encode_image(PIXELS[:2], RGB_BANDS) @ clip.encode_text(WORDS).T
    np.testing.assert_allclose(logits.numpy(), clip.label_scale * ranked, rtol=1e-5)
