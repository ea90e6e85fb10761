"""The one validator of manifests: a good one is read whole, and every fault is named with file and key."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mcpweb.catalog import manifest
from mcpweb.catalog.manifest import Check, PluginError, Scope
from mcpweb.catalog.refusals import Refusal
from tests.plugin_folder import plugin


def test_a_good_manifest_is_read_whole(tmp_path):
    folder = plugin(tmp_path)

    found = manifest.read(folder)

    assert (found.name, found.title, found.port, found.base_url) == (
        "weather",
        "Weather",
        8150,
        "https://api.weather.example",
    )
    assert found.hosts == ("api.weather.example", "*.cdn.weather.example")
    assert dict(found.headers) == {"Authorization": "Bearer {key}", "X-Region": "eu-{region}"}
    key, region = found.fields
    assert (key.name, key.secret, key.pattern, key.link_label) == ("key", True, "[0-9a-f]{8}", "Create a key")
    assert key.scopes == (
        Scope("read", "read forecasts", implied_by=("write",)),
        Scope("history", "read the past", optional=True),
    )
    assert (region.name, region.secret, region.pattern) == ("region", False, "")
    assert found.checks == (
        Check("/old-account", "^0"),
        Check("/account", "", "owner.name", "X-Scopes", "X-Expires"),
    )
    assert found.refusals == (
        Refusal("key_refused", 403, "Bad key"),
        Refusal("rate_limited", 418, None, "x-limit: 0"),
    )
    assert (found.docs_url, found.reset_header) == ("https://weather.example/docs", "x-reset")
    assert found.digest == hashlib.sha256((folder / "plugin.toml").read_bytes()).hexdigest()


def test_what_is_optional_may_be_left_out(tmp_path):
    text = (
        'name="weather"\ntitle="W"\nsummary="S"\ncategory="C"\nlogo="logo.svg"\nport=8150\n'
        'base_url="https://a.example"\nhosts=["a.example"]\n[headers]\nKey="{key}"\n'
        '[[credential]]\nname="key"\nlabel="Key"\nsecret=true\n[[check]]\npath="/"\n'
    )

    found = manifest.read(plugin(tmp_path, manifest=text))

    assert (found.docs_url, found.reset_header, found.refusals) == ("", None, ())


REQUIRED = ["title", "summary", "category", "logo", "port", "base_url", "hosts"]
FAULTS: list[tuple[str, dict[str, str], str]] = [
    *((f"{key} missing", {f"\n{key} =": f"\nx_{key} ="}, key) for key in REQUIRED),
    ("name missing", {'name = "weather"\n': ""}, "name"),
    ("unknown key", {'logo = "logo.svg"': 'logo = "logo.svg"\ncolour = "red"'}, "colour"),
    ("name not the folder's", {'name = "weather"': 'name = "wether"'}, "name"),
    ("name in capitals", {'name = "weather"': 'name = "Weather"'}, "name"),
    ("name a number", {'name = "weather"': "name = 5"}, "name"),
    ("title empty", {'title = "Weather"': 'title = ""'}, "title"),
    ("title long", {'title = "Weather"': f'title = "{"x" * 61}"'}, "title"),
    ("summary long", {"Forecasts for places.": "x" * 201}, "summary"),
    ("logo elsewhere", {'"logo.svg"': '"../logo.svg"'}, "logo"),
    ("logo no svg", {'"logo.svg"': '"logo.png"'}, "logo"),
    ("logo not there", {'"logo.svg"': '"other.svg"'}, "logo"),
    ("port low", {"port = 8150": "port = 1023"}, "port"),
    ("port high", {"port = 8150": "port = 65536"}, "port"),
    ("port a text", {"port = 8150": 'port = "8150"'}, "port"),
    ("port a fraction", {"port = 8150": "port = 8150.5"}, "port"),
    ("port true", {"port = 8150": "port = true"}, "port"),
    ("base_url ftp", {'"https://api.weather.example"': '"ftp://api.weather.example"'}, "base_url"),
    ("base_url with a user", {"https://api": "https://user@api"}, "base_url"),
    ("base_url blank inside", {'weather.example"\nhosts': 'weather.example/a b"\nhosts'}, "base_url"),
    ("base_url not a host", {'"https://api.weather.example"': '"https://"'}, "base_url"),
    ("hosts empty", {'["api.weather.example", "*.cdn.weather.example"]': "[]"}, "hosts"),
    ("hosts without the base's", {'["api.weather.example", ': "["}, "hosts"),
    ("hosts with a scheme", {'["api.weather.example", "*': '["api.weather.example", "https://*'}, "hosts"),
    ("hosts with everything", {'"*.cdn.weather.example"': '"*"'}, "hosts"),
    ("hosts with a port", {'"*.cdn.weather.example"': '"cdn.weather.example:8080"'}, "hosts"),
    ("hosts a text", {'["api.weather.example", "*.cdn.weather.example"]': '"api.weather.example"'}, "hosts"),
    ("docs_url a script", {'"https://weather.example/docs"': '"javascript:alert(1)"'}, "docs_url"),
    ("headers empty", {'Authorization = "Bearer {key}"\nX-Region = "eu-{region}"\n': ""}, "headers"),
    ("header with a bad name", {"X-Region =": '"X Region" ='}, "headers"),
    ("header with a line end", {'"eu-{region}"': '"eu\\r\\nX: {region}"'}, "headers"),
    ("header with an unknown field", {"Bearer {key}": "Bearer {token}"}, "headers.Authorization"),
    ("header with a numbered field", {"Bearer {key}": "Bearer {0}"}, "headers.Authorization"),
    ("header with an unnamed field", {"Bearer {key}": "Bearer {}"}, "headers.Authorization"),
    ("header reaching into a field", {"Bearer {key}": "Bearer {key.__class__}"}, "headers.Authorization"),
    ("header with a conversion", {"Bearer {key}": "Bearer {key!r}"}, "headers.Authorization"),
    ("header with a format", {"Bearer {key}": "Bearer {key:>99999999}"}, "headers.Authorization"),
    ("header with an open brace", {"Bearer {key}": "Bearer {key"}, "headers.Authorization"),
    ("header we send ourselves", {"X-Region =": "Host ="}, "headers.Host"),
    ("credentials in another table", {"[[credential]]": "[[x]]"}, "x"),
    ("credential without a label", {'label = "API key"\n': ""}, "credential.0"),
    ("credential not said to be secret", {"secret = true\n": ""}, "credential.0"),
    ("credential secret a text", {"secret = true": 'secret = "yes"'}, "credential.0.secret"),
    ("credential twice", {'name = "region"': 'name = "key"', "eu-{region}": "eu"}, "credential"),
    ("credential with a bad name", {'name = "region"': 'name = "Re gion"'}, "credential.1.name"),
    ("credential with an unknown key", {"secret = true": 'secret = true\ntype = "x"'}, "credential.0"),
    ("pattern no expression", {'"[0-9a-f]{8}"': '"[0-9"'}, "credential.0.pattern"),
    ("link no address", {'"https://weather.example/keys"': '"keys"'}, "credential.0.link"),
    ("scope without a reason", {', why = "read the past"': ""}, "credential.0.scopes.1"),
    ("scope with an unknown key", {"optional = true": "needed = true"}, "credential.0.scopes.1"),
    ("no check", {'[[check]]\nwhen = "^0"': "[[x]]", "[[check]]\npath": "[[y]]\npath"}, "check"),
    ("check without a path", {'path = "/account"\n': ""}, "check.1"),
    ("check elsewhere", {'path = "/account"': 'path = "https://evil.example/"'}, "check.1.path"),
    ("check's when no expression", {'when = "^0"': 'when = "(0"'}, "check.0.when"),
    ("last check only sometimes", {'path = "/account"': 'path = "/account"\nwhen = "^1"'}, "check"),
    ("check's header with a blank", {'"X-Scopes"': '"X Scopes"'}, "check.1.scopes_header"),
    ("error without a meaning", {'means = "key_refused"\n': ""}, "error.0"),
    ("error with an unknown meaning", {'"key_refused"': '"broken"'}, "error.0.means"),
    ("error with a good status", {"status = 403": "status = 200"}, "error.0.status"),
    ("error with a text status", {"status = 403": 'status = "403"'}, "error.0.status"),
    ("rate limit unknown key", {'reset = "x-reset"': 'header = "x-reset"'}, "rate_limit"),
]


@pytest.mark.parametrize(("change", "key"), [(row[1], row[2]) for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_every_fault_is_named_with_the_file_and_the_key(change, key, tmp_path):
    folder = plugin(tmp_path, change=change)

    with pytest.raises(PluginError) as caught:
        manifest.read(folder)

    place, _, problem = str(caught.value).partition(": ")
    assert place == str(folder / "plugin.toml")
    assert key in problem
    assert len(problem) > len(key) + 5, "and what is wrong with it"


@pytest.mark.parametrize(
    "content",
    [b"", b"name = ", b"\xff\xfe", b"\0", b"name = 'a'\nname = 'b'", b"[" * 5000, b"a." * 3000 + b"b = 1"],
    ids=["empty", "cut", "bytes", "NUL", "twice", "brackets", "deep"],
)
def test_what_is_no_toml_is_named_with_the_file(content, tmp_path):
    folder = plugin(tmp_path, manifest=content)

    with pytest.raises(PluginError, match=r"plugin\.toml: "):
        manifest.read(folder)


def test_a_manifest_that_is_not_there_is_named(tmp_path):
    (tmp_path / "weather").mkdir()

    with pytest.raises(PluginError, match=r"weather/plugin\.toml: can not be read"):
        manifest.read(tmp_path / "weather")


@pytest.mark.parametrize("folder", sorted((Path(__file__).parents[2] / "plugins").glob("*/plugin.toml")), ids=str)
def test_the_shipped_manifests_are_good(folder):
    assert manifest.read(folder.parent).name == folder.parent.name
