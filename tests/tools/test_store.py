"""The workspace: ids, what may be opened, artefacts that are whole or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from terralogue.datasets.errors import InputError, SceneError, WorkspaceError
from terralogue.tools import store as store_module
from terralogue.tools.run import Run
from terralogue.tools.store import Store


def raster(path: Path, value: int = 1, bands: int = 3) -> Path:
    profile = {
        "driver": "GTiff", "width": 8, "height": 8, "count": bands, "dtype": "uint8",
        "crs": "EPSG:32632", "transform": Affine(10, 0, 600000, 0, -10, 4800000),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.full((bands, 8, 8), value, np.uint8))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


def test_the_same_paths_give_the_same_readable_id(tmp_path: Path, store: Store) -> None:
    path = raster(tmp_path / "Pisa Tile.tif")
    scene_id = store.add_scene(path)
    assert scene_id.startswith("pisa-tile-")
    assert store.add_scene([str(path)]) == scene_id
    assert Store(store.root).add_scene(path) == scene_id
    assert [record.id for record in store.scenes()] == [scene_id]


def test_a_list_of_band_files_is_one_scene_named_after_what_they_share(
    tmp_path: Path, store: Store
) -> None:
    files = [raster(tmp_path / "pisa" / f"LC08_192030_B{n}.TIF", bands=1) for n in (2, 3)]
    assert store.add_scene(files).startswith("lc08-192030-")
    assert store.add_scene(files[::-1]) == store.add_scene(files)
    plain = [raster(tmp_path / "pisa" / f"B0{n}.tif", bands=1) for n in (2, 3)]
    assert store.add_scene(plain).startswith("pisa-")
    assert store.add_scene(tmp_path / "pisa").startswith("pisa-")
    assert len(store.scenes()) == 3


def test_a_missing_file_is_one_sentence(tmp_path: Path, store: Store) -> None:
    with pytest.raises(SceneError, match=r"nowhere\.tif does not exist"):
        store.add_scene(tmp_path / "nowhere.tif")
    with pytest.raises(SceneError, match="at least one file"):
        store.add_scene([])
    assert store.scenes() == []


def test_what_a_person_said_is_kept_until_said_otherwise(tmp_path: Path, store: Store) -> None:
    path = raster(tmp_path / "a.tif")
    scene_id = store.add_scene(path, time="2024-07-01")
    store.add_scene(path, sensor="rgb_aerial")
    record = Store(store.root).find(scene_id)
    assert (record.sensor, record.time) == ("rgb_aerial", "2024-07-01T00:00:00")
    with pytest.raises(InputError, match="not ISO 8601"):
        store.set_time(scene_id, "last summer")


def test_a_sensor_that_the_scene_cannot_have_is_not_kept(tmp_path: Path, store: Store) -> None:
    scene_id = store.add_scene(raster(tmp_path / "a.tif"))
    with pytest.raises(InputError):
        store.set_sensor(scene_id, "no_such_sensor")
    assert store.find(scene_id).sensor is None
    store.set_sensor(scene_id, "rgb_aerial")
    scene = store.open(scene_id)
    assert scene.sensor is not None
    assert scene.sensor.key == "rgb_aerial"


@pytest.mark.parametrize(
    "reference",
    [
        "/etc/passwd", "../outside.tif", "uploads/../../outside.tif", "uploads/a\0b.tif", "", ".",
        "..", "uploads", "artefacts", "no-such-id-000000", "uploads/.hidden.tif", "link.tif",
        "linked/outside.tif", "x" * 5000, "~/outside.tif", "file:///etc/passwd",
        "/vsicurl/http://localhost/a.tif", "NETCDF:/etc/passwd:x",
    ],
)  # fmt: skip
def test_nothing_outside_the_workspace_is_opened(
    tmp_path: Path, store: Store, reference: str
) -> None:
    outside = raster(tmp_path / "outside.tif")
    raster(store.root / "uploads" / ".hidden.tif")
    (store.root / "link.tif").symlink_to(outside)
    (store.root / "linked").symlink_to(tmp_path)
    with pytest.raises(WorkspaceError, match="neither a scene of this workspace") as caught:
        store.open(reference)
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.scenes() == []


def test_a_file_inside_the_workspace_is_opened_by_its_relative_path(store: Store) -> None:
    raster(store.root / "uploads" / "here" / "a.tif", value=7)
    scene = store.open("uploads/here/a.tif")
    assert scene.read().data.shape == (3, 8, 8)
    assert store.open(store.find("uploads/here/a.tif").id) is scene


def test_a_scene_stays_open_until_its_file_changes(tmp_path: Path, store: Store) -> None:
    path = raster(tmp_path / "a.tif", value=1)
    scene_id = store.add_scene(path)
    first = store.open(scene_id)
    before = float(first.read().data.max())
    assert store.open(scene_id) is first
    raster(path, value=2)
    os.utime(path, ns=(1, 1))
    again = store.open(scene_id)
    assert again is not first
    assert float(again.read().data.max()) == pytest.approx(2 * before)


def test_only_the_last_scenes_are_kept_open(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "OPEN_SCENES", 2)
    ids = [store.add_scene(raster(tmp_path / f"{n}.tif")) for n in range(3)]
    first = store.open(ids[0])
    for scene_id in ids[1:]:
        store.open(scene_id)
    # Dropped, yet whoever still reads it is not disturbed.
    assert first.read().data.shape == (3, 8, 8)
    assert store.open(ids[0]) is not first
    released = weakref.ref(first)
    del first
    assert released() is None


def test_threads_share_one_open_scene(tmp_path: Path, store: Store) -> None:
    scene_id = store.add_scene(raster(tmp_path / "a.tif", value=3))
    start = threading.Barrier(8)

    def read(_: int) -> float:
        start.wait()
        return float(np.nanmean(store.open(scene_id).read().data))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read, range(8)))) == 1


def test_uploads_that_belong_together_lie_together_and_only_once(
    tmp_path: Path, store: Store
) -> None:
    raw, header = tmp_path / "x" / "tm scene.img", tmp_path / "y" / "tm scene.hdr"
    for path, content in ((raw, b"\1\2"), (header, b"ENVI")):
        path.parent.mkdir()
        path.write_bytes(content)
    placed = store.add_upload(raw, header)
    assert [path.name for path in placed] == ["tm_scene.img", "tm_scene.hdr"]
    assert placed[0].parent == placed[1].parent
    assert placed[0].is_relative_to(store.root)
    assert [path.read_bytes() for path in placed] == [b"\1\2", b"ENVI"]
    assert store.add_upload(raw, header) == placed
    raw.write_bytes(b"\3\4")
    assert store.add_upload(raw, header)[0].parent != placed[0].parent


def test_an_artefact_appears_whole_and_only_when_committed(store: Store) -> None:
    pending = store.new_artefact("mask", "Water", "../Water mask.tif", "image/tiff")
    pending.path.write_bytes(b"pixels")
    assert store.artefacts() == []
    artefact = pending.commit()
    assert Path(artefact.path).read_bytes() == b"pixels"
    assert Path(artefact.path).is_relative_to(store.root / "artefacts" / artefact.id)
    assert store.artefact(artefact.id) == artefact
    assert Store(store.root).artefacts() == [artefact]
    meta = json.loads((Path(artefact.path).parent / "meta.json").read_text(encoding="utf-8"))
    assert meta["title"] == "Water"


def test_an_artefact_that_nobody_wrote_cannot_be_committed(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        store.new_artefact("mask", "Water", "water.tif", "image/tiff").commit()
    assert store.artefacts() == []


@pytest.mark.parametrize("artefact_id", ["no-such-00000000", "../scenes", "", "a/b", "a\0b"])
def test_an_unknown_artefact_is_one_sentence(store: Store, artefact_id: str) -> None:
    with pytest.raises(WorkspaceError, match="is no artefact of this workspace"):
        store.artefact(artefact_id)


def test_a_failed_run_leaves_nothing_behind(store: Store) -> None:
    def fail() -> None:
        with Run(store) as run:
            done = run.artefact("mask", "Water", "water.tif", "image/tiff")
            done.path.write_bytes(b"1")
            done.commit()
            run.artefact("preview", "Water", "water.png", "image/png").path.write_bytes(b"2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list((store.root / "artefacts").iterdir()) == []


def test_a_finished_run_keeps_what_it_committed(store: Store) -> None:
    with Run(store) as run:
        for name in ("kept", "dropped"):
            pending = run.artefact("table", name, f"{name}.csv", "text/csv")
            pending.path.write_bytes(b"1")
            if name == "kept":
                pending.commit()
    assert [artefact.title for artefact in store.artefacts()] == ["kept"]
    assert len(list((store.root / "artefacts").iterdir())) == 1


def test_what_a_crash_left_is_cleared_after_a_day(store: Store) -> None:
    old = store.new_artefact("mask", "Old", "old.tif", "image/tiff").path.parent
    new = store.new_artefact("mask", "New", "new.tif", "image/tiff").path.parent
    os.utime(old, (1, 1))
    Store(store.root)
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\)"):
        Store(tmp_path / "file" / "workspace")


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    # A limit on the size of files is how a process meets "no more room" without filling a disk.
    code = f"""
