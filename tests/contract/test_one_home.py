"""Facts about platforms have one home, `common.platforms`, and words for causes one: a second table fails here."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.contracts import RevocationCause
from common.platforms import PLATFORMS, google, google_ads, meta, rfc6749, snapchat, stripe, tiktok

ROOT = Path(__file__).parents[2]
HOME = ROOT / "libs/common/src/common/platforms"
CAUSE_WORDS = ROOT / "libs/client/src/wevion_tokens/contracts/causes.py"
SOURCES = sorted(
    path
    for pattern in ("libs/*/src/**/*.py", "services/*/src/**/*.py", "services/*/src/**/*.js")
    for path in ROOT.glob(pattern)
    if HOME not in path.parents and path != CAUSE_WORDS and "testing" not in path.parts
)
TITLES = {platform.title for platform in PLATFORMS.values()} - {"Wevion", "Telegram", "Meta"}
CAUSES = {cause.name for cause in RevocationCause} | {cause.value for cause in RevocationCause}
ENDED = {"user_revoked", "permission_changed", "platform_enforced", "compromise", "disconnected"}
"""Causes of a grant; the console has words of its own for how a session ended."""

KNOWN: set[object] = {
    code
    for table in (
        meta.CODES,
        meta.SUBCODES,
        tiktok.CODES,
        stripe.CODES,
        snapchat.CODES,
        google.REASONS,
        google.OAUTH,
        google_ads.CODES,
    )
    for code in table
    if not isinstance(code, int) or code > 1000 or 450 < code < 500  # small numbers are also HTTP statuses and sizes
}
CODES = KNOWN - set(rfc6749.CODES)
FEW = 3
"""So many in one literal or file are a table; fewer are an example or a case of its own."""


def _words_by_cause(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            named = sum(
                isinstance(key, ast.Attribute | ast.Constant)
                and (key.attr if isinstance(key, ast.Attribute) else key.value) in CAUSES
                and isinstance(value, ast.Constant | ast.JoinedStr)
                and " " in ast.unparse(value)
                for key, value in zip(node.keys, node.values, strict=True)
            )
            if named >= FEW:
                yield node.lineno


def _constants(tree: ast.AST) -> list[object]:
    docs = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]


def faults(path: Path) -> list[str]:
    """What in this source is a second table."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        said = set(re.findall(r"""["'`]([^"'`\n]*)["'`]""", text))
        known = [f"titles {sorted(said & TITLES)}"] if len(said & TITLES) >= FEW else []
        causes = re.findall(r"""(?:case |^\s*)["']?(\w+)["']?:""", text, re.MULTILINE)
        return known + (["causes"] if len(set(causes) & ENDED) >= FEW else [])
    tree = ast.parse(text)
    constants = _constants(tree)
    strings = {value for value in constants if isinstance(value, str)}
    found = [f"words for causes in line {line}" for line in _words_by_cause(tree)]
    if len(strings & TITLES) >= FEW:
        found.append(f"titles {sorted(strings & TITLES)}")
    codes = {str(value) for value in constants if not isinstance(value, bool) and value in CODES}
    return found + ([f"codes {sorted(codes)}"] if len(codes) >= FEW else [])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_there_is_no_second_table(path: Path) -> None:
    assert faults(path) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", 'T = {"a": "Google Ads", "b": "TikTok", "c": "Snapchat"}'),
        ("a.py", 'W = {C.USER_REVOKED: "a b", C.COMPROMISE: "c d", C.DISCONNECTED: "e f"}'),
        ("a.py", 'W = {"user_revoked": "a b", "compromise": "c d", "disconnected": "e f"}'),
        ("a.py", "ENDED = {40103, 40105, 40107}"),
        ("a.py", 'LOST = {"USER_PERMISSION_DENIED", "CUSTOMER_NOT_ENABLED", "NOT_ADS_USER"}'),
        ("a.js", 'const T = { a: "Google Ads", b: "TikTok", c: "Snapchat" };'),
        ("a.js", 'switch (c) { case "user_revoked": 1; case "compromise": 2; case "disconnected": 3; }'),
    ],
)
def test_a_second_table_would_be_seen(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert faults(tmp_path / name)
