"""What schemathesis cannot know about Daybook from its description.

- A read is told to wait for the last write, by `?after=` and the last `Position` (README: "Read your own write").
- A cursor is opaque: only one that the same list gave is sent.
- An id of something that was made is better than one of nothing, so most requests get one.
- Logging out ends a session, so it is done with sessions that nobody else needs.
- ACCEPTED is the baseline: failures that are no faults, each with its reason.
"""

import itertools
import json
import os
import re
from collections import defaultdict

import schemathesis
from schemathesis.core.parameters import ParameterLocation

USERS = json.loads(os.environ["DAYBOOK_FUZZ_USERS"])
SPARE = itertools.cycle(json.loads(os.environ["DAYBOOK_FUZZ_SPARE"]))
# Which things the fields of a body name.
REFERENCES = {"notebook_id": "notebooks", "note_id": "notes", "after": "blocks", "before": "blocks"}
# Three of four requests are made to get further: they name what exists, and have a key of their own.
HELPED = itertools.cycle([True, True, True, False])
KEYS = itertools.count()
# What decides which list a cursor belongs to is everything in the query but these.
NO_FILTERS = {"cursor", "limit", "after"}

last_position = ""
cursors = {}
# The newest ids, by collection.
made = defaultdict(str)


def number(position):
    return int(position.rpartition("-")[2] or 0)


def is_meant_well(case):
    return case.meta is None or case.meta.generation.mode.is_positive


def is_positive(case, location):
    return case.meta is None or not case.meta.is_negative_at(location)


def filters(case):
    query = case.query or {}
    return case.formatted_path, json.dumps({name: query[name] for name in sorted(query) if name not in NO_FILTERS})


def collection(case):
    return case.path.removeprefix("/api/v1/").partition("/")[0]


def name_what_exists(case):
    identifier = made[collection(case)]
    is_generated = case.meta is not None and case.meta.phase.name.value in ("coverage", "fuzzing")
    if identifier and is_generated and "id" in (case.path_parameters or {}) and is_positive(case, ParameterLocation.PATH):
        case.path_parameters = {**case.path_parameters, "id": identifier}
    if isinstance(case.body, dict) and is_positive(case, ParameterLocation.BODY):
        for field, of in REFERENCES.items():
            if field in case.body and made[of]:
                case.body = {**case.body, field: made[of]}


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    if case.path.endswith("/auth/logout") and headers.get("Authorization") in USERS:
        headers["Authorization"] = next(SPARE)
    # schemathesis sends no quotes in headers, so what it makes up is no tag.
    if is_meant_well(case) and '"' not in headers.get("If-Match", '"'):
        headers["If-Match"] = '"1"'
    if next(HELPED):
        name_what_exists(case)
        if "Idempotency-Key" in headers and is_positive(case, ParameterLocation.HEADER):
            headers["Idempotency-Key"] = f"{next(KEYS)}{headers['Idempotency-Key']}"[:200]
    if case.method != "GET" or not is_positive(case, ParameterLocation.QUERY):
        return
    if last_position and any(parameter.name == "after" for parameter in case.operation.query):
        case.query = {**(case.query or {}), "after": last_position}
    if "cursor" in (case.query or {}) and cursors.get(case.query["cursor"]) != filters(case):
        del case.query["cursor"]


@schemathesis.hook
def after_call(context, case, response):
    global last_position
    for position in response.headers.get("position", []):
        if number(position) > number(last_position):
            last_position = position
    if case.method == "POST" and response.status_code == 201 and "{" not in case.path:
        made[collection(case)] = response.json().get("id", "")
    if case.method == "GET" and response.status_code == 200 and b'"next_cursor":"' in response.content:
        cursors[response.json()["next_cursor"]] = filters(case)


