"""Every page in every state in which somebody may see it, and how to get there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.browser.scene import Scene
from tests.spec_server import TOKENS

Act = Callable[[Page], None]


@dataclass(frozen=True)
class State:
    """Whose browser, which page (a name in braces is one of the scene's paths), and what is done there."""

    who: str
    path: str
    act: Act | None = None

    def reach(self, page: Page, scene: Scene) -> None:
        """Bring the page into this state."""
        page.goto(self.path.format_map(scene.paths))
        if self.act:
            self.act(page)


def send(button: str, **values: str) -> Act:
    """Fill in fields by their labels, and send the form."""

    def act(page: Page) -> None:
        for label, value in values.items():
            page.get_by_label(label.replace("_", " "), exact=True).fill(value)
        with page.expect_navigation():
            page.get_by_role("button", name=button, exact=True).click()

    return act


def try_key(behaviour: str) -> Act:
    """Send the connect form with a key that behaves so."""
    return send("Check and connect", Access_token=TOKENS["github"][behaviour])


def send_bad_connect_form(page: Page) -> None:
    """A malformed key, no name, and no day where one is wanted."""
    page.get_by_text("Another day").click()
    send("Check and connect", Access_token="nonsense", Name="")(page)


def send_wrong_code(page: Page) -> None:
    """Some other code than the mailed one."""
    send("Sign in with the code", Code_from_the_mail="AAAA-AAAA")(page)


def send_bad_address(page: Page) -> None:
    """Something else than an e-mail address."""
    send("Send me a link", **{"E-mail address": "no address"})(page)


def send_outlived_form(page: Page) -> None:
    """A form whose session has ended meanwhile."""
    page.context.clear_cookies()
    send("Send me a link", **{"E-mail address": "alice@example.com"})(page)


def open_menu(page: Page) -> None:
    """The menu behind one's own address."""
    page.get_by_role("button", name="Your account").click()
    expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()


def open_calls(page: Page) -> None:
    """Everything that is known of the calls on the page."""
    for fold in page.locator("details > summary").all():
        fold.click()


def open_lines(page: Page) -> None:
    """The first lines of a log with all their fields, and the chart's table."""
    for fold in page.locator(".line > summary").all()[:3]:
        fold.click()
    for fold in page.locator("details[open] .fold > summary, .panel--chart summary, .filters__more > summary").all():
        fold.click()
    page.evaluate("scrollTo(0, 0)")  # else the header, which stays, covers half of some link


def open_beside(page: Page) -> None:
    """The searches that are kept."""
    page.get_by_text("Saved and recent searches").click()


def open_fields(page: Page) -> None:
    """The fields to choose from."""
    page.get_by_text("Fields in the rows").click()


def open_keys(page: Page) -> None:
    """The list of keys."""
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def go_to_line(page: Page) -> None:
    """The page of the newest line."""
    page.locator(".line > summary").first.click()
    page.get_by_role("link", name="50 lines before and after").first.click()
    expect(page.get_by_role("heading", name="A line and its neighbours")).to_be_visible()


def open_folds(page: Page) -> None:
    """Everything that is folded."""
    for fold in page.locator("details.fold > summary").all():
        fold.click()


def open_acknowledge(page: Page) -> None:
    """The place for a note."""
    page.locator("summary", has_text="Acknowledge").first.click()


def acknowledge_at_length(page: Page) -> None:
    """A note that is longer than a note may be."""
    open_acknowledge(page)
    note = page.get_by_label("Note for the others").first
    note.evaluate("input => input.removeAttribute('maxlength')")
    note.fill("x" * 301)
    page.get_by_role("button", name="Acknowledge this alert").first.click()


def pick_tools(page: Page) -> None:
    """The list to pick from."""
    page.get_by_text("The ones picked below").click()


def pick_no_tool(page: Page) -> None:
    """None of them."""
    pick_tools(page)
    for button in page.get_by_role("button", name="Pick none").all():
        button.click()
    send("Save the choice")(page)


def stop_for_too_long(page: Page) -> None:
    """Without a reason, and for longer than may be."""
    page.get_by_text("Other").click()
    send("Stop this user", Hours="721")(page)


CONNECT = "/services/github/connect"

STATES = {
    "sign-in": State("stranger", "/sign-in"),
    "sign-in-error": State("stranger", "/sign-in", send_bad_address),
    "waiting": State("waiting", "/sign-in/sent"),
    "waiting-wrong-code": State("waiting", "/sign-in/sent", send_wrong_code),
    "waiting-used": State("used", "/sign-in/sent"),
    "waiting-expired": State("expired", "/sign-in/sent"),
    "confirm": State("waiting", "{waiting}"),
    "confirm-other-browser": State("stranger", "{waiting}"),
    "confirm-other-account": State("owner", "{waiting}"),
    "link-used": State("stranger", "{used}"),
    "link-expired": State("stranger", "{expired}"),
    "link-superseded": State("stranger", "{superseded}"),
    "link-unknown": State("stranger", "/sign-in/nonsense"),
    "set-up": State("stranger", "{set_up}"),
    "set-up-error": State("stranger", "{set_up}", send("Become administrator")),
    "list-empty": State("newcomer", "/instances"),
    "list": State("owner", "/instances"),
    "list-no-match": State("owner", "/instances?q=nothing"),
    "menu": State("owner", "/instances", open_menu),
    "services": State("owner", "/services"),
    "connect": State("connector", CONNECT),
    "connect-errors": State("connector", CONNECT, send_bad_connect_form),
    "connect-rejected": State("connector", CONNECT, try_key("revoked")),
    "connect-scope": State("connector", CONNECT, try_key("no_scope")),
    "connect-rate-limited": State("connector", CONNECT, try_key("rate_limited")),
    "connect-unreachable": State("connector", CONNECT, try_key("error_500")),
    "created": State("connector", CONNECT, try_key("good")),
    "instance-uncalled": State("owner", "{uncalled}"),
    "instance-called": State("owner", "{called}", open_folds),
    "instance-ending": State("owner", "{ending}"),
    "instance-ended": State("owner", "{ended}"),
    "instance-off": State("owner", "{off}"),
    "instance-key-refused": State("owner", "{key_refused}"),
    "instance-unverified": State("owner", "{unverified}"),
    "calls": State("owner", "{called}/logs", open_calls),
    "calls-none": State("owner", "{uncalled}/logs"),
    "calls-no-match": State("owner", "{called}/logs?q=nothing&tool=get_me"),
    "usage": State("owner", "{called}/usage?range=day", open_calls),
    "usage-none": State("owner", "{uncalled}/usage"),
    "extend": State("owner", "{ending}/extend"),
    "extend-ended": State("owner", "{ended}/extend"),
    "tools": State("owner", "{called}/tools", pick_tools),
    "tools-error": State("owner", "{called}/tools", pick_no_tool),
    "replace-key": State("owner", "{called}/credential"),
    "replace-key-refused": State(
        "owner", "{called}/credential", send("Check and replace", Access_token=TOKENS["github"]["revoked"])
    ),
    "delete": State("owner", "{called}/delete"),
    "delete-error": State("owner", "{called}/delete", send("Delete instance", Name_of_the_instance="Wrong")),
    "account": State("owner", "/account"),
    "dashboard": State("admin", "/admin"),
    "hosts": State("admin", "/admin/hosts?range=day", open_folds),
    "alerts": State("admin", "{alerts}", open_acknowledge),
    "alerts-error": State("admin", "{alerts}", acknowledge_at_length),
    "maintenance": State("admin", "/admin/maintenance"),
    "maintenance-logs": State("admin", "/admin/maintenance/logs"),
    "job": State("admin", "/admin/maintenance/recount", send("Run now Recount")),
    "job-on-demand": State("admin", "/admin/maintenance/rebuild_index"),
    "schedule": State("admin", "/admin/maintenance/recount/schedule"),
    "schedule-preview": State("admin", "/admin/maintenance/maintain_logs/schedule", send("Preview")),
    "schedule-error": State(
        "admin", "/admin/maintenance/recount/schedule", send("Save the schedule", Time_zone="Mars")
    ),
    "policies": State("admin", "/admin/maintenance/policies"),
    "policy": State("admin", "/admin/maintenance/policies/instances"),
    "policy-preview": State(
        "admin", "/admin/maintenance/policies/logs", send("Preview", **{"The security log is kept (days)": "7"})
    ),
    "policy-error": State(
        "admin", "/admin/maintenance/policies/logs", send("Save", **{"The security log is kept (days)": "0"})
    ),
    "keys": State("admin", "/admin/maintenance/keys"),
    "backups": State("admin", "/admin/maintenance/backups"),
    "maintenance-mode": State("admin", "/admin/maintenance/mode"),
    "maintenance-mode-error": State("admin", "/admin/maintenance/mode", send("Switch on", Message=" ")),
    "instance-stopped": State("owner", "{stopped_page}"),
    "admin-users": State("admin", "/admin/users"),
    "admin-users-no-match": State("admin", "/admin/users?q=nothing"),
    "admin-users-error": State("admin", "/admin/users", send("Invite", **{"E-mail address": "no address"})),
    "admin-user": State("admin", "{a_user}"),
    "admin-user-disabled": State("admin", "{a_leaver}"),
    "admin-leaver": State("admin", "{a_leaver}/delete-instances"),
    "admin-leaver-error": State(
        "admin", "{a_leaver}/delete-instances", send("Delete everything", **{"E-mail address of the user": "Wrong"})
    ),
    "admin-leaver-enabled": State("admin", "{a_user}/delete-instances"),
    "admin-instances": State("admin", "/admin/instances"),
    "admin-instances-no-match": State("admin", "/admin/instances?q=nothing"),
    "admin-instance": State("admin", "{an_instance}"),
    "admin-instance-error": State("admin", "{an_instance}", send("Switch off", Reason=" ")),
    "admin-instance-stopped": State("admin", "{a_stopped_instance}"),
    "admin-services": State("admin", "/admin/services", open_folds),
    "admin-stops": State("admin", "/admin/stops"),
    "admin-stop-everything": State("admin", "/admin/stops/everything"),
    "admin-stop-service": State("admin", "/admin/services/figma/stop"),
    "admin-stop-user-again": State("admin", "{a_stopped_user}/stop"),
    "admin-stop-error": State("admin", "{a_stopped_user}/stop", stop_for_too_long),
    "admin-user-stopped": State("admin", "{a_stopped_user}"),
    "stopped-user": State("halted", "{halted_page}"),
    "admin-logs": State("admin", "/admin/logs", open_lines),
    "admin-logs-filtered": State(
        "admin", "/admin/logs?q=call&category=performance&level=info&level=warning&not-host=x", open_lines
    ),
    "admin-logs-absolute": State("admin", "/admin/logs?since=2026-01-01&until=nonsense"),
    "admin-logs-follow": State("admin", "/admin/logs?follow=1&category=app"),
    "admin-logs-no-match": State("admin", "/admin/logs?q=nothing-of-the-kind&level=error"),
    "admin-logs-beside": State("admin", "/admin/logs?q=usr:x+call&range=7d", open_beside),
    "admin-logs-fields": State("admin", "/admin/logs?category=performance&show=tool&show=outcome", open_fields),
    "admin-logs-keys": State("admin", "/admin/logs", open_keys),
    "admin-logs-export": State("admin", "/admin/logs/export?category=performance&q=call"),
    "admin-logs-exported": State("admin", "{an_export}"),
    "admin-logs-line": State("admin", "/admin/logs?category=performance&outcome=ok", go_to_line),
    "mailbox": State("stranger", "/dev/mailbox"),
    "mail": State("stranger", "{mail}", open_folds),
    "help": State("stranger", "/help"),
    "not-found": State("owner", "/nothing"),
    "wrong-way": State("owner", "/sign-out"),
    "form-outlived": State("stranger", "/sign-in", send_outlived_form),
}
