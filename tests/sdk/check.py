"""The vendor's own Python client, unmodified, against `rosterd sandbox`.

Usage: check.py ENDPOINT
"""

import sys

from paradime import Paradime
from paradime.apis.users.types import UserAccountType
from paradime.client.api_exception import ParadimeAPIException


def refused(action, *words):
    """The action must fail with a message that has all the words."""
    try:
        action()
    except ParadimeAPIException as error:
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"{error} does not say {missing}"
    else:
        raise AssertionError("this should have been refused")


def main(endpoint):
    key = Paradime(api_endpoint=endpoint, api_key="sandbox-key", api_secret="sandbox-secret")

    active = {user.email: user for user in key.users.list_active()}
    assert list(active) == ["alexandra@acme.io", "jonny@acme.io", "matt@acme.io"], active
    assert active["matt@acme.io"].account_type == "DEVELOPER"
    assert active["matt@acme.io"].name == "Matt McDonald"
    assert len(active["matt@acme.io"].uid) == 64
    assert key.users.get_by_email("jonny@acme.io") == active["jonny@acme.io"]

    invited = {user.email: user for user in key.users.list_invited()}
    assert list(invited) == ["max@acme.io", "john@acme.io"], invited
    assert invited["max@acme.io"].invite_status == "EXPIRED"
    assert invited["john@acme.io"].account_type == "ADMIN"

    for role in UserAccountType:
        key.users.invite(f"{role.value.lower()}@acme.io", role)
    invited = {user.email: user for user in key.users.list_invited()}
    for role in UserAccountType:
        assert invited[f"{role.value.lower()}@acme.io"].account_type == role.value
    refused(lambda: key.users.invite("ADMIN@acme.io", UserAccountType.ADMIN), "already")
    refused(lambda: key.users.invite("matt@acme.io", UserAccountType.ADMIN), "already")

    matt = active["matt@acme.io"].uid
    key.users.update_account_type(matt, UserAccountType.BUSINESS)
    assert key.users.get_by_email("matt@acme.io").account_type == "BUSINESS"
    refused(lambda: key.users.update_account_type("0" * 64, UserAccountType.ADMIN), "uid")

    key.users.disable(matt)
    assert "matt@acme.io" not in [user.email for user in key.users.list_active()]
    refused(lambda: key.users.disable(matt), "uid")
    refused(lambda: key.users.invite("matt@acme.io", UserAccountType.ADMIN), "disabled")

    workspaces = key.workspaces.list_all()
    assert [workspace.name for workspace in workspaces] == ["acme"], workspaces

    viewer = Paradime(
        api_endpoint=endpoint, api_key="sandbox-viewer-key", api_secret="sandbox-viewer-secret"
    )
    assert len(viewer.users.list_active()) == 2
    refused(
        lambda: viewer.users.invite("zoe@acme.io", UserAccountType.BUSINESS),
        "User Management Admin",
    )

    token = Paradime(api_endpoint=endpoint, api_secret="prdm_wsp_sandbox")
    assert token.users.list_active() == key.users.list_active()
    company = Paradime(
        api_endpoint=endpoint, api_secret="prdm_cmp_sandbox", workspace_uid=workspaces[0].uid
    )
    assert company.users.list_active() == key.users.list_active()
    company.users.invite("zoe@acme.io", UserAccountType.BUSINESS)
    elsewhere = Paradime(
        api_endpoint=endpoint, api_secret="prdm_cmp_sandbox", workspace_uid="nowhere"
    )
    refused(elsewhere.users.list_active, "workspace")
    wrong = Paradime(api_endpoint=endpoint, api_key="sandbox-key", api_secret="wrong")
    refused(wrong.users.list_active, "401")


if __name__ == "__main__":
    main(sys.argv[1])
    print("the vendor's client lists, invites, updates and disables")
