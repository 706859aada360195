"""Fuzzes a running Daybook with schemathesis: python run.py URL DOCUMENT SECONDS [SEED].

Makes two users, who must not see each other's things, and some sessions to log out of. Prints the seed and how to run
it again.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
PASSWORD = "correct horse battery"
# Fewer than the attempts that one account has at once.
SPARE_SESSIONS = 8


def post(url, path, body):
    request = urllib.request.Request(
        f"{url}/api/v1{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def token(url, login):
    return post(url, "/auth/login", {"login": login, "password": PASSWORD})["access_token"]


def register(url, username):
    post(url, "/auth/register", {"email": f"{username}@example.org", "username": username, "password": PASSWORD})


def user(url, name):
    """A user in the form that schemathesis reads (Web Fuzzing Commons)."""
    register(url, name)
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token(url, name)}"}]}


def main():
    url, document, seconds = sys.argv[1:4]
    document = Path(document).resolve()
    seed = sys.argv[4] if len(sys.argv) > 4 else str(random.randrange(2**32))
    again = f"./dev fuzz --seed {seed} --seconds {seconds}"
    print(f"fuzz: seed {seed}; again: {again}", flush=True)
    users = [user(url, "ada"), user(url, "bob")]
    register(url, "spare")
    spare = [token(url, "spare") for _ in range(SPARE_SESSIONS)]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "users.json").write_text(json.dumps({"auth": users}))
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "run", document),
            *("--url", url, "--max-time", seconds, "--seed", seed, "--checks", "all"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--generation-database", "none"),
        ]
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DAYBOOK_FUZZ_SPARE": json.dumps([f"Bearer {token}" for token in spare]),
            "DAYBOOK_FUZZ_USERS": json.dumps([user["fixedHeaders"][0]["value"] for user in users]),
        }
        status = subprocess.run(list(map(str, command)), env=environment, cwd=folder).returncode
    if status != 0:
        print(f"fuzz: failed with seed {seed}; again: {again}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
