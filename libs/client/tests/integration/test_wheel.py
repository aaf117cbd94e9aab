"""The package as a stranger has it: built, and installed with what it declares and nothing else."""

import re
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CLIENT = Path(__file__).parents[2]
SUITE = ("hypothesis", "opentelemetry-api", "pyjwt", "pytest", "pytest-asyncio")
OURS = re.compile(r"^(common|gateway|session_svc|oauth_svc|expiry_watcher|rule_pauser|notifier|testbed)\b")


def closure(wanted: list[Requirement]) -> set[str]:
    """Return the distributions that these requirements bring, their own requirements included."""
    found: set[str] = set()
    todo = [(requirement, "") for requirement in wanted]
    while todo:
        requirement, _ = todo.pop()
        name = requirement.name.lower().replace("_", "-")
        key = f"{name}[{','.join(sorted(requirement.extras))}]"
        if key in found:
            continue
        found.add(key)
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append((needed, ""))
    return {key.partition("[")[0] for key in found}


def install(distribution: str, into: Path) -> None:
    """Link a distribution's files from this environment, so that no network is needed."""
    found = metadata.distribution(distribution)
    home = Path(str(found.locate_file("")))
    for top in {file.parts[0] for file in found.files or () if file.parts[0] not in {"..", "__pycache__"}}:
        if not (into / top).exists():
            (into / top).symlink_to(home / top)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(CLIENT, source, ignore=shutil.ignore_patterns("__pycache__", ".*", "tests"))
    uv = Path(sys.executable).with_name("uv")
    built = subprocess.run(
        [uv, "build", "--quiet", "--offline", "--no-build-isolation", "--wheel", "--out-dir", folder, source],
        env={"PATH": str(uv.parent), "VIRTUAL_ENV": str(uv.parents[1]), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return next(folder.glob("wevion_tokens-*.whl"))


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment that has the wheel with its extras, and what the suite itself needs."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    shutil.unpack_archive(wheel, packages, "zip")
    declared = metadata.Distribution.at(next(packages.glob("wevion_tokens-*.dist-info"))).requires or []
    wanted = [Requirement(text) for text in declared]
    for each in wanted:
        each.marker = None  # both extras
    for name in sorted(closure([*wanted, *(Requirement(each) for each in SUITE)])):
        install(name, packages)
    return folder / "bin" / "python"


def run(python: Path, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [python, "-I", *arguments], cwd=cwd, env={}, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_the_wheel_has_types_schemas_examples_and_a_version(wheel: Path) -> None:
    import zipfile  # noqa: PLC0415

    names = zipfile.ZipFile(wheel).namelist()
    assert "wevion_tokens/py.typed" in names
    assert any(name.endswith("schemas/wevion.token.revoked.v1.json") for name in names)
    assert any("examples/wevion.token.revoked.v1/" in name for name in names)
    assert f"## {wheel.name.split('-')[1]}\n" in next(CLIENT.glob("CHANGELOG*")).read_text()


def test_its_unit_tests_pass_where_nothing_else_of_ours_is(alone: Path, tmp_path: Path) -> None:
    shutil.copytree(CLIENT / "tests" / "unit", tmp_path / "unit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CLIENT / "tests" / "alone.ini", tmp_path)
    said = run(alone, "-m", "pytest", "-q", "-c", "alone.ini", "-p", "no:cacheprovider", "unit", cwd=tmp_path)
    assert re.search(r"\b[1-9]\d* passed", said), said
    modules = run(
        alone, "-c", "import wevion_tokens.events.postgres, sys; print('\\n'.join(sys.modules))", cwd=tmp_path
    )
    assert not [name for name in modules.splitlines() if OURS.match(name)]


def test_the_core_needs_no_extra(alone: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('aiokafka', 'asyncpg', 'opentelemetry')))\n"
        "import wevion_tokens, wevion_tokens.callers, wevion_tokens.tokens.blocking\n"
        "from wevion_tokens.telemetry import tracing; print(tracing.new_root().traceparent[:3])"
    )
    assert run(alone, "-c", program, cwd=tmp_path).strip() == "00-"
