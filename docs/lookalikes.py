"""
Draws src/protocol/lookalikes.ts: the characters that look like Latin letters or digits, by the confusables of UTS 39 as
the ICU of Debian 12 has them (libicu72, Unicode 15.0). Run it as `python3 docs/lookalikes.py`.
"""

import ctypes
import pathlib
import unicodedata

icu = ctypes.CDLL("libicui18n.so.72")
icu.uspoof_open_72.restype = ctypes.c_void_p
icu.uspoof_getSkeletonUTF8_72.argtypes = [
    ctypes.c_void_p,
    ctypes.c_uint32,
    ctypes.c_char_p,
    ctypes.c_int32,
    ctypes.c_char_p,
    ctypes.c_int32,
    ctypes.POINTER(ctypes.c_int),
]
checker = icu.uspoof_open_72(ctypes.byref(ctypes.c_int(0)))


def prototype(text):
    """What UTS 39 §4 puts in the place of a text."""
    raw, room, status = text.encode(), ctypes.create_string_buffer(512), ctypes.c_int(0)
    length = icu.uspoof_getSkeletonUTF8_72(checker, 0, raw, len(raw), room, 512, ctypes.byref(status))
    if status.value > 0:
        raise RuntimeError(f"ICU error {status.value}")
    return room.raw[:length].decode()


def folded(text):
    """As `skeletonOf` in src/protocol/names.ts: without marks, in small letters, those that capitals make alike as one."""
    letters = [c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)]
    one = str.maketrans({"i": "l", "1": "l", "|": "l", "0": "o", "m": "rn"})
    return "".join(letters).lower().translate(one)


def likeness(char):
    """The Latin letters or digits that it, or its capital, looks like."""
    for text in (char, char.upper()):
        form = folded(prototype(text))
        if form.isascii() and form.isalnum():
            return form
    return None


def lookalikes():
    alike = {}
    for point in range(0x80, 0x110000):
        char = chr(point)
        # What NFKD takes apart is looked up in its parts.
        if unicodedata.category(char)[0] in "LNPS" and unicodedata.normalize("NFKD", char) == char:
            form = likeness(char)
            if form is not None:
                alike.setdefault(form, []).append(point)
    return sorted(alike.items(), key=lambda item: (len(item[0]), item[0]))


def lines():
    yield "/** Drawn by docs/lookalikes.py from the confusables of UTS 39, Unicode 15.0; not to be edited. */"
    yield ""
    yield "/** Letters, as the skeleton of a name has them -> the characters that look like them. */"
    yield "export const lookalikes: Readonly<Record<string, string>> = {"
    for form, points in lookalikes():
        key = form if form[0].isalpha() else f"'{form}'"
        yield f"  {key}: '{' '.join(f'{point:x}' for point in points)}',"
    yield "}"


target = pathlib.Path(__file__).parent.parent / "src/protocol/lookalikes.ts"
target.write_text("\n".join(lines()) + "\n")
