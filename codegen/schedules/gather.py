"""Row copies by index: embedding, the last token of each sequence, nn.gather; with element-wise code around them."""

from __future__ import annotations

from .pointwise import Pointwise


class Gather(Pointwise):
    """`#layout.schedule<"gather", {threads = 128}>`: rows are uniform or gathered, columns are vectors."""

    name = "gather"
    family = "gather"


SCHEDULE = Gather()
