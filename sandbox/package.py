"""Package the stack's code as ``sam package`` would: zips in a bucket, local paths rewritten; cached by content."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.template import Template

SKIPPED = ("__pycache__", ".pyc", ".dist-info/RECORD", ".mypy_cache", ".ruff_cache", ".DS_Store")
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
LOCAL_PATHS = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri",
               "AWS::Serverless::Application": "Location"}  # fmt: skip


class PackageError(RuntimeError):
    """The code cannot be packaged as the template asks."""


@dataclass(frozen=True)
class Artifact:
    """A zip, ready to upload; its name is derived from its content."""

    path: Path

    @property
    def key(self) -> str:
        """The object's key in the bucket."""
        return self.path.name


def function_zip(source: Path, cache: Path) -> Artifact:
    """Zip a function's folder as it is."""
    return _cached(dict(_tree(source, "")), cache, source.name)


def layer_zip(source: Path, cache: Path) -> Artifact:
    """Zip a Python layer: its packages and what its requirements.txt pins, under ``python/``.

    Requirements are copied from the running environment, so they must be pinned (``name==version``) to what is
    installed there. The file names everything: dependencies are not looked for.
    """
    files = dict(_tree(source, "python/"))
    files.pop("python/requirements.txt", None)
    requirements = source / "requirements.txt"
    if requirements.exists():
        for each in _distributions(requirements):
            files |= _distribution_files(each)
    return _cached(files, cache, "layer")


def _tree(source: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    if not source.is_dir():
        raise PackageError(f"there is no folder {source} to package")
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if path.is_file() and not any(part in name for part in SKIPPED):
            yield prefix + name, path


def _distributions(requirements: Path) -> list[Distribution]:
    text = requirements.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.partition("#")[0].partition(" --hash")[0].strip() for line in text.splitlines())
    found: list[Distribution] = []
    for each in (Requirement(line) for line in lines if line and not line.startswith("-")):
        try:
            installed = distribution(each.name)
        except PackageNotFoundError as error:
            raise PackageError(f"{requirements} needs {each}, which is not installed here") from error
        if not each.specifier.contains(installed.version, prereleases=True):
            raise PackageError(f"{requirements} needs {each}, but {installed.version} is installed here")
        found.append(installed)
    return found


def _distribution_files(installed: Distribution) -> dict[str, Path]:
    found = {}
    for file in installed.files or []:
        name, path = file.as_posix(), Path(str(installed.locate_file(file)))
        outside = name.startswith("..") or any(part in name for part in SKIPPED)
        if outside or not path.is_file():
            continue
        if path.suffix == ".so":
            raise PackageError(f"{installed.name} is not pure Python ({name}): it cannot be copied into a layer")
        found[f"python/{name}"] = path
    return found


def _cached(files: dict[str, Path], cache: Path, label: str) -> Artifact:
    digest = hashlib.sha256()
    contents = {name: files[name].read_bytes() for name in sorted(files)}
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{label}-{digest.hexdigest()[:20]}.zip"
    if not path.exists():
        path.write_bytes(_zip(contents))
    return Artifact(path)


def _zip(contents: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            information = zipfile.ZipInfo(name, FIXED_TIME)
            information.compress_type = zipfile.ZIP_DEFLATED
            information.external_attr = 0o644 << 16
            archive.writestr(information, content)
    return target.getvalue()


def rewrite(template: Template, root: Path, cache: Path, bucket: str) -> tuple[Template, list[Artifact]]:
    """Return the template with its local paths as ``s3://`` URIs, and the artifacts to upload."""
    artifacts: dict[Path, Artifact] = {}

    def uri(local: str, *, layer: bool) -> str:
        source = (root / local).resolve()
        if source not in artifacts:
            artifacts[source] = layer_zip(source, cache) if layer else function_zip(source, cache)
        return f"s3://{bucket}/{artifacts[source].key}"

    changed = {**template}
    common = template.get("Globals", {}).get("Function", {})
    if _local(common.get("CodeUri")):
        function = {**common, "CodeUri": uri(common["CodeUri"], layer=False)}
        changed["Globals"] = {**template["Globals"], "Function": function}
    changed["Resources"] = {name: _resource(each, uri) for name, each in template["Resources"].items()}
    return changed, list(artifacts.values())


def _local(value: Any) -> bool:
    return isinstance(value, str) and "://" not in value


def _resource(resource: dict[str, Any], uri: Any) -> dict[str, Any]:
    kind = resource["Type"]
    name = LOCAL_PATHS.get(kind, "")
    properties = resource.get("Properties", {})
    if not _local(properties.get(name)):
        return resource
    place = uri(properties[name], layer=kind == "AWS::Serverless::LayerVersion")
    return {**resource, "Properties": {**properties, name: place}}
