"""What a schema cannot know of the manifests: one writer, the restricted pod security standard, a
network policy that selects the pod, probes that ask the binary, webhooks that arrive, and a
configuration that rosterd itself accepts, with the secrets that the manifests mount."""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml


WEB, HOOKS = 9464, 9465


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
    for rule in policy["ingress"]:
        assert rule["from"] and all(it["namespaceSelector"]["matchLabels"] for it in rule["from"])
    ports = [rule["ports"] for rule in policy["ingress"]]
    assert ports == [[{"protocol": "TCP", "port": port}] for port in (WEB, HOOKS)]
    [rule] = policy["egress"]
    ports = {(it["protocol"], it["port"]) for it in rule["ports"]}
    assert ports == {("UDP", 53), ("TCP", 53), ("TCP", 443)}


def mounts_are_folders(container):
    for mount in container["volumeMounts"]:
        assert "subPath" not in mount, "a subPath never sees a change"


def is_reached(labels, container, services):
    """Webhooks and the web UI, each on a service of its own: only one of them is public."""
    ports = {it["name"]: it["containerPort"] for it in container["ports"]}
    assert ports == {"hooks": HOOKS, "web": WEB}
    assert {"name": "ROSTERD_LISTEN", "value": f"0.0.0.0:{WEB}"} in container["env"]
    targets = {name: [it["targetPort"] for it in spec["ports"]] for name, spec in services.items()}
    assert targets == {"rosterd-hooks": ["hooks"], "rosterd": ["web"]}
    for service in services.values():
        assert service["selector"].items() <= labels.items(), "the service selects another pod"


def is_scraped(labels, container, monitor, text):
    """With the token that the configuration reads."""
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    [endpoint] = monitor["podMetricsEndpoints"]
    assert endpoint["port"] in [it["name"] for it in container["ports"]]
    credentials = endpoint["authorization"]["credentials"]
    token = yaml.safe_load(text)["web"]["token"]["file"]
    assert credentials == {"name": "rosterd-credentials", "key": token.rsplit("/", 1)[1]}


def starts_with_its_environment(container, maps):
    """A change of the environment is another name, so it starts a new pod."""
    [source] = container["envFrom"]
    name = source["configMapRef"]["name"]
    assert re.fullmatch(r"rosterd-environment-[a-z0-9]{10}", name), name
    return maps[name]


def has_its_secrets(text, container):
    """Every secret of the configuration is mounted, and in the command that creates them."""
    [folder] = [it["mountPath"] for it in container["volumeMounts"] if it["name"] == "credentials"]
    command = pathlib.Path(__file__).parent / "../../deploy/kubernetes/daemon/kustomization.yaml"
    created = re.findall(r"--from-file=(\w+)", command.read_text())
    secrets = re.findall(r"\{ file: (\S+) \}", text)
    assert sorted(secrets) == sorted(f"{folder}/{name}" for name in created), (secrets, created)


def reads_git(text):
    config = yaml.safe_load(text)
    assert config["hooks"] == {"listen": f"0.0.0.0:{HOOKS}"}
    for workspace in config["workspaces"]:
        assert workspace["users"]["git"].startswith("https://")


def main(rosterd, manifest):
    documents = list(yaml.safe_load_all(pathlib.Path(manifest).read_text()))
    assert all(it["metadata"].get("namespace", "rosterd") == "rosterd" for it in documents)
    kinds = {it["kind"]: it for it in documents if it["kind"] != "ConfigMap"}
    maps = {it["metadata"]["name"]: it["data"] for it in documents if it["kind"] == "ConfigMap"}
    template = pod(kinds)
    container = is_restricted(template["spec"])
    is_isolated(template["metadata"]["labels"], kinds["NetworkPolicy"]["spec"])
    mounts_are_folders(container)
    text = maps["rosterd"]["rosterd.yaml"]
    has_its_secrets(text, container)
    reads_git(text)
    if "Deployment" in kinds:
        labels = template["metadata"]["labels"]
        services = [it for it in documents if it["kind"] == "Service"]
        is_reached(labels, container, {it["metadata"]["name"]: it["spec"] for it in services})
        if "PodMonitor" in kinds:
            is_scraped(labels, container, kinds["PodMonitor"]["spec"], text)
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
            command = container[probe]["exec"]["command"]
            assert command[:2] == ["/usr/bin/rosterd", "health"], probe
    else:
        assert {"--once", "--tolerate-held"} <= set(container["args"])
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "rosterd.yaml")
        config.write_text(text)
        environment = starts_with_its_environment(container, maps)
        subprocess.run([rosterd, "check", "--config", config], env=environment, check=True)


main(*sys.argv[1:])
