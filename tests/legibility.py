"""Whether the texts of a picture can be read: none on another, none cut off."""

from __future__ import annotations

import itertools
from unittest.mock import patch

from matplotlib.text import Text


def illegible_texts(figure):
    """Return pairs of texts that overlap, and texts that leave the figure."""
    drawn = []
    draw = Text.draw

    def record(text, renderer, *args, **kwargs):
        draw(text, renderer, *args, **kwargs)
        if text.get_visible() and text.get_text().strip():
            drawn.append((text.get_text(), text.get_window_extent(renderer)))

    with patch.object(Text, "draw", record):
        figure.canvas.draw()
    assert drawn
    width, height = figure.canvas.get_width_height()
    wrong = [
        (name, "leaves the figure")
        for name, box in drawn
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    for (one, box), (other, other_box) in itertools.combinations(drawn, 2):
        # a pixel is the round-off of a box that a letter does not fill
        across = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
        along = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
        if across > 1 and along > 1:
            wrong.append((one, other))
    return wrong
