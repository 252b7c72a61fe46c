"""The vendor's Python client against a sandbox that has just started: check.py ENDPOINT"""

import json
import sys
import urllib.request

from paradime import Paradime
from paradime.apis.users.types import UserAccountType
from paradime.client.api_exception import ParadimeAPIException

ENDPOINT = sys.argv[1]
KEY, SECRET = "sandbox-key", "sandbox-secret"
JONNY = "0b02bde0691e9a220f8fdbff93d992a7826c7ce7b0ea33ffc4709c6a2d219a49"


def same(what, got, wanted):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def refused(what, call, saying):
    try:
        got = call()
    except (ParadimeAPIException, ValueError) as error:
        assert saying in str(error), f"{what}: {error} does not say {saying!r}"
    else:
        raise AssertionError(f"{what}: refusal expected, got {got!r}")


def control(what, **edit):
    headers = {"X-API-KEY": KEY, "X-API-SECRET": SECRET, "Content-Type": "application/json"}
    url = ENDPOINT.replace("/graphql", f"/control/{what}")
    request = urllib.request.Request(url, json.dumps(edit).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        same(what, json.load(answer), {"ok": True})


def active(client):
    return [(user.email, user.name, user.account_type) for user in client.users.list_active()]


def invited(client):
    users = client.users.list_invited()
    return [(user.email, user.account_type, user.invite_status) for user in users]


def people(client):
    """Listing and looking up, before anything is changed."""
    documented = [
        ("alexandra@acme.io", "Alexandra James", "ADMIN"),
        ("jonny@acme.io", "Jonathan Maxwell", "ADMIN"),
        ("matt@acme.io", "Matt McDonald", "DEVELOPER"),
    ]
    same("list_active", active(client), documented)
    pending = [("max@acme.io", "ADMIN", "EXPIRED"), ("john@acme.io", "ADMIN", "ACTIVE")]
    same("list_invited", invited(client), pending)
    same("get_by_email", client.users.get_by_email("jonny@acme.io").uid, JONNY)
    refused("get_by_email", lambda: client.users.get_by_email("zoe@acme.io"), "No active user")


def changes(client):
    """Every mutation, with every role that the client knows."""
    users = client.users
    for number, role in enumerate(UserAccountType):
        users.update_account_type(JONNY, role)
        same("update_account_type", users.get_by_email("jonny@acme.io").account_type, role.value)
        users.invite(f"user{number}@acme.io", role)
        same("invite", invited(client)[-1], (f"user{number}@acme.io", role.value, "ACTIVE"))
    users.disable(JONNY)
    refused("a disabled user", lambda: users.get_by_email("jonny@acme.io"), "No active user")
    developer = UserAccountType.DEVELOPER
    again = "already been invited"
    refused("invited twice", lambda: users.invite("user1@acme.io", developer), again)
    refused("disabled twice", lambda: users.disable(JONNY), "no active user")
    control("accept", email="user1@acme.io")
    accepted = users.get_by_email("user1@acme.io")
    same("accepted", accepted.account_type, "DEVELOPER")
    users.disable(accepted.uid)


def credentials(workspace):
    """Each way in sees the same people, and a wrong one nobody."""
    ways = {
        "workspace token": Paradime(api_secret="prdm_wsp_sandbox", api_endpoint=ENDPOINT),
        "company token": Paradime(
            api_secret="prdm_cmp_sandbox", workspace_uid=workspace, api_endpoint=ENDPOINT
        ),
        "viewer key": Paradime(
            api_key="sandbox-viewer-key", api_secret="sandbox-viewer-secret", api_endpoint=ENDPOINT
        ),
    }
    for way, client in ways.items():
        same(way, [user[0] for user in active(client)][:1], ["alexandra@acme.io"])
        same(way, [it.uid for it in client.workspaces.list_all()], [workspace])
    viewer = ways["viewer key"].users
    needed = "User Management Admin"
    refused("a viewer", lambda: viewer.invite("zoe@acme.io", UserAccountType.ADMIN), needed)
    ways["workspace token"].users.invite("zoe@acme.io", UserAccountType.ANALYST)
    ways["company token"].users.invite("yan@acme.io", UserAccountType.BUSINESS)
    wrong = Paradime(api_key=KEY, api_secret="wrong", api_endpoint=ENDPOINT)
    refused("a wrong secret", wrong.users.list_active, "401")
    nowhere = Paradime(
        api_secret="prdm_cmp_sandbox", workspace_uid="nowhere", api_endpoint=ENDPOINT
    )
    refused("a wrong workspace", nowhere.users.list_active, "X-Paradime-Workspace")


def main():
    client = Paradime(api_key=KEY, api_secret=SECRET, api_endpoint=ENDPOINT)
    workspaces = client.workspaces.list_all()
    same("list_all", [workspace.name for workspace in workspaces], ["acme"])
    people(client)
    changes(client)
    credentials(workspaces[0].uid)
    print("the vendor's Python client works against the sandbox")


main()
