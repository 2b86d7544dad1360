"""What the project's files say of it, and that they agree with one another."""

import ast
import os
import re
import shlex
import sys
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def shell_lines(path):
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_version_is_one():
    cited = re.search(r"^version: (\S+)$", CITATION, re.M)
    assert PROJECT["version"] == version("rmt-toolkit") == cited[1]
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_citation_names_papers_that_can_be_found():
    references = CITATION.partition("references:")[2].split("  - type: ")[1:]
    assert len(references) >= 4
    for reference in references:
        for key in ("title:", "family-names:", "year:"):
            assert key in reference
        assert re.search(r'"arXiv:(\d{4}\.\d{5}|math/\d{7})"', reference)


def test_shell_command_is_installed():
    (entry,) = entry_points(group="console_scripts", name="rmt")
    assert entry.load().__module__ == "validation.cli"


def test_py_typed_everywhere():
    for package in ("rmt", "theory", "validation"):
        assert (ROOT / package / "py.typed").is_file()


def test_readme_has_the_two_commands_that_ci_runs():
    lines = shell_lines(ROOT / "README.md")
    (tests,) = [line for line in lines if "-m pytest" in line]
    (demo,) = [line for line in lines if ".venv/bin/rmt demo" in line]
    for line in (tests, demo):
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "readme_command '-m pytest'" in script.read_text(encoding="utf-8")


def test_commands_of_the_documentation_are_understood():
    from validation.cli import build_parser

    seen = set()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for line in shell_lines(page):
            if line.startswith("rmt "):
                seen.add(build_parser().parse_args(shlex.split(line)[1:]).command)
    assert seen >= {"derive", "curve", "validate", "tune", "catalogue", "doctor"}


def test_internal_links_exist():
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def test_what_is_imported_is_declared():
    declared = {re.split(r"[<>=!~\[ ]", requirement)[0] for requirement in PROJECT["dependencies"]}
    optional = {"flint", "cupy", "dask", "torch"}
    ours = {"rmt", "theory", "validation"}
    imported = {name for package in ours for path in (ROOT / package).rglob("*.py") for name in imported_names(path)}
    assert imported - set(sys.stdlib_module_names) - optional - ours <= declared
