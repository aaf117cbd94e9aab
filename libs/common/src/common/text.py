"""The gate for text from outside: what passes it can be held by PostgreSQL, Kafka, mail headers and HTML.

Names and codes of platforms, names of people and chats, and subjects of mails come from others. Some of their
characters break what holds them (PostgreSQL refuses U+0000, UTF-8 has no lone surrogates) and some deceive whoever
reads them (an override of direction shows `gpj.exe` as `exe.jpg`). Joiners are kept, because emoji and Persian need
them (Unicode Technical Standard 51; Unicode Standard, chapter 9.2), and so are characters that are newer than ours.
"""

import re
import unicodedata

REPLACEMENT = "\ufffd"
LONGEST = 256
_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
"""Subdivision flags, such as Wales: the one use of tag characters (Unicode Technical Standard 51, annex C)."""
_LINES = r"\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029"
_CONTROLS = r"\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"
_DIRECTIONS = r"\u202a-\u202e\u2066-\u2069\u206a-\u206f"
"""Embeddings, overrides and isolates (Unicode Standard Annex 9), and the deprecated format characters."""
_INVISIBLE = r"\u200b\u2060-\u2065\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_UNREADABLE = r"\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff\ufdd0-\ufdef" + "".join(
    f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(15)
)
"""Surrogates, private-use characters and noncharacters."""
_TAKEN_OUT = re.compile(f"({_FLAG})|[{_DIRECTIONS}{_INVISIBLE}]")
_REPLACED = re.compile(f"[{_UNREADABLE}]")
_CONTROL = re.compile(f"[{_CONTROLS}]")
_BREAK = re.compile(f"[{_LINES}]")
_REFUSED = re.compile(f"{_FLAG}|([{_LINES}{_CONTROLS}{_DIRECTIONS}{_INVISIBLE}{_UNREADABLE}])")
_WEB_ADDRESS = re.compile(r"://|\bwww\.|[^\s.]\.[a-z]{2,}/", re.IGNORECASE)
_JOINERS = "\u200c\u200d"


def clean(value: str, *, longest: int = LONGEST) -> str:
    """Return `value` as one line that everything can hold: at most `longest` characters, cut at a whole letter.

    Line breaks and controls become spaces, runs of spaces become one, changes of direction and invisible characters
    are taken out, and what nobody can read (lone surrogates, private-use characters) becomes U+FFFD.
    """
    if value.isascii() and value.isprintable():
        return " ".join(value.split())[:longest].rstrip()
    line = " ".join(_CONTROL.sub(" ", _BREAK.sub(" ", _readable(value))).split())
    return line if len(line) <= longest else _cut(line, longest)


def clean_lines(value: str, *, longest: int) -> str:
    """Return `value` as `clean` does, with its line breaks kept: for text of several lines."""
    lines = (clean(line, longest=longest) for line in value.splitlines())
    return "\n".join(lines)[:longest].rstrip()


def is_clean(value: str) -> bool:
    """Return whether `value` is one line of which the gate would take nothing out. Spaces are not judged."""
    return all(found[1] is None for found in _REFUSED.finditer(value))


def is_plain_name(value: str) -> bool:
    """Return whether a name may stand in mails and pages: nothing that the gate takes out, and no web address."""
    return _WEB_ADDRESS.search(value) is None and is_clean(value)


def isolated(value: str) -> str:
    """Return `value` so that its direction does not disturb the text around it (Unicode Standard Annex 9, 2.7).

    This is for plain text; in HTML the element `bdi` does the same.
    """
    return f"\u2068{value}\u2069" if not value.isascii() else value


def _readable(value: str) -> str:
    """Join surrogates that belong together, replace what nobody can read, and take out what is not seen."""
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        value = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _TAKEN_OUT.sub(lambda found: found[1] or "", _REPLACED.sub(REPLACEMENT, value))


def _cut(line: str, longest: int) -> str:
    end = longest
    while end > 0 and (_continues(line[end]) or line[end - 1] in _JOINERS):
        end -= 1
    return line[: end or longest].rstrip()


def _continues(letter: str) -> bool:
    """Return whether `letter` belongs to the one before it: an accent, a joiner, a skin tone, a variation."""
    return letter in _JOINERS or unicodedata.category(letter).startswith("M") or "\U0001f3fb" <= letter <= "\U0001f3ff"
