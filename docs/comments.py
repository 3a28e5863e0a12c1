"""For the reference: a field's comment, beside or above it, is what the field means."""

import functools
import io
import tokenize
from pathlib import Path

import griffe


@functools.cache
def _comments(path: Path) -> dict[int, str]:
    """The comment of each line that has one."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
    return {t.start[0]: t.string[1:].strip() for t in tokens if t.type == tokenize.COMMENT}


class Comments(griffe.Extension):
    """Makes docstrings of the comments of NamedTuples' and dataclasses' fields."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **kwargs) -> None:
        if attr.docstring or not attr.parent.is_class or attr.lineno is None:
            return
        comments, source = _comments(attr.filepath), attr.filepath.read_text().splitlines()
        lines = [comments.get(attr.lineno, "")]
        above = attr.lineno - 1
        while not lines[0] and source[above - 1].lstrip().startswith("#"):
            lines.insert(1, comments[above])
            above -= 1
        if text := " ".join(lines).strip():
            attr.docstring = griffe.Docstring(text, lineno=attr.lineno, parent=attr)
