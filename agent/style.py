"""The look of the page and its fixed texts: one style sheet, system fonts, light and dark."""

from __future__ import annotations

from typing import Final

FONT: Final = (
    'system-ui, -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", Arial, sans-serif'
)
MONO: Final = 'ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace'

# A globe with a swath across it.
LOGO: Final = (
    '<svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">'
    '<circle cx="16" cy="16" r="14" fill="#0f766e"/>'
    '<path d="M4.5 21.5C10 15 21 10.5 29 11.2A14 14 0 0 1 29.7 18C21 17 12 21.5 7.5 27'
    'A14 14 0 0 1 4.5 21.5Z" fill="#5eead4"/>'
    '<circle cx="11" cy="10" r="2.4" fill="#fff"/></svg>'
)

HEADER: Final = (
    f'<div class="tl-head">{LOGO}<div><h1>Terralogue</h1>'
    "<p>Ask your satellite images: measured, or judged by eye.</p></div></div>"
)

CSS: Final = f"""
:root, .dark {{ --font: {FONT}; --font-mono: {MONO}; }}
body, .gradio-container {{ font-family: {FONT} !important; }}
.gradio-container {{ max-width: 1720px !important; margin: 0 auto; padding: 14px 22px !important; }}
footer {{ display: none !important; }}

.tl-head {{ display: flex; align-items: center; gap: 12px; padding: 2px 0; }}
.tl-head svg {{ flex: none; }}
.tl-head h1 {{ font-size: 1.28rem; font-weight: 650; letter-spacing: -0.015em; margin: 0;
  line-height: 1.2; }}
.tl-head p {{ margin: 0; font-size: 0.86rem; color: var(--body-text-color-subdued);
  white-space: nowrap; }}
#bar {{ align-items: center; border-bottom: 1px solid var(--border-color-primary);
  padding-bottom: 10px; margin-bottom: 4px; }}
#thread textarea, #thread input {{ font-family: {MONO}; font-size: 0.78rem; padding: 6px 10px; }}
#bar .tl-side {{ font-size: 0.8rem; color: var(--body-text-color-subdued); text-align: right; }}

#chat {{ height: calc(100vh - 318px) !important; min-height: 380px;
  border: 1px solid var(--border-color-primary); border-radius: 14px; }}
#chat .message, #chat .message .prose, #chat .message p, #chat .message li {{
  font-size: 0.93rem; line-height: 1.5; }}
#thread button {{ font-size: 0.8rem; padding: 2px 10px; }}
#chat .placeholder-content {{ padding: 0 24px; }}
#chat .placeholder-content h3 {{ font-weight: 650; letter-spacing: -0.01em; }}
#chips {{ gap: 6px; flex-wrap: wrap; }}
#chips button {{ flex: 0 1 auto; min-width: 0; border-radius: 999px; font-weight: 450;
  font-size: 0.82rem; padding: 5px 12px; background: var(--background-fill-primary);
  border: 1px solid var(--border-color-primary); color: var(--body-text-color-subdued); }}
#chips button:hover {{ border-color: var(--color-accent); color: var(--body-text-color); }}

/* Browsers show no TIFF: an uploaded scene is a small globe instead of a broken picture. */
#box .thumbnail-image {{ display: none; }}
#box .thumbnail-item {{ background: radial-gradient(circle at 35% 30%, #5eead4, #0f766e 70%); }}
#files .label-clear-button {{ display: none; }}

#side {{ min-width: 380px; }}
@media (min-width: 1000px) {{ #left {{ position: sticky; top: 12px; }} }}
#result-picture img, #scene-picture img {{ border-radius: 10px; }}
#scene-picture img {{ cursor: crosshair; }}
#samples .grid-wrap {{ max-height: none; }}
#samples {{ border: none; background: none; padding: 0; }}
#samples .caption-label {{ left: 0; right: 0; bottom: 0; max-width: none; border-radius: 0;
  font-size: 0.82rem; font-weight: 550; text-align: left; }}

#table td, #table th, #table span, #table textarea {{ font-family: {FONT} !important;
  font-size: 0.82rem; }}

.tl-cards {{ display: grid; gap: 10px;
  grid-template-columns: repeat(auto-fit, minmax(112px, 1fr)); }}
.tl-card {{ border: 1px solid var(--border-color-primary); border-radius: 12px; padding: 10px 14px;
  background: var(--background-fill-primary); }}
.tl-card:first-child {{ border-color: var(--color-accent); }}
.tl-figure {{ font-size: 1.22rem; font-weight: 650; letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums; line-height: 1.25; }}
.tl-figure small {{ font-size: 0.68em; font-weight: 550; letter-spacing: 0; }}
.tl-label {{ font-size: 0.77rem; line-height: 1.3; color: var(--body-text-color-subdued); }}
.tl-facts {{ width: 100%; border-collapse: collapse; font-size: 0.86rem; }}
.tl-facts, .tl-facts tr, .tl-facts th, .tl-facts td {{ border: none !important; }}
.tl-facts th {{ text-align: left; font-weight: 550; color: var(--body-text-color-subdued);
  padding: 5px 14px 5px 0; vertical-align: top; white-space: nowrap; }}
.tl-facts td {{ padding: 5px 0; overflow-wrap: anywhere; }}
.tl-facts tr + tr {{ border-top: 1px solid var(--border-color-primary) !important; }}
.tl-note {{ font-size: 0.83rem; border-left: 3px solid #f59e0b; padding: 2px 0 2px 10px;
  margin: 8px 0 0; color: var(--body-text-color-subdued); }}
.tl-empty {{ color: var(--body-text-color-subdued); font-size: 0.88rem; padding: 6px 0; }}
"""

HEAD: Final = (
    "<link rel='icon' href=\"data:image/svg+xml,"
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Ccircle cx='16' cy='16' r='14' fill='%230f766e'/%3E"
    "%3Cpath d='M5 22C10 15 21 10 29 11a14 14 0 0 1 0 7C21 17 12 21 8 27z' fill='%235eead4'/%3E"
    '%3C/svg%3E">'
)

BROKEN: Final = (
    "Something went wrong inside Terralogue; the details are in the server's log. "
    "The conversation goes on: ask again, or ask something else."
)
WELCOME: Final = """### Ask your satellite images
Drop a scene below: GeoTIFF, JPEG 2000, PNG, NetCDF, ENVI, or one file per band.
Or pick a sample on the right.

What can be measured is measured, and comes with its method, a map and the files. What only an eye
can tell is read off the picture, and comes with how sure that is."""
