"""``rmt doctor``: what this installation consists of, and whether its three packages belong together."""

from __future__ import annotations

import importlib
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import threadpoolctl

from validation.backend import describe_gpu
from validation.runner import available_processors
from validation.tables import text_table

__all__ = ["diagnose", "run_doctor"]

# A public name of each package. `validation` is also the name of an unrelated distribution on the package index, and
# one installed over the other leaves a folder that is half of each.
_MARKERS = {"rmt": "Law", "theory": "ResNet", "validation": "Experiment"}
_REQUIRED = ("numpy", "scipy", "sympy", "mpmath", "numba", "matplotlib", "tqdm", "threadpoolctl")
# import name -> (distribution, what it is for)
_OPTIONAL = {
    "flint": ("python-flint", "rigorous enclosures"),
    "dask": ("dask", "clusters"),
    "torch": ("torch", "spectra of torch modules"),
}


def diagnose() -> dict[str, Any]:
    """Return versions, packages with their paths, libraries, devices, threads; `problems` is empty if all is well."""
    root = Path(__file__).resolve().parent.parent
    packages: dict[str, str] = {}
    problems: list[str] = []
    for name, marker in _MARKERS.items():
        module = importlib.import_module(name)
        path = Path(module.__file__).resolve().parent if module.__file__ else None
        packages[name] = str(path)
        if path is None or path.parent != root:
            problems.append(
                f"{name} is imported from {path}, not from {root / name}: a foreign package of that name comes first; "
                "remove it, or install rmt-toolkit in an environment of its own"
            )
        elif not hasattr(module, marker) or not (path / "py.typed").is_file():
            problems.append(
                f"{name} at {path} is incomplete (no {marker}, or no py.typed): another distribution has overwritten "
                "it; uninstall that one, then run 'pip install --force-reinstall rmt-toolkit'"
            )
    required = {name: _version(name) for name in _REQUIRED}
    problems += [f"{name} is missing; run 'pip install {name}'" for name, found in required.items() if found is None]
    return {
        "rmt-toolkit": _version("rmt-toolkit"),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": packages,
        "libraries": required,
        "optional": {
            name: _version(dist) if importlib.util.find_spec(name) else None for name, (dist, _) in _OPTIONAL.items()
        },
        "cpus": available_processors(),
        "gpus": _gpus(),
        "gpu_backend": describe_gpu(),
        "blas": _blas(),
        "problems": problems,
    }


def run_doctor(args: Any) -> int:
    """Print the diagnosis; 1 if there is a problem."""
    found = diagnose()
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        print(_as_text(found))
    for problem in found["problems"]:
        print(f"rmt doctor: {problem}", file=sys.stderr)
    return 1 if found["problems"] else 0


def _as_text(found: dict[str, Any]) -> str:
    rows = [("rmt-toolkit", found["rmt-toolkit"] or "not installed as a distribution")]
    rows += [("python", f"{found['python']}  {found['executable']}"), ("platform", found["platform"])]
    rows += [(f"package {name}", path) for name, path in found["packages"].items()]
    rows += [(name, number or "MISSING") for name, number in found["libraries"].items()]
    rows += [
        (name, found["optional"][name] or f"not installed (optional: {purpose})")
        for name, (_, purpose) in _OPTIONAL.items()
    ]
    rows += [("CPUs", str(found["cpus"])), ("GPUs", ", ".join(found["gpus"]) or "none found by nvidia-smi")]
    rows += [("backend cupy", _gpu_backend(found["gpu_backend"]))]
    rows += [("BLAS", f"{pool['library']} {pool['version']}, {pool['threads']} threads") for pool in found["blas"]]
    rows += [("verdict", f"{len(found['problems'])} problem(s)" if found["problems"] else "healthy")]
    return text_table(rows)


def _gpu_backend(found: dict[str, Any]) -> str:
    if found["cupy"] is None:
        return "not installed (optional: spectra on a GPU)"
    return f"{found['cupy']}, " + (", ".join(found["devices"]) or f"no device ({found['problem'] or 'none found'})")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _gpus() -> list[str]:
    """Names of the GPUs that the driver's own tool lists."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        listed = subprocess.run(
            [tool, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()] if listed.returncode == 0 else []


def _blas() -> list[dict[str, Any]]:
    importlib.import_module("scipy.linalg")  # loads the BLAS that the spectra use
    return [
        {"library": pool["internal_api"], "version": pool.get("version"), "threads": pool["num_threads"]}
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    ]