import resource
from pathlib import Path
from terralogue.datasets.errors import InputError
from terralogue.tools.run import Run
from terralogue.tools.store import Store
store = Store(Path({str(tmp_path / "workspace")!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with Run(store) as run:
        run.artefact("mask", "Water", "water.tif", "image/tiff").path.write_bytes(bytes(5000))
except InputError as error:
    print(error)
print(len(list((store.root / "artefacts").iterdir())))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    sentence, left = done.stdout.splitlines()
    assert "cannot be written (File too large)" in sentence
    assert left == "0"


def test_two_processes_share_a_workspace(tmp_path: Path, store: Store) -> None:
    paths = [raster(tmp_path / f"{n}.tif") for n in range(4)]
    code = (
        "import sys; from pathlib import Path; from terralogue.tools.store import Store\n"
        f"store = Store(Path({str(store.root)!r}))\n"
        "for _ in range(5): print(*map(store.add_scene, sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *map(str, paths)]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = {line for other in others for line in other.communicate()[0].splitlines()}
    assert [other.returncode for other in others] == [0, 0]
    assert len(told) == 1
    assert sorted(told.pop().split()) == [record.id for record in store.scenes()]


def test_the_workspace_needs_neither_the_protocol_nor_the_raster_library() -> None:
    code = (
        "import sys, terralogue.tools.run\n"
        "print(sorted({'mcp', 'rasterio', 'torch', 'langgraph'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
