"""The workspace: scenes by id, uploads, and the files that tools write. Knows no MCP.

    ROOT/scenes/pisa-3fa9c1.json          a scene: absolute paths, and what a person said of it
    ROOT/uploads/8d1c…/pisa.tif           copies of uploaded files
    ROOT/artefacts/water-5b0e7f21/        one folder per file a tool wrote, with its meta.json

Several processes may share a workspace: everything is written beside its place, then renamed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from terralogue.datasets.errors import InputError, SceneError, WorkspaceError
from terralogue.tools.archive_place import archive_exists, archive_location
from terralogue.tools.schemas import Artefact, ArtefactKind

if TYPE_CHECKING:
    from terralogue.datasets.scene import Scene

OPEN_SCENES = 8
_ROOMS = ("scenes", "uploads", "artefacts")
_TEMPORARY = ".tmp-"
_STALE_SECONDS = 24 * 3600.0
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_CANNOT_WRITE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM,
    errno.ENOTDIR,
}  # fmt: skip

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class SceneRecord:
    """A scene of the workspace: where its files are, and what a person said about it."""

    id: str
    name: str
    paths: tuple[Path, ...]
    sensor: str | None = None
    time: str | None = None


@dataclass
class PendingArtefact:
    """A file on its way into the workspace: write it at `path`, then `commit()`."""

    id: str
    path: Path
    kind: ArtefactKind
    title: str
    media_type: str
    store: Store
    committed: Artefact | None = None

    def commit(self) -> Artefact:
        """Make the file visible, whole.

        Raises:
            InputError: the workspace cannot be written, for example because the disk is full.
            FileNotFoundError: nothing was written at `path`.
        """
        self.path.stat()
        meta = {"kind": self.kind, "title": self.title, "media_type": self.media_type}
        meta["file"] = self.path.name
        folder = self.store.root / "artefacts" / self.id
        with self.store.writing():
            (self.path.parent / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
            self.path.parent.rename(folder)
        self.path = folder / self.path.name
        self.committed = self.store.artefact(self.id)
        return self.committed

    def discard(self, *, even_committed: bool = False) -> None:
        """Remove the file unless it was committed; nothing happens the second time."""
        if self.committed is None or even_committed:
            shutil.rmtree(self.path.parent, ignore_errors=True)


class Store:
    """A workspace folder; safe to share between threads and between processes."""

    def __init__(self, root: Path) -> None:
        """Create the folder where it is missing and clear what crashed processes left behind.

        Raises:
            InputError: the folder cannot be written.
        """
        self.root = root.expanduser().absolute()
        self._lock = threading.Lock()
        self._open: OrderedDict[str, tuple[SceneRecord, Stamp, Scene]] = OrderedDict()
        with self.writing():
            for room in _ROOMS:
                (self.root / room).mkdir(parents=True, exist_ok=True)
        self.root = self.root.resolve()
        self._rooms = {self.root, *(self.root / room for room in _ROOMS)}
        self._clear_stale()

    # --- scenes ---------------------------------------------------------------------------

    def add_scene(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        sensor: str | None = None,
        time: str | None = None,
    ) -> str:
        """Register one scene: a file, a folder, or a list of one-band files; the same id again.

        Args:
            paths: anywhere on this machine; the person who registers a scene vouches for it.
            sensor: key in SENSORS, where a person said it; kept from before if not given.
            time: ISO 8601, likewise.

        Raises:
            SceneError: a path does not exist.
            InputError: the time cannot be read, or the workspace cannot be written.
        """
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        if not given:
            raise SceneError("A scene needs at least one file.")
        files = tuple(_existing(Path(path)) for path in given)
        name = files[0].stem if len(files) == 1 and files[0].is_file() else _common_name(files)
        digest = hashlib.sha256("\n".join(sorted(map(str, files))).encode()).hexdigest()
        for length in (6, 16):
            scene_id = f"{_slug(name)}-{digest[:length]}"
            known = self._record(scene_id)
            if known is None or sorted(known.paths) == sorted(files):
                break
        known = known or SceneRecord(scene_id, name, files)
        self._save(replace(
            known,
            paths=files,
            sensor=sensor or known.sensor,
            time=_iso(time) if time else known.time,
        ))  # fmt: skip
        return scene_id

    def add_upload(self, *files: str | Path) -> list[Path]:
        """Copy files into the workspace, together in one folder, and say where they are now.

        Files that belong together (one-band files, an ENVI raster and its header) go in one
        call. The same content under the same names lands in the same place.

        Raises:
            SceneError: a file does not exist.
            InputError: the workspace cannot be written.
        """
        sources = [_existing(Path(file)) for file in files]
        names = [_safe_name(source.name) for source in sources]
        digest = hashlib.sha256()
        for name, source in sorted(zip(names, sources, strict=True)):
            with source.open("rb") as stream:
                digest.update(name.encode() + hashlib.file_digest(stream, "sha256").digest())
        folder = self.root / "uploads" / digest.hexdigest()[:16]
        if not folder.is_dir():
            temporary = self._temporary("uploads")
            try:
                with self.writing():
                    for name, source in zip(names, sources, strict=True):
                        shutil.copyfile(source, temporary / name)
                    _rename_unless_there(temporary, folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return [folder / name for name in names]

    def find(self, reference: str) -> SceneRecord:
        """The scene with this id, or at this path relative to the workspace.

        Raises:
            WorkspaceError: neither; absolute paths, `..` and links that lead out included.
        """
        if _ID.fullmatch(reference) and (record := self._record(reference)) is not None:
            return record
        record = self._record(self.add_scene(self._inside(reference)))
        assert record is not None
        return record

    def open(self, reference: str) -> Scene:
        """Open the scene with this id, or at this path relative to the workspace.

        The last few scenes stay open; one whose files or record changed is opened again.

        Raises:
            WorkspaceError: no such scene in the workspace.
            SceneError: its files cannot be read.
        """
        return self._opened(self.find(reference))

    def _opened(self, record: SceneRecord) -> Scene:
        # rasterio takes a while to load, and listing a workspace does not need it.
        from terralogue.datasets.scene import open_scene

        stamp = _stamp(record.paths)
        with self._lock:
            known = self._open.get(record.id)
            if known is not None and known[:2] == (record, stamp):
                self._open.move_to_end(record.id)
                return known[2]
        source = record.paths[0] if len(record.paths) == 1 else record.paths
        moment = datetime.fromisoformat(record.time) if record.time else None
        scene = open_scene(source, sensor=record.sensor, time=moment)
        with self._lock:
            # A scene that drops out is not closed under the tool that may still read it: its
            # files close when the last user lets go of it.
            self._open.pop(record.id, None)
            self._open[record.id] = (record, stamp, scene)
            while len(self._open) > OPEN_SCENES:
                self._open.popitem(last=False)
        return scene

    def set_sensor(self, scene_id: str, sensor: str) -> None:
        """Keep what a person said about the sensor, once the scene opens with it.

        Raises:
            WorkspaceError: no such scene.
            InputError: no such sensor, or the scene cannot be one of its.
        """
        record = replace(self.find(scene_id), sensor=sensor)
        self._opened(record)
        self._save(record)

    def set_time(self, scene_id: str, iso: str) -> None:
        """Keep what a person said about the time of acquisition, ISO 8601.

        Raises:
            WorkspaceError: no such scene.
            InputError: the time cannot be read.
        """
        self._save(replace(self.find(scene_id), time=_iso(iso)))

    def scenes(self) -> list[SceneRecord]:
        """All scenes of the workspace, by id."""
        found = [self._record(path.stem) for path in sorted((self.root / "scenes").glob("*.json"))]
        return [record for record in found if record is not None]

    # --- artefacts ------------------------------------------------------------------------

    def new_artefact(
        self, kind: ArtefactKind, title: str, filename: str, media_type: str
    ) -> PendingArtefact:
        """A place for a new file, invisible until it is committed.

        Raises:
            InputError: the workspace cannot be written.
        """
        name = _safe_name(filename)
        folder = self._temporary("artefacts")
        artefact_id = f"{_slug(Path(name).stem)}-{secrets.token_hex(4)}"
        return PendingArtefact(artefact_id, folder / name, kind, title, media_type, self)

    def artefact(self, artefact_id: str) -> Artefact:
        """The artefact with this id.

        Raises:
            WorkspaceError: no such artefact.
        """
        folder = self.root / "artefacts" / artefact_id
        if _ID.fullmatch(artefact_id):
            with contextlib.suppress(FileNotFoundError):
                meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
                return Artefact(id=artefact_id, path=str(folder / meta.pop("file")), **meta)
        raise WorkspaceError(
            f"{_quote(artefact_id)} is no artefact of this workspace; use an id from a result."
        )

    def artefacts(self) -> list[Artefact]:
        """All artefacts of the workspace, oldest first."""
        metas = (self.root / "artefacts").glob("[!.]*/meta.json")
        found = []
        for path in sorted(metas, key=_modified):
            # Another process may have taken it back since it was listed.
            with contextlib.suppress(WorkspaceError):
                found.append(self.artefact(path.parent.name))
        return found

    @property
    def has_archive(self) -> bool:
        """Whether there is an archive to search beside this workspace."""
        return archive_exists(archive_location(self.root))

    # --- files ----------------------------------------------------------------------------

    def explain(self, error: OSError) -> InputError | None:
        """What to tell a person where a file of the workspace could not be written, else None."""
        if error.errno in _CANNOT_WRITE:
            why = os.strerror(error.errno)
        elif shutil.disk_usage(self.root).free < 2**20:
            # Raster libraries report a full disk without its error number.
            why = os.strerror(errno.ENOSPC)
        else:
            return None
        return InputError(
            f"The workspace {self.root} cannot be written ({why}); free some space there or "
            "choose another folder."
        )

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn a full disk or a read-only folder into one clear sentence.

        Raises:
            InputError: the workspace cannot be written.
        """
        try:
            yield
        except OSError as error:
            explained = self.explain(error)
            if explained is None:
                raise
            raise explained from error

    def _inside(self, reference: str) -> Path:
        parts = Path(reference).parts
        hidden = any(part.startswith(".") for part in parts)
        if parts and not hidden and "\0" not in reference and not Path(reference).is_absolute():
            with contextlib.suppress(OSError):
                path = (self.root / reference).resolve(strict=True)
                if path.is_relative_to(self.root) and path not in self._rooms:
                    return path
        raise WorkspaceError(
            f"{_quote(reference)} is neither a scene of this workspace nor a file inside it; "
            "use a scene id or a path relative to the workspace."
        )

    def _record(self, scene_id: str) -> SceneRecord | None:
        try:
            text = (self.root / "scenes" / f"{scene_id}.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        values: dict[str, Any] = json.loads(text)
        return SceneRecord(**{**values, "paths": tuple(map(Path, values["paths"]))})

    def _save(self, record: SceneRecord) -> None:
        if self._record(record.id) == record:
            return
        values = {**asdict(record), "paths": [str(path) for path in record.paths]}
        temporary = self._temporary("scenes")
        try:
            with self.writing():
                (temporary / "record.json").write_text(json.dumps(values, indent=1), "utf-8")
                (temporary / "record.json").replace(self.root / "scenes" / f"{record.id}.json")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _temporary(self, room: str) -> Path:
        with self.writing():
            return Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self.root / room))

    def _clear_stale(self) -> None:
        for folder in self.root.glob(f"*/{_TEMPORARY}*"):
            if time.time() - _modified(folder) > _STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def default_workspace() -> Path:
    """The workspace of this user: under TERRALOGUE_HOME, or where the system keeps such data."""
    home = os.environ.get("TERRALOGUE_HOME") or platformdirs.user_data_dir("terralogue")
    return Path(home) / "workspace"


