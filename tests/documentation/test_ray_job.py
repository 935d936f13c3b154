"""The RayJob of the tutorial, against the fields of KubeRay's and Kubernetes' own types.

KubeRay's definition has more than a megabyte, most of it the fields of a pod. This one has the fields that the
tutorial uses, with the types, and what is required, of `RayJobSpec`, `RayClusterSpec`, `HeadGroupSpec` and
`WorkerGroupSpec` (ray-operator/apis/ray/v1 of KubeRay) and of `PodSpec` (Kubernetes' core/v1).
"""

from __future__ import annotations

import copy
import re
import shlex
import tomllib
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from check_documents import ROOT, option_names, verbs

Schema = dict[str, Any]

PAGE = ROOT / "docs" / "tutorials" / "many-images.md"
TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
NAME: Schema = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
QUANTITY: Schema = {"type": ["integer", "string"], "pattern": r"^\d+(\.\d+)?(m|[KMGT]i?)?$"}


def fields(required: str = "", **properties: Schema) -> Schema:
    """An object with these fields and no others."""
    return {
        "type": "object", "properties": properties, "required": required.split(), "additionalProperties": False,
    }  # fmt: skip


def several(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


QUANTITIES: Schema = {"type": "object", "additionalProperties": QUANTITY}
MOUNT = fields("name mountPath", name=NAME, mountPath=TEXT, readOnly={"type": "boolean"})
CONTAINER = fields(
    "name", name=NAME, image=TEXT, resources=fields(limits=QUANTITIES, requests=QUANTITIES),
    volumeMounts=several(MOUNT),
)  # fmt: skip
CLAIM = fields("claimName", claimName=NAME, readOnly={"type": "boolean"})
POD = fields(
    "containers", containers=several(CONTAINER), volumes=several(fields("name", name=NAME, persistentVolumeClaim=CLAIM))
)
TEMPLATE = fields(spec=POD)
HEAD = fields("rayStartParams template", rayStartParams=TEXTS, template=TEMPLATE)
WORKERS = fields(
    "groupName minReplicas maxReplicas rayStartParams template",
    groupName=NAME, replicas=NUMBER, minReplicas=NUMBER, maxReplicas=NUMBER, rayStartParams=TEXTS, template=TEMPLATE,
)  # fmt: skip
CLUSTER = fields("headGroupSpec", rayVersion=TEXT, headGroupSpec=HEAD, workerGroupSpecs=several(WORKERS))
JOB = fields(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=fields("name", name=NAME),
    spec=fields(
        "entrypoint rayClusterSpec", entrypoint=TEXT, shutdownAfterJobFinishes={"type": "boolean"},
        backoffLimit=NUMBER, rayClusterSpec=CLUSTER,
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    """The only YAML of the page."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def pods(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]["spec"]


def test_its_fields_exist_and_have_the_right_types(job: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(JOB)
    jsonschema.validate(job, JOB)


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("spec", "entryPoint", "x"),
        ("spec", "backoffLimit", "3"),
        ("spec.rayClusterSpec.headGroupSpec.rayStartParams", "num-cpus", 0),
        ("spec.rayClusterSpec.headGroupSpec", "replicas", 1),
    ],
)
def test_a_wrong_field_is_found(path: str, key: str, value: object, job: dict[str, Any]) -> None:
    wrong = place = copy.deepcopy(job)
    for name in path.split("."):
        place = place[name]
    place[key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, JOB)


def test_each_mount_has_its_volume_and_only_the_head_writes(job: dict[str, Any]) -> None:
    head, *workers = pods(job)
    for pod in (head, *workers):
        mounted = [mount["name"] for each in pod["containers"] for mount in each["volumeMounts"]]
        assert sorted(mounted) == sorted(volume["name"] for volume in pod["volumes"])
    for pod in workers:  # a claim that is mounted for writing often allows only one machine
        assert all(mount["readOnly"] for each in pod["containers"] for mount in each["volumeMounts"])


def test_its_versions_are_those_of_the_project(job: dict[str, Any]) -> None:
    (ray,) = re.findall(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray
    assert f"FROM rayproject/ray:{ray}-" in PAGE.read_text("utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {each["image"].rpartition(":")[2] for pod in pods(job) for each in pod["containers"]} == {version}


def test_its_command_exists(job: dict[str, Any]) -> None:
    shell, option, script = shlex.split(job["spec"]["entrypoint"])  # as KubeRay splits it
    assert (shell, option) == ("sh", "-c")
    program, verb, *words = shlex.split(script)
    assert program == "mnist-cnn"
    assert {word for word in words if word.startswith("--")} <= option_names(verbs()[verb])
