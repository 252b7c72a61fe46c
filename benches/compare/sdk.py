"""A plain script with the vendor's Python client, as a data team would write it.

Usage: sdk.py ROSTER [--apply] [--threads N]

Endpoint and key are read from the same environment variables as in rosterd.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor

import yaml
from paradime import Paradime
from paradime.apis.users.types import UserAccountType


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("roster")
    parser.add_argument("--apply", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    client = Paradime(
        api_endpoint=os.environ["PARADIME_API_ENDPOINT"],
        api_key=os.environ["PARADIME_API_KEY"],
        api_secret=os.environ["PARADIME_API_SECRET"],
    )
    with open(args.roster) as file:
        roles = {user["email"].lower(): user["role"] for user in yaml.safe_load(file)["users"]}
    with ThreadPoolExecutor(args.threads) as pool:
        active = pool.submit(client.users.list_active)
        invited = pool.submit(client.users.list_invited)
        active = {user.email.lower(): user for user in active.result()}
        invited = {user.email.lower() for user in invited.result()}

    known = active.keys() | invited
    invite = [(email, role) for email, role in roles.items() if email not in known]
    update = [
        (user.uid, roles[email])
        for email, user in active.items()
        if email in roles and user.account_type != roles[email]
    ]
    disable = [user.uid for email, user in active.items() if email not in roles]
    print(f"{len(invite)} to invite, {len(update)} to update, {len(disable)} to disable")
    if not args.apply:
        return
    with ThreadPoolExecutor(args.threads) as pool:
        users = client.users
        calls = [pool.submit(users.invite, email, UserAccountType(role)) for email, role in invite]
        calls += [
            pool.submit(users.update_account_type, uid, UserAccountType(role))
            for uid, role in update
        ]
        calls += [pool.submit(users.disable, uid) for uid in disable]
        for call in calls:
            call.result()


if __name__ == "__main__":
    main()
