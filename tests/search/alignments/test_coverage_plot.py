import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from itda.search.alignments.alignment import Alignment
from itda.search.alignments.coverage_plot import coverage_plot

SPACE = "{http://www.w3.org/2000/svg}"


def picture(svg):
    image = ElementTree.fromstring(svg).find(f"{SPACE}image")
    return base64.b64decode(image.get("href").partition("base64,")[2])


def test_rows_stand_by_identity_with_gaps_in_white():
    pillow = pytest.importorskip("PIL.Image")
    alignment = Alignment.from_aligned("ACDE", ("poor", "good"), ("AWW-", "ACD-"))
    pixels = np.asarray(pillow.open(io.BytesIO(picture(coverage_plot(alignment)))).convert("RGB"))
    assert pixels.shape == (3, 4, 3)
    white = (pixels == 255).all(2)
    assert white.tolist() == [[False] * 4, [False, False, False, True], [False] * 3 + [True]]
    assert pixels[0, 0].tolist() == pixels[1, 0].tolist() == [253, 231, 37]
    assert pixels[2, 0].tolist() != pixels[1, 0].tolist()


def test_line_counts_the_rows_of_each_residue():
    alignment = Alignment.from_aligned("ACDE", ("r", "s"), ("AC--", "A---"))
    line = ElementTree.fromstring(coverage_plot(alignment)).find(f"{SPACE}polyline")
    heights = [float(point.split(",")[1]) for point in line.get("points").split()]
    parts = [(356 - height) / 320 for height in heights]
    assert parts == pytest.approx([1, 2 / 3, 1 / 3, 1 / 3], abs=1e-3)


def test_title_is_escaped_and_the_file_is_complete_in_itself():
    svg = coverage_plot(Alignment.from_aligned("ACDE"), title="<a> & b")
    ElementTree.fromstring(svg)
    assert "&lt;a&gt; &amp; b" in svg
    assert not re.search(r'href="(?!data:)', svg)


def test_deep_alignments_are_thinned():
    deep = Alignment.from_aligned("ACDE", [str(row) for row in range(5000)], ["ACDE"] * 5000)
    pixels = picture(coverage_plot(deep))
    height = int.from_bytes(pixels[20:24], "big")
    assert 600 <= height <= 1200
    assert "5,000" in coverage_plot(deep)