def _existing(path: Path) -> Path:
    """The path, absolute and without links."""
    try:
        return path.expanduser().resolve(strict=True)
    except (OSError, ValueError):
        raise SceneError(f"{path} does not exist; check the path.") from None


def _common_name(paths: Sequence[Path]) -> str:
    """A name for a folder, or for a list of one-band files: what their names share."""
    if len(paths) == 1:
        return paths[0].name
    # Letter by letter on purpose: LC08_…_B2 and LC08_…_B3 share LC08_…
    shared = os.path.commonprefix([path.stem for path in paths])  # noqa: RUF071
    shared = re.sub(r"[^_.-]*$", "", shared).rstrip("_.-")
    return shared or paths[0].parent.name or "scene"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "scene"


def _safe_name(filename: str) -> str:
    """The file name without folders or odd characters; sensors are recognised by their names."""
    return re.sub(r"[^\w.+-]+", "_", Path(filename).name)[-150:].lstrip(".") or "file"


def _iso(text: str) -> str:
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        raise InputError(f"The time {_quote(text)} is not ISO 8601, such as 2024-07-01.") from None


def _quote(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "…")


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _stamp(paths: Sequence[Path]) -> Stamp:
    """Changes when a file of the scene does; a folder counts with the files in it."""
    files = [
        file for path in paths for file in ([path, *path.rglob("*")] if path.is_dir() else [path])
    ]
    found = []
    for file in sorted(files):
        with contextlib.suppress(FileNotFoundError):
            status = file.stat()
            found.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(found)


def _rename_unless_there(source: Path, target: Path) -> None:
    """Rename a folder; another process may have put the same content there meanwhile."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