class Accepted:
    """A refusal of data that the description allows, although neither is wrong.

    Told by its operations, and by the kind of problem or the parts of the body that were refused.
    """

    def __init__(self, operations, reason, problem="invalid", pointers=".*", failure="RejectedPositiveData"):
        self.operations, self.reason, self.problem, self.pointers = operations, reason, problem, pointers
        self.failure = failure

    def covers(self, failure, case, response):
        if type(failure).__name__ != self.failure or not re.fullmatch(self.operations, case.operation.label):
            return False
        problem = response.json()
        pointers = [error["pointer"] for error in problem.get("errors", [])]
        return problem["type"].rpartition("/")[2] == self.problem and all(
            re.fullmatch(self.pointers, pointer) for pointer in pointers
        )


ACCEPTED = [
    Accepted(
        r"GET .*",
        "A read after a position that the log has not reached yet waits, and is then asked to come again.",
        problem="not-yet",
        failure="ServerError",
    ),
    Accepted(
        r"GET /api/v1/live",
        "Only a WebSocket client can open a WebSocket, and schemathesis is none.",
        problem="websocket-expected",
    ),
    Accepted(
        r"(POST|PATCH|DELETE) .*",
        "A key is for one request; schemathesis uses some for several.",
        problem="idempotency-key-reused",
    ),
    Accepted(
        r"(POST|PATCH) /api/v1/(notes|blocks|tasks)(/\{id\}(/move)?)?",
        "An id is well formed, but there is no such thing, or the caller may not see it.",
        pointers=r"/(notebook_id|note_id|assignee_id|after|before)",
    ),
    Accepted(
        r"POST /api/v1/(notes|blocks)|PATCH /api/v1/blocks/\{id\}",
        "Spans lie within their text and do not overlap, which JSON Schema cannot say.",
        pointers=r"(/blocks/\d+)?/content(/rows/\d+/\d+)?/spans(/\d+)?(/end)?",
    ),
    Accepted(
        r"POST /api/v1/(notes|blocks)|PATCH /api/v1/blocks/\{id\}",
        "Every row of a table has as many cells as there are columns, which JSON Schema cannot say.",
        pointers=r"(/blocks/\d+)?/content/rows/\d+",
    ),
    Accepted(
        r"POST /api/v1/notes",
        "Two blocks of one request have the same id, which JSON Schema cannot forbid.",
        pointers=r"/blocks/\d+/id",
    ),
    Accepted(
        r"PATCH /api/v1/blocks/\{id\}",
        "Which fields a content has depends on the type of the block, which the request need not name.",
        pointers=r"/content(/.*)?",
    ),
    Accepted(
        r"(POST|PATCH) /api/v1/tasks(/\{id\})?",
        "A task may have an empty title only when it belongs to a note.",
        pointers=r"/title",
    ),
    Accepted(
        r"(POST|PATCH) /api/v1/tasks(/\{id\})?",
        "A task is due at a time or on a day, not both, which its schema says in words.",
        pointers=r"/due_on",
    ),
    Accepted(
        r"PATCH /api/v1/me",
        "Preferences are any JSON of up to 64 KiB without U+0000: said in words, as JSON Schema counts no bytes.",
        pointers=r"/preferences(?s:.*)",
    ),
    Accepted(
        r"POST /api/v1/auth/register",
        "The commonest passwords are refused, and which characters of all scripts are letters no pattern lists.",
        pointers=r"/(password|username|email|display_name)",
    ),
    Accepted(
        r"PATCH /api/v1/me",
        "Which characters of all scripts are letters, and which are only marks, no pattern lists.",
        pointers=r"/(display_name|first_name|last_name|avatar_url)",
    ),
    Accepted(
        r"(POST|PATCH) /api/v1/(notebooks|notes)(/\{id\})?",
        "A name of nothing but combining marks cannot be seen; which characters are marks no pattern lists.",
        pointers=r"/(name|title)",
    ),
]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    return not any(accepted.covers(failure, case, response) for accepted in ACCEPTED)
