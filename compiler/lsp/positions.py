"""Offsets in a text, and the lines and columns of the protocol."""

from __future__ import annotations

from bisect import bisect_right


class LineIndex:
    """Converts between offsets (in code points) and (line, column), both from 0; columns count the units of `encoding`: utf-8,
    utf-16 or utf-32."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text = text
        self.encoding = encoding
        self.starts = [0]
        position = text.find("\n")
        while position >= 0:
            self.starts.append(position + 1)
            position = text.find("\n", position + 1)
        self._plain = encoding == "utf-32" or text.isascii()

    def position(self, offset: int) -> tuple[int, int]:
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self.starts, offset) - 1
        start = self.starts[line]
        return line, offset - start if self._plain else self._units(self.text[start:offset])

    def offset(self, line: int, column: int) -> int:
        """The offset of a position; a column behind the end of its line is that end."""
        if line >= len(self.starts):
            return len(self.text)
        start = self.starts[line]
        end = self.starts[line + 1] - 1 if line + 1 < len(self.starts) else len(self.text)
        if self._plain:
            return min(start + column, end)
        units = 0
        for index in range(start, end):
            if units >= column:
                return index
            units += self._units(self.text[index])
        return end

    def _units(self, text: str) -> int:
        return len(text.encode("utf-8")) if self.encoding == "utf-8" else len(text.encode("utf-16-le", "surrogatepass")) // 2
