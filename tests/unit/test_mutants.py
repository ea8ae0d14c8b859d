"""What ``make mutants`` is told of: modules in which faults are planted, and tests that have to find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools import mutants

if TYPE_CHECKING:
    from collections.abc import Iterable


def test_every_module_that_is_named_exists() -> None:
    """If this fails, a renamed module is no longer mutated."""
    assert not _missing(mutants._chosen())


def test_what_only_runs_at_import_exists() -> None:
    """If this fails, a renamed module is mutated although no fault in it could ever be found."""
    assert not _missing(mutants.AT_IMPORT)
    for name in mutants.CALLED_AT_IMPORT:
        package, module, function = name.split(".")
        assert f"def {function.removeprefix('x_')}(" in (mutants._packages()[package] / f"{module}.py").read_text()


def test_tests_that_are_left_out_exist() -> None:
    """If this fails, a renamed test is run where it cannot run, and ends the run before it begins."""
    assert all((mutants.ROOT / "tests" / "unit" / f"test_{name}.py").exists() for name in mutants.NOT_THERE)


def _missing(files: Iterable[str]) -> list[str]:
    packages, names = mutants._packages(), [file.partition("/") for file in files]
    return [f"{package}/{file}" for package, _, file in names if not (packages[package] / file).exists()]
