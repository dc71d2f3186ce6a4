"""Checks the double with ThingsBoard's own Python client.

Usage: tb_ce.py URL        (needs the packages of requirements.txt)

The client's models are strict, so an answer of the wrong shape fails here even where nothing looks at its content.
The device API is called directly: the client has none. Ends with a line `N passed, M failed`; the exit code is 0
only when nothing failed.
"""

import json
import socket
import sys
import time
import urllib.error
import urllib.request

from tb_ce_client import ThingsboardClient
from tb_ce_client.exceptions import ApiException
from tb_ce_client.models import Device

USER, PASSWORD = "tenant@thingsboard.org", "tenant"
START_MS, STEP_MS, ROWS = 1_700_000_000_000, 60_000, 60
END_MS = START_MS + ROWS * STEP_MS
NO_DEVICE = "00000000-0000-0000-0000-000000000001"

# No answer at all is a failure, not a reason to wait for ever.
socket.setdefaulttimeout(30)


class Failed(Exception):
    """A check that did not hold."""


def equal(found, expected, what):
    if found == expected:
        return
    if isinstance(found, list) and isinstance(expected, list) and len(expected) > 5:
        missing = [item for item in expected if item not in found]
        surplus = [item for item in found if item not in expected]
        raise Failed(
            f"{what}: expected {len(expected)}, found {len(found)};"
            f" missing {missing[:3]!r}, unexpected {surplus[:3]!r}, or in another order"
        )
    raise Failed(f"{what}: expected {expected!r}, found {found!r}")


def true(condition, what):
    if not condition:
        raise Failed(what)


def refused(status, code, message, call):
    """Checks that a call is refused, and how: HTTP status, the server's error code, part of its message."""
    try:
        call()
    except ApiException as error:
        equal(error.status, status, "HTTP status of the refusal")
        body = json.loads(error.body)
        equal(body.get("errorCode"), code, "error code of the refusal")
        true(message in body.get("message", ""), f"the message {body.get('message')!r} lacks {message!r}")
        return
    raise Failed("the call was accepted")


