"""Asks a Prometheus that scrapes a daemon: every expression that is shipped means something."""

import json
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

prometheus, daemon, deploy = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def query(expression):
    url = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    answer = json.loads(get(url))
    assert answer["status"] == "success", (expression, answer)
    return answer["data"]["result"]


def eventually(what, holds):
    until = time.monotonic() + 60
    while True:
        try:
            if holds():
                return
        except OSError:
            pass
        assert time.monotonic() < until, what
        time.sleep(0.2)


eventually("it is scraped", lambda: query('up{job="rosterd"} == 1'))
eventually("a run is seen", lambda: query("rosterd_last_success_timestamp_seconds"))
age = float(query("rosterd_convergence_age_seconds")[0]["value"][1])
assert 0 <= age < 120, age
assert query('rosterd_runs_total{trigger="start",outcome="converged"} == 1')
assert query('sum(rosterd_users{state="active"}) == 3')
assert query("rosterd_key_valid == 1")

exposed = set(re.findall(r"^# TYPE (\w+) ", get(f"{daemon}/metrics"), re.M))
for name in sorted(exposed):
    assert re.fullmatch(r"rosterd_[a-z0-9_]+", name), name

dashboard = json.loads((deploy / "grafana/rosterd.json").read_text())
expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
expressions += [it["expr"] for it in dashboard["annotations"]["list"]]
assert len(expressions) > 15, len(expressions)
places = [panel["gridPos"] for panel in dashboard["panels"]]
assert all(place["x"] + place["w"] <= 24 for place in places), places
concrete = [it.replace("$workspace", ".*").replace("$__rate_interval", "1m") for it in expressions]
eventually(
    "most of the dashboard says something",
    lambda: sum(bool(query(expression)) for expression in concrete) >= len(concrete) - 6,
)

rules = json.loads(get(f"{prometheus}/api/v1/rules"))["data"]["groups"][0]["rules"]
assert len(rules) >= 9 and all(rule["health"] in ("ok", "unknown") for rule in rules), rules
expressions += [rule["query"] for rule in rules]
firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
assert not firing, firing

used = {name for it in expressions for name in re.findall(r"\brosterd_[a-z0-9_]+", it)}
for name in used:
    family = re.sub(r"_bucket$", "", name)
    assert family in exposed, f"{name} is not exposed"

guide = (deploy.parent / "docs/monitoring.md").read_text()
for name in exposed:
    assert f"`{name}" in guide, f"{name} is not in docs/monitoring.md"
print(f"{len(exposed)} metrics, {len(expressions)} expressions, {len(rules)} rules")
