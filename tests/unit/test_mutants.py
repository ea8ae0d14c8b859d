"""What ``make mutants`` is told of: modules in which faults are planted, and tests that have to find them."""

from __future__ import annotations

from tools import mutants


def test_every_module_and_test_that_is_named_exists() -> None:
    """If this fails, a renamed module is no longer mutated, or a renamed test ends the run before it begins."""
    packages = mutants._packages()
    modules = [name.partition("/") for name in mutants._chosen()]
    missing = [f"{package}/{file}" for package, _, file in modules if not (packages[package] / file).exists()]
    missing += [name for name in mutants.TESTS if not (mutants.ROOT / "tests" / "unit" / f"{name}.py").exists()]
    assert not missing


def test_what_only_runs_at_import_is_a_module() -> None:
    """If this fails, a module that was renamed is mutated although no fault in it could ever be found."""
    packages = mutants._packages()
    names = [name.partition("/") for name in mutants.AT_IMPORT]
    assert all((packages[package] / file).exists() for package, _, file in names)
