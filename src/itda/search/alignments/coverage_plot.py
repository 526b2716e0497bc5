"""A picture of an alignment: its rows by identity to the query, and how many cover each residue.

As ColabFold draws it: a line a row, the most alike on top, coloured by identity where the row has a
residue; over them, on the same axis, the number of rows at each position.
"""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

import numpy as np
from jaxtyping import UInt8

from itda.search.alignments.alignment import Alignment
from itda.search.alignments.depth import identity_to_query, residues_of_columns

_WIDTH, _HEIGHT, _MARGIN_LEFT, _MARGIN_TOP, _RIGHT, _BOTTOM = 640, 320, 64, 36, 84, 48
_LEVELS = 100
_WHITE = _LEVELS + 1
_MOST_LINES = 1200
# Viridis from dark to light at even steps; readable without colour vision.
_ANCHORS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


def coverage_plot(alignment: Alignment, *, title: str = "") -> str:
    """Draw the coverage of an alignment.

    Args:
        alignment: Row 0 is the query. Of more than 1,200 rows every n-th is drawn; the line counts
            all.
        title: Text above the picture.

    Returns:
        An SVG file's text, complete in itself.
    """
    counts = residues_of_columns(alignment)
    order = np.argsort(-identity_to_query(alignment), kind="stable")
    picture = _image(alignment, order[:: -(-len(order) // _MOST_LINES)])
    most = max(len(alignment), 1)
    steps = _WIDTH / alignment.length
    line = " ".join(
        f"{_MARGIN_LEFT + (place + 0.5) * steps:.1f},{_level(count / most):.1f}"
        for place, count in enumerate(counts)
    )
    right, bottom = _MARGIN_LEFT + _WIDTH, _MARGIN_TOP + _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right + _RIGHT}" '
        f'height="{bottom + _BOTTOM}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title or 'Coverage of an alignment')}</title>",
        '<rect width="100%" height="100%" fill="white"/>',
        _text(_MARGIN_LEFT + _WIDTH / 2, 22, title, size=14),
        f'<image x="{_MARGIN_LEFT}" y="{_MARGIN_TOP}" width="{_WIDTH}" height="{_HEIGHT}" '
        'preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{base64.b64encode(picture).decode()}"/>',
        f'<polyline points="{line}" fill="none" stroke="black" stroke-width="1.5"/>',
        f'<path d="M{_MARGIN_LEFT} {_MARGIN_TOP}V{bottom}H{right}" fill="none" stroke="black"/>',
        *(
            _text(_MARGIN_LEFT + (place - 0.5) * steps, bottom + 16, str(place))
            for place in _ticks(alignment.length)
        ),
        *(
            _text(_MARGIN_LEFT - 6, _level(count / most) + 4, f"{count:,}", anchor="end")
            for count in (0, *_ticks(most)[1:])
        ),
        _text(_MARGIN_LEFT + _WIDTH / 2, bottom + 36, "residue of the query"),
        f'<text transform="translate(14 {_MARGIN_TOP + _HEIGHT / 2}) rotate(-90)" '
        'text-anchor="middle">sequences</text>',
        *_legend(right + 20),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _level(part: float) -> float:
    return _MARGIN_TOP + _HEIGHT * (1 - part)


def _image(alignment: Alignment, rows: np.ndarray) -> bytes:
    identity = np.rint(identity_to_query(alignment)[rows] * _LEVELS).astype(np.uint8)
    covered = alignment.is_residue[rows]
    return _png(np.where(covered, identity[:, None], np.uint8(_WHITE)))


def _png(pixels: UInt8[np.ndarray, "line column"]) -> bytes:
    """Write a PNG with one byte a pixel; see https://www.w3.org/TR/png-3/."""
    palette = bytes(part for level in range(_LEVELS + 1) for part in _colour(level / _LEVELS))
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette + b"\xff\xff\xff"),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _colour(identity: float) -> tuple[int, ...]:
    place = identity * (len(_ANCHORS) - 1)
    start = min(int(place), len(_ANCHORS) - 2)
    return tuple(
        round(one + (other - one) * (place - start))
        for one, other in zip(_ANCHORS[start], _ANCHORS[start + 1], strict=True)
    )


def _ticks(most: int) -> list[int]:
    """Give 1 and about five round numbers up to `most`."""
    rough = max(most / 5, 1)
    power = 10 ** int(np.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [1, *range(step, most + 1, step)] if step > 1 else list(range(1, most + 1))


def _text(x: float, y: float, text: str, *, anchor: str = "middle", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(text)}</text>"
    )


def _legend(x: float) -> list[str]:
    bands = 20
    height = f"{_HEIGHT / bands + 0.5:.1f}"
    boxes = [
        f'<rect x="{x}" y="{_level((band + 1) / bands):.1f}" width="12" height="{height}" '
        f'fill="rgb{_colour((band + 0.5) / bands)}"/>'
        for band in range(bands)
    ]
    marks = [
        _text(x + 17, _level(part / 100) + 4, f"{part} %", anchor="start")
        for part in (0, 25, 50, 75, 100)
    ]
    return [*boxes, *marks, _text(x + 22, _MARGIN_TOP - 14, "identity")]
