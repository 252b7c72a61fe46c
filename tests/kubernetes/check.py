"""What a schema cannot know of the manifests: one writer, the restricted pod security standard,
probes that ask the binary, and a configuration and a roster that rosterd itself accepts."""

import pathlib
import subprocess
import sys
import tempfile

import yaml


def pod(kinds):
    if "Deployment" in kinds:
        deployment = kinds["Deployment"]["spec"]
        assert deployment["replicas"] == 1, "one process, one ledger"
        assert deployment["strategy"] == {"type": "Recreate"}
        return deployment["template"]["spec"]
    job = kinds["CronJob"]["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    return job["jobTemplate"]["spec"]["template"]["spec"]


def is_restricted(spec):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = spec["containers"]
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert ":" in container["image"] and not container["image"].endswith(":latest")
    return container


def mounts_are_folders(container):
    for mount in container["volumeMounts"]:
        assert "subPath" not in mount, "a subPath never sees a change"


def main(rosterd, manifest):
    documents = list(yaml.safe_load_all(pathlib.Path(manifest).read_text()))
    assert all(it["metadata"].get("namespace", "rosterd") == "rosterd" for it in documents)
    kinds = {it["kind"]: it for it in documents if it["kind"] != "ConfigMap"}
    maps = {it["metadata"]["name"]: it["data"] for it in documents if it["kind"] == "ConfigMap"}
    container = is_restricted(pod(kinds))
    mounts_are_folders(container)
    if "Deployment" in kinds:
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
            command = container[probe]["exec"]["command"]
            assert command[:2] == ["/usr/bin/rosterd", "health"], probe
    else:
        assert "--once" in container["args"]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in maps["rosterd"].items():
            pathlib.Path(folder, name).write_text(text)
        config = str(pathlib.Path(folder, "rosterd.yaml"))
        environment = maps["rosterd-environment"]
        assert container["envFrom"] == [{"configMapRef": {"name": "rosterd-environment"}}]
        subprocess.run([rosterd, "check", "--config", config], env=environment, check=True)


main(*sys.argv[1:])
