"""What a schema cannot know of the manifests: one writer, the restricted pod security standard,
a network policy that selects the pod, probes that ask the binary, and a configuration and a roster that rosterd itself accepts."""

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
        return deployment["template"]
    job = kinds["CronJob"]["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    return job["jobTemplate"]["spec"]["template"]


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
    assert container["resources"]["limits"] == {"memory": "256Mi"}
    assert ":" in container["image"] and not container["image"].endswith(":latest")
    return container


def is_isolated(labels, policy):
    """What the policy does not name, the pod neither reaches nor answers."""
    selected = policy["podSelector"]["matchLabels"]
    assert selected and selected.items() <= labels.items(), "the policy selects another pod"
    assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]
    [rule] = policy["ingress"]
    assert rule["from"] and all(it["namespaceSelector"]["matchLabels"] for it in rule["from"])
    assert rule["ports"] == [{"protocol": "TCP", "port": 9464}]
    [rule] = policy["egress"]
    ports = {(it["protocol"], it["port"]) for it in rule["ports"]}
    assert ports == {("UDP", 53), ("TCP", 53), ("TCP", 443)}


def mounts_are_folders(container):
    for mount in container["volumeMounts"]:
        assert "subPath" not in mount, "a subPath never sees a change"


def main(rosterd, manifest):
    documents = list(yaml.safe_load_all(pathlib.Path(manifest).read_text()))
    assert all(it["metadata"].get("namespace", "rosterd") == "rosterd" for it in documents)
    kinds = {it["kind"]: it for it in documents if it["kind"] != "ConfigMap"}
    maps = {it["metadata"]["name"]: it["data"] for it in documents if it["kind"] == "ConfigMap"}
    template = pod(kinds)
    container = is_restricted(template["spec"])
    is_isolated(template["metadata"]["labels"], kinds["NetworkPolicy"]["spec"])
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
