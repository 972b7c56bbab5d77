"""A report as one HTML file that needs nothing else: figures, plots, worst cases as thumbnails."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from terralogue.datasets.errors import EOError
from terralogue.datasets.scene import open_scene

WORST: Final = 12
_SIDE: Final = 224
_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse}
td,th{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}
.plots img{max-width:30rem;vertical-align:top;margin:0 1rem 1rem 0}
.cases{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:1rem}
.case{border:1px solid #ddd;border-radius:6px;padding:.6rem;overflow-wrap:anywhere}
.case img{max-width:100%;display:block;margin-bottom:.4rem}
.wrong{color:#a40000}.muted{color:#666;font-size:.85rem;overflow-wrap:anywhere}
"""


@dataclass(frozen=True)
class Case:
    """One answer to show.

    Attributes:
        paths: of the pictures.
        title: what was asked.
        said: what the model answered.
        gold: what was right.
        note: such as the confidence.
    """

    paths: tuple[Path, ...]
    title: str
    said: str
    gold: str
    note: str = ""


def write_page(
    summary: Callable[[], Mapping[str, Any]],
    plots: Sequence[str],
    cases: Sequence[Case],
    heading: str,
    path: Path,
) -> None:
    """Write the page.

    Args:
        summary: gives the content of `summary.json`.
        plots: names of figures that lie beside the page.
        cases: to show as thumbnails.
        heading: of the cases.
        path: HTML file.
    """
    content = summary()
    title = f"{content['task']}: {content['model']}"
    parts = [
        f"<h1>{_safe(title)}</h1>",
        f"<p>{content['n']} items. Data {_safe(str(content['data_sha256'])[:16])}, code "
        f"{_safe(content['code_version'])}.</p>",
        _figures(content),
        _types(content["per_type"]),
    ]
    if plots:
        shown = "".join(_png(path.parent / name) for name in plots)
        parts.append(f'<h2>Plots</h2><div class="plots">{shown}</div>')
    if cases:
        listed = "".join(map(_case, cases))
        parts.append(f'<h2>{_safe(heading)}</h2><div class="cases">{listed}</div>')
    path.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{_safe(title)}</title><style>{_STYLE}</style></head><body>"
        f"{''.join(parts)}</body></html>\n",
        encoding="utf-8",
    )


def _safe(text: object) -> str:
    return html.escape(str(text))


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)


def _figures(content: Mapping[str, Any]) -> str:
    """Metrics with their intervals, and baselines."""
    rows = []
    for name, value in content["metrics"].items():
        ends = content["interval_95"].get(name)
        spread = f"{_number(ends[0])} to {_number(ends[1])}" if ends else ""
        rows.append((name, _number(value), spread))
    rows += [
        (f"baseline {k}", _number(v), "") for k, v in content["baselines"].items() if v is not None
    ]
    rows.append(("parse_rate", _number(content["parse_rate"]), ""))
    return _table(("figure", "value", "95 % interval"), rows)


def _types(per_type: Mapping[str, Mapping[str, Any]]) -> str:
    if not per_type:
        return ""
    columns = list(dict.fromkeys(name for figures in per_type.values() for name in figures))
    rows = [
        (kind, *(_number(figures.get(name)) for name in columns))
        for kind, figures in per_type.items()
    ]
    return f"<h2>By type</h2>{_table(('type', *columns), rows)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{_safe(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{_safe(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _png(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{_safe(path.stem)}" src="data:image/png;base64,{data}">'


def _case(case: Case) -> str:
    pictures = "".join(map(_thumbnail, case.paths[:2]))
    return (
        f'<div class="case">{pictures}<b>{_safe(case.title)}</b><br>'
        f'<span class="wrong">{_safe(case.said or "(nothing)")}</span>; right: {_safe(case.gold)}'
        f'<div class="muted">{_safe(case.note)}</div></div>'
    )


def _thumbnail(path: Path) -> str:
    """A small picture; what cannot be drawn is left out, since the run was able to read it."""
    try:
        with open_scene(path) as scene:
            picture = Image.fromarray(scene.preview(_SIDE))
    except EOError:
        return ""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'
