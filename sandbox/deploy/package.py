"""Building and packaging of a stack as ``sam build`` and ``sam package`` do it: zips and nested templates in a bucket.

A function with ``BuildMethod: makefile`` is built by its folder's Makefile, as by SAM. Everything is cached by content.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from sandbox.deploy.template import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.deploy.template import Template

SKIPPED = ("__pycache__", ".pyc", ".dist-info/RECORD", ".mypy_cache", ".ruff_cache", ".DS_Store")
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
FUNCTION, LAYER, NESTED = "AWS::Serverless::Function", "AWS::Serverless::LayerVersion", "AWS::Serverless::Application"


class PackageError(RuntimeError):
    """The code cannot be packaged as the template asks."""


@dataclass(frozen=True)
class Artifact:
    """A file, ready to upload; its name is derived from its content."""

    path: Path

    @property
    def key(self) -> str:
        """The object's key in the bucket."""
        return self.path.name


def function_zip(source: Path, name: str, cache: Path, version: str) -> Artifact:
    """Build a function, by its logical name, with its folder's Makefile, and zip the result.

    The same ``version`` (digest) of the source is not built again.
    """
    known = cache / f"{name}-built-{version}"
    if known.exists():
        return Artifact(cache / known.read_text(encoding="utf-8"))
    with TemporaryDirectory() as folder:
        command = ["make", "--silent", "-C", str(source), f"build-{name}", f"ARTIFACTS_DIR={folder}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # nosec B603 - the repository's own Makefile
        if done.returncode:
            raise PackageError(f"{name} cannot be built from {source}: {done.stderr.strip()}")
        built = _cached(dict(_tree(Path(folder), "")), cache, name)
    known.write_text(built.key, encoding="utf-8")
    return built


def layer_zip(source: Path, cache: Path) -> Artifact:
    """Zip a Python layer: its packages and what its requirements.txt pins, under ``python/``.

    Requirements are copied from the running environment, so they must be pinned (``name==version``) to what is
    installed there. The file must name everything: dependencies are not resolved.
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
    contents = _contents(files)
    return _kept(cache / f"{label}-{_digest(contents)}.zip", lambda: _zip(contents))


def _contents(files: dict[str, Path]) -> dict[str, bytes]:
    return {name: files[name].read_bytes() for name in sorted(files)}


def _digest(contents: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:20]


def _kept(path: Path, make: Callable[[], bytes]) -> Artifact:
    """Return the cached file, and write it first if it is missing; several processes may do so at once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as half:
            half.write(make())
        Path(half.name).replace(path)
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


@dataclass
class Packager:
    """A rewriter of templates: local paths become URLs in a bucket; ``artifacts`` holds the files to upload there."""

    cache: Path
    bucket: str
    url: str
    """The bucket's URL, for nested templates: CloudFormation does not accept ``s3://`` for them."""
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    _versions: dict[Path, str] = field(default_factory=dict)

    def rewrite(self, template: Template, root: Path) -> Template:
        """Return a template whose local paths, relative to ``root``, are replaced by URLs in the bucket."""
        code = template.get("Globals", {}).get("Function", {}).get("CodeUri")
        resources = {name: self._resource(name, each, root, code) for name, each in template["Resources"].items()}
        return {**template, "Resources": resources}

    def _resource(self, name: str, resource: dict[str, Any], root: Path, code: Any) -> dict[str, Any]:
        properties = resource.get("Properties", {})
        kind = resource["Type"]
        if kind == FUNCTION and _local(properties.get("CodeUri", code)):
            source = (root / properties.get("CodeUri", code)).resolve()
            by_makefile = resource.get("Metadata", {}).get("BuildMethod") == "makefile"
            built = (
                function_zip(source, name, self.cache, self._version(source))
                if by_makefile
                else _cached(dict(_tree(source, "")), self.cache, name)
            )
            changed = {"CodeUri": self._uri(built)}
        elif kind == LAYER and _local(properties.get("ContentUri")):
            changed = {"ContentUri": self._uri(layer_zip((root / properties["ContentUri"]).resolve(), self.cache))}
        elif kind == NESTED and _local(properties.get("Location")):
            path = (root / properties["Location"]).resolve()
            text = json.dumps(self.rewrite(load(path), path.parent)).encode()
            nested = _kept(self.cache / f"{_digest({path.name: text})}.template", lambda: text)
            self._uri(nested)
            changed = {"Location": f"{self.url}/{nested.key}"}
        else:
            return resource
        return {**resource, "Properties": {**properties, **changed}}

    def _version(self, source: Path) -> str:
        """Return the digest of a folder, which is read only once because many functions share it."""
        if source not in self._versions:
            self._versions[source] = _digest(_contents(dict(_tree(source, ""))))
        return self._versions[source]

    def _uri(self, artifact: Artifact) -> str:
        self.artifacts[artifact.key] = artifact
        return f"s3://{self.bucket}/{artifact.key}"


def _local(value: Any) -> bool:
    return isinstance(value, str) and "://" not in value