def http(url, body=None, method="POST"):
    """Sends JSON and returns status and body; refusals are answers too."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Check:
    """The checks in their order; what an earlier one made, the later ones use."""

    def __init__(self, url):
        self.url = url
        self.run = time.time_ns()
        self.name, self.token = f"meter {self.run}", f"TOKEN{self.run}"
        self.client = self.device = self.id = None

    def history(self, **parameters):
        return self.client.get_timeseries_history(
            entity_type="DEVICE", entity_id=self.id, start_ts=START_MS, end_ts=END_MS, **parameters
        )

    def sign_in(self):
        self.client = ThingsboardClient(self.url, username=USER, password=PASSWORD)
        user = self.client.get_user()
        equal(user.email, USER, "user")
        equal(str(getattr(user.authority, "value", user.authority)), "TENANT_ADMIN", "authority")

    def wrong_password_is_refused(self):
        refused(
            401,
            10,
            "Invalid username or password",
            lambda: ThingsboardClient(self.url, username=USER, password="wrong"),
        )

    def create_a_device(self):
        self.device = self.client.save_device(Device(name=self.name, type="default"), access_token=self.token)
        self.id = str(self.device.id.id)
        equal(self.device.name, self.name, "name")
        equal(self.device.type, "default", "type")
        true(self.device.device_profile_id is not None, "the device has no profile")

    def duplicate_name_is_refused(self):
        refused(
            400,
            31,
            "Device with such name already exists!",
            lambda: self.client.save_device(Device(name=self.name, type="default")),
        )

    def duplicate_token_is_refused(self):
        refused(
            400,
            31,
            "already assigned to another device",
            lambda: self.client.save_device(Device(name=self.name + " b"), access_token=self.token),
        )

    def devices_are_listed_page_by_page(self):
        others = [self.client.save_device(Device(name=f"{self.name} {letter}")) for letter in "cde"]
        names = []
        for number in range(10):
            page = self.client.get_tenant_devices(page_size=3, page=number, text_search=self.name)
            equal(page.total_elements, 4, "devices found")
            names += [device.name for device in page.data]
            if not page.has_next:
                break
        equal(sorted(names), sorted([self.name] + [other.name for other in others]), "names on all pages")
        infos = self.client.get_tenant_device_infos(page_size=10, page=0, text_search=self.name)
        equal({info.device_profile_name for info in infos.data}, {"default"}, "profiles of the devices")
        for other in others:
            self.client.delete_device(device_id=str(other.id.id))
        left = self.client.get_tenant_devices(page_size=10, page=0, text_search=self.name)
        equal(left.total_elements, 1, "devices left")

    def device_is_found_by_id_and_name(self):
        equal(self.client.get_device_by_id(device_id=self.id).name, self.name, "name by id")
        found = self.client.get_tenant_device_by_name(device_name=self.name)
        equal(str(found.id.id), self.id, "id by name")
        refused(404, 32, "", lambda: self.client.get_device_by_id(device_id=NO_DEVICE))

    def credentials_are_read_and_changed(self):
        credentials = self.client.get_device_credentials_by_device_id(device_id=self.id)
        equal(credentials.credentials_id, self.token, "token")
        equal(str(credentials.device_id.id), self.id, "device of the credentials")
        self.token += "B"
        credentials.credentials_id = self.token
        changed = self.client.update_device_credentials(device_credentials=credentials)
        equal(changed.credentials_id, self.token, "token after the change")
        status, body = http(f"{self.url}/api/v1/{self.token[:-1]}/telemetry", {"power": 1})
        equal((status, body), (401, b""), "answer to the old token")

    def upload(self):
        rows = [
            {"ts": START_MS + step * STEP_MS, "values": {"power": 100 + step, "energyImport": step + 0.5}}
            for step in range(ROWS)
        ]
        return http(f"{self.url}/api/v1/{self.token}/telemetry", rows)

    def device_uploads_telemetry(self):
        equal(self.upload(), (200, b""), "answer to the upload")

    def bad_telemetry_is_refused(self):
        status, body = http(f"{self.url}/api/v1/{self.token}/telemetry", [1, 2])
        equal(status, 500, "status for an array of numbers")
        true(body, "the refusal has no text")

    def values_are_read_back(self):
        keys = self.client.get_timeseries_keys(entity_type="DEVICE", entity_id=self.id)
        equal(sorted(keys), ["energyImport", "power"], "keys")
        raw = self.history(keys="power,energyImport", limit="1000", order_by="ASC", use_strict_data_types=True)
        expected = [(START_MS + step * STEP_MS, 100 + step) for step in range(ROWS)]
        equal([(point.ts, point.value) for point in raw["power"]], expected, "all of power")
        equal([point.value for point in raw["energyImport"]], [step + 0.5 for step in range(ROWS)], "all of energy")
        newest = self.history(keys="power", limit="2")
        equal([point.value for point in newest["power"]], ["159", "158"], "the newest two as text")
        latest = self.client.get_latest_timeseries(entity_type="DEVICE", entity_id=self.id, keys="power")
        equal([(point.ts, point.value) for point in latest["power"]], [(END_MS - STEP_MS, "159")], "latest")

    def count_tells_that_everything_arrived(self):
        window = END_MS - START_MS
        counted = self.history(keys="power,energyImport", agg="COUNT", interval=window, use_strict_data_types=True)
        for key in ("power", "energyImport"):
            found = [(point.ts, point.value) for point in counted[key]]
            equal(found, [(START_MS + window // 2, ROWS)], f"count of {key}")

    def repeated_upload_changes_nothing(self):
        equal(self.upload(), (200, b""), "answer to the repeated upload")
        self.count_tells_that_everything_arrived()

    def buckets_are_aggregated(self):
        averages = self.history(keys="power", agg="AVG", interval=20 * STEP_MS, use_strict_data_types=True)
        found = [(point.ts, point.value) for point in averages["power"]]
        equal(found, [(START_MS + (20 * part + 10) * STEP_MS, 109.5 + 20 * part) for part in range(3)], "averages")
        try:
            self.history(keys="power", agg="AVG", interval=1000)
        except ApiException as error:
            equal(error.status, 400, "status for too many buckets")
        else:
            raise Failed("3600 buckets were accepted")

    def client_saves_telemetry_itself(self):
        body = json.dumps({"ts": START_MS - STEP_MS, "values": {"power": 7}})
        self.client.save_entity_telemetry(entity_type="DEVICE", entity_id=self.id, scope="ANY", body=body)
        points = self.client.get_timeseries_history(
            entity_type="DEVICE", entity_id=self.id, keys="power", start_ts=START_MS - STEP_MS, end_ts=START_MS
        )
        equal([point.value for point in points["power"]], ["7"], "the saved value")
        latest = self.client.get_latest_timeseries(entity_type="DEVICE", entity_id=self.id, keys="power")
        equal(latest["power"][0].value, "159", "latest after back-dated data")

    def attributes_are_saved_and_read(self):
        self.client.save_entity_attributes_v2(
            entity_type="DEVICE", entity_id=self.id, scope="SHARED_SCOPE", body=json.dumps({"interval": 10})
        )
        found = self.client.get_attributes(entity_type="DEVICE", entity_id=self.id, keys="interval")
        equal([(attribute.key, attribute.value) for attribute in found], [("interval", 10)], "attributes")
        status, body = http(f"{self.url}/api/v1/{self.token}/attributes?sharedKeys=interval", method="GET")
        equal((status, json.loads(body)), (200, {"shared": {"interval": 10}}), "attributes that the device sees")

    def range_is_deleted(self):
        self.client.delete_entity_timeseries(
            entity_type="DEVICE", entity_id=self.id, keys="power", start_ts=START_MS, end_ts=START_MS + 10 * STEP_MS
        )
        left = self.history(keys="power,energyImport", limit="1000")
        equal((len(left["power"]), len(left["energyImport"])), (ROWS - 10, ROWS), "points left")

    def tokens_are_refreshed_before_they_expire(self):
        # Without a name and password the client can only use the refresh token. It refreshes 30 s before the end.
        status, _ = http(f"{self.url}/double/faults", {"access_token_lifetime_s": 5})
        equal(status, 200, "status for the setting of the token's life")
        try:
            _, body = http(f"{self.url}/api/auth/login", {"username": USER, "password": PASSWORD})
        finally:
            http(f"{self.url}/double/faults", {})
        pair = json.loads(body)
        client = ThingsboardClient(self.url, token=pair["token"], refresh_token=pair["refreshToken"])
        equal(client.get_user().email, USER, "user after the refresh")
        true(client.get_token() != pair["token"], "the access token is still the first one")
        true(client.get_refresh_token() != pair["refreshToken"], "the refresh token is still the first one")

    def expired_tokens_are_refused(self):
        client = ThingsboardClient(self.url, token=self.client.get_token())
        equal(client.get_user().email, USER, "user before")
        status, _ = http(f"{self.url}/double/expire-tokens", {"access": True})
        equal(status, 200, "status for the expiry of tokens")
        refused(401, 11, "Token has expired", client.get_user)
        self.client = ThingsboardClient(self.url, username=USER, password=PASSWORD)

    def device_is_deleted(self):
        self.client.delete_device(device_id=self.id)
        refused(404, 32, "", lambda: self.client.get_device_by_id(device_id=self.id))
        status, body = http(f"{self.url}/api/v1/{self.token}/telemetry", {"power": 1})
        equal((status, body), (401, b""), "answer to the deleted device")

    def signing_out_ends_the_session(self):
        self.client.logout()
        refused(401, 11, "Token has expired", self.client.get_user)

    ORDER = [
        sign_in,
        wrong_password_is_refused,
        create_a_device,
        duplicate_name_is_refused,
        duplicate_token_is_refused,
        devices_are_listed_page_by_page,
        device_is_found_by_id_and_name,
        credentials_are_read_and_changed,
        device_uploads_telemetry,
        bad_telemetry_is_refused,
        values_are_read_back,
        count_tells_that_everything_arrived,
        repeated_upload_changes_nothing,
        buckets_are_aggregated,
        client_saves_telemetry_itself,
        attributes_are_saved_and_read,
        range_is_deleted,
        tokens_are_refreshed_before_they_expire,
        expired_tokens_are_refused,
        device_is_deleted,
        signing_out_ends_the_session,
    ]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: tb_ce.py URL")
    check = Check(sys.argv[1].rstrip("/"))
    failed = 0
    for step in Check.ORDER:
        name = step.__name__.replace("_", " ")
        try:
            step(check)
            print(f"ok      {name}")
        except Failed as error:
            failed += 1
            print(f"FAILED  {name}: {error}")
        except Exception as error:  # Any other surprise is a failure of that check, and the rest still runs.
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {' '.join(str(error).split())[:500]}")
    print(f"{len(Check.ORDER) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
