"""Names and numbers as C text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from converters.errors import InputError

__all__ = ["array", "check_name", "float_literal", "identifiers", "integer", "name_from"]

# C99, and what C++ adds: the header is for both.
_KEYWORDS = frozenset(
    [
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "typedef",
        "union",
        "unsigned",
        "void",
        "volatile",
        "while",
        "_Bool",
        "_Complex",
        "_Imaginary",
        "alignas",
        "alignof",
        "and",
        "and_eq",
        "asm",
        "bitand",
        "bitor",
        "bool",
        "catch",
        "class",
        "compl",
        "const_cast",
        "constexpr",
        "decltype",
        "delete",
        "dynamic_cast",
        "explicit",
        "export",
        "false",
        "friend",
        "mutable",
        "namespace",
        "new",
        "noexcept",
        "not",
        "not_eq",
        "nullptr",
        "operator",
        "or",
        "or_eq",
        "private",
        "protected",
        "public",
        "reinterpret_cast",
        "static_assert",
        "static_cast",
        "template",
        "this",
        "thread_local",
        "throw",
        "true",
        "try",
        "typeid",
        "typename",
        "using",
        "virtual",
        "wchar_t",
        "xor",
        "xor_eq",
    ]
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_PREFIX = "edge_lstm"  # files and functions of the runtime
# Files and macros that NAME.h would hide or be hidden by.
_RESERVED_NAMES = frozenset({"string", "stdint", "stddef", "arm_acle", "emmintrin", "null"})
_MOST_CHARACTERS = 48  # C99 promises 31 significant ones; compilers in use keep far more


def check_name(name: str) -> str:
    """Return ``name`` if it can name a model in C, else raise InputError."""
    if not _IDENTIFIER.fullmatch(name):
        problem = "is not a C identifier: use letters, digits and _, and no digit first"
    elif name in _KEYWORDS:
        problem = "is a keyword of C or C++: choose another"
    elif name.lower().startswith(_RESERVED_PREFIX):
        problem = f"begins with {_RESERVED_PREFIX}, which names the runtime: choose another"
    elif name.startswith("_") or name.lower() in _RESERVED_NAMES:
        problem = "is reserved by C or one of its headers: choose another"
    elif len(name) > _MOST_CHARACTERS:
        problem = f"is longer than {_MOST_CHARACTERS} characters: choose a shorter one"
    else:
        return name
    raise InputError(f"the model name '{name}' {problem}")


def name_from(text: str) -> str:
    """A valid model name made of any text, such as a file's stem."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:_MOST_CHARACTERS] or "model"
    taken = name in _KEYWORDS or name.lower() in _RESERVED_NAMES
    if taken or name[0].isdigit() or name.lower().startswith(_RESERVED_PREFIX):
        name = f"model_{name}"[:_MOST_CHARACTERS]
    return name


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Distinct C suffixes for layer names, which may hold any character."""
    taken: dict[str, str] = {}
    for name in names:
        base = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "layer"
        suffix, count = base, 1
        while suffix in taken.values():
            count += 1
            suffix = f"{base}_{count}"
        taken[name] = suffix
    return taken


def integer(value: int) -> str:
    """An int32 constant. INT32_MIN has no literal of its own in C."""
    if value == -(1 << 31):
        return "(-2147483647 - 1)"
    return f"({value})" if value < 0 else str(value)


def float_literal(value: float) -> str:
    """The shortest float32 constant that reads back the same."""
    text = str(np.float32(value))
    return (text if re.search(r"[.e]", text) else f"{text}.0") + "f"


def array(kind: str, name: str, values: npt.NDArray[np.generic] | Sequence[str]) -> str:
    """A ``static const`` array of integers, or of literals that are given as text."""
    items = values if isinstance(values, Sequence) else [str(v) for v in values.ravel()]
    body = textwrap.fill(
        ", ".join("(-2147483647 - 1)" if item == "-2147483648" else item for item in items),
        width=96,
        initial_indent="    ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"static const {kind} {name}[{len(items)}] = {{\n{body},\n}};\n"
