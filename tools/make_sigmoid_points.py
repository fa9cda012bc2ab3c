"""Writes firmware_templates/runtime/edge_lstm_sigmoid_points.h from the oracle's table.

Run it again after a change of ``converters.activation_tables.interpolation_table``; a test
compares the two over all inputs.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from converters.activation_tables import interpolation_table

HEADER = Path(__file__).parent.parent / "firmware_templates/runtime/edge_lstm_sigmoid_points.h"

TEXT = """\
/* sigmoid(i / 24) in Q0.16, the points that tflite-micro interpolates between. Some are one
   above the rounded value; so they are there. Written by tools/make_sigmoid_points.py.

   A point is in the upper half of a word, the way to the next one in the lower half. */
#ifndef EDGE_LSTM_SIGMOID_POINTS_H
#define EDGE_LSTM_SIGMOID_POINTS_H

#include <stdint.h>

static const uint32_t edge_lstm_sigmoid_points[256] = {{
{body},
}};

#endif
"""


def main() -> None:
    """Write the header."""
    points = [int(point) for point in interpolation_table()]
    following = [*points[1:], points[-1]]  # the last one is the end: no way on from there
    words = [(p << 16) | (n - p) for p, n in zip(points, following, strict=True)]
    body = textwrap.fill(
        ", ".join(f"0x{word:08x}" for word in words),
        width=96,
        initial_indent="    ",
        subsequent_indent="    ",
    )
    HEADER.write_text(TEXT.format(body=body), "utf-8")


if __name__ == "__main__":
    main()
