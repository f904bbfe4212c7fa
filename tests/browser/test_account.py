"""One's own account in a browser: where one is logged in, and how that ends."""

from collections.abc import Callable

import pyotp

from browser.windows import DESKTOP, PHONE, Window
from support.machines import Cloud
from support.running import PASSWORD


def test_a_lost_phone_is_logged_out_from_the_desk(window: Callable[..., Window]) -> None:
    phone = window(viewport=PHONE, user_agent="Phone/1.0 (lost)")
    desk = window(viewport=DESKTOP)
    for one in (phone, desk):
        one.log_in()
        one.page.locator(".who a").click()
        assert "this one" in one.page.locator("main").inner_text()
        one.has_no_barrier()
        one.fits()
    desk.shoot("account")
    row = desk.page.locator("tr", has_text="Phone/1.0 (lost)")
    assert "127.0.0.1" in row.inner_text()
    row.get_by_role("button", name="End").click()
    assert "Phone/1.0 (lost)" not in desk.page.locator("main").inner_text()
    phone.open("account")
    assert phone.page.locator("h1").inner_text() == "Log in"


def test_messages_are_chosen_and_a_webhook_is_added_tried_and_removed_without_a_script(
    window: Callable[..., Window],
) -> None:
    plain = window(viewport=PHONE, java_script_enabled=False)
    plain.log_in()
    plain.open("account/messages")
    page = plain.page
    page.get_by_label("Time zone").fill("Europe/Paris")
    page.get_by_label("No mail from").fill("22:00")
    page.get_by_role("button", name="Save").click()
    assert "Nothing was changed" in page.locator("[role=alert]").inner_text()
    page.get_by_label("until").fill("07:00")
    page.get_by_label("Somebody said something in a ticket").first.uncheck()
    page.get_by_role("button", name="Save").click()
    plain.fits()
    assert page.get_by_label("No mail from").input_value() == "22:00"
    assert not page.get_by_label("Somebody said something in a ticket").first.is_checked()
    page.get_by_role("link", name="Webhooks and feed of provider").click()
    page.get_by_label("Address").fill("https://hooks.invalid/freehold")
    page.get_by_role("button", name="Add").click()
    assert page.locator("#secret").inner_text().startswith("whsec_")
    page.get_by_role("link", name="Send a test").click()
    page.get_by_role("button", name="Send a test").click()
    assert "A test" in page.locator("tbody").inner_text()
    plain.fits()
    page.get_by_role("button", name="Remove").click()
    assert page.get_by_text("None yet.").is_visible()


def test_all_others_end_and_tokens_are_looked_at_without_a_script(window: Callable[..., Window]) -> None:
    other, plain = window(viewport=DESKTOP), window(viewport=PHONE, java_script_enabled=False)
    other.log_in()
    plain.log_in()
    plain.open("account")
    plain.page.get_by_role("button", name="End all others").click()
    assert plain.page.locator("tbody tr").count() == 1
    plain.page.get_by_role("link", name="Tokens").click()
    plain.page.locator("tbody tr").first.wait_for()
    other.open("account")
    assert other.page.locator("h1").inner_text() == "Log in"
    plain.open("account")
    plain.page.locator("tbody").get_by_role("button", name="Log out").click()
    assert plain.page.locator("h1").inner_text() == "Log in"


def test_a_forgotten_password_is_replaced_with_a_code_without_a_script(
    window: Callable[..., Window], cloud: Cloud
) -> None:
    email, new = "ann@example.org", "a battery of many horses"
    cloud.master.person(email, "provider")
    code = cloud.master.api("POST", f"/people/{email}/password-reset")["code"]
    plain = window(viewport=PHONE, java_script_enabled=False)
    page = plain.page
    plain.open("login")
    page.get_by_role("link", name="Password forgotten?").click()
    assert "This Master sends no mail." in page.locator("main").inner_text()
    page.get_by_role("link", name="I have a code").click()
    page.locator("#email").fill(email)
    page.locator("#code").fill("fhr_wrong")
    page.locator("#password").fill(new)
    page.get_by_role("button", name="Set another password").click()
    assert "the code is wrong" in page.locator("[role=alert]").inner_text()
    page.locator("#code").fill(code)
    page.locator("#password").fill(new)
    page.get_by_role("button", name="Set another password").click()
    assert "Your password is changed" in page.locator("main").inner_text()
    assert code not in page.url
    page.locator("main").get_by_role("link", name="Log in").click()
    page.locator("#email").fill(email)
    page.locator("#password").fill(new)
    page.locator("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{plain.address}/")

    seen = window(viewport=PHONE)
    seen.open("reset")
    seen.has_no_barrier()
    seen.fits()
    seen.shoot("reset")


def test_an_owner_invites_a_colleague_who_comes_in_by_the_link_alone(
    window: Callable[..., Window], cloud: Cloud
) -> None:
    desk, phone = window(viewport=DESKTOP), window(viewport=PHONE)
    desk.log_in()
    desk.page.get_by_role("link", name="Members").click()
    desk.page.locator("#email").fill("gil@example.org")
    desk.page.locator("#role").select_option("operator")
    desk.page.get_by_role("button", name="Invite").click()
    link = desk.page.locator("#link").inner_text()
    desk.shoot("members")
    for seen in (desk, phone):
        if seen is phone:
            phone.page.goto(link)
            assert phone.page.locator("#code").input_value() == link.partition("#")[2]
            assert "#" not in phone.page.url, "it does not stay in the address bar"
        seen.has_no_barrier()
        seen.fits()
    phone.shoot("join")
    phone.page.locator("#email").fill("gil@example.org")
    phone.page.locator("#password").fill("a battery of their own")
    phone.page.get_by_role("button", name="Join").click()
    assert phone.page.locator("h1").inner_text() == "Services"
    phone.open("account/password")
    phone.has_no_barrier()
    phone.fits()
    desk.open("members/provider")
    assert "gil@example.org" in desk.page.locator("tbody").first.inner_text()
    used = window(viewport=PHONE, java_script_enabled=False)
    used.page.goto(link)
    used.page.locator("#email").fill("gil@example.org")
    used.page.locator("#code").fill(link.partition("#")[2])
    used.page.locator("#password").fill("a battery of their own")
    used.page.get_by_role("button", name="Join").click()
    assert "the invitation is over or was used" in used.page.locator("[role=alert]").inner_text()


def test_a_colleague_signs_in_with_a_passkey_and_with_an_app_when_the_device_is_lost(
    window: Callable[..., Window], cloud: Cloud
) -> None:
    """The authenticator is Chromium's own, as a phone's would answer; the address is the name that passkeys are for."""
    email = "ida@example.org"
    cloud.master.person(email, "provider")
    opened = window(viewport=PHONE)
    opened.address = opened.address.replace("127.0.0.1", "localhost")
    page = opened.page
    device = opened.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    device.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**options, "isUserVerified": True, "automaticPresenceSimulation": True}},
    )
    opened.open("login")
    page.locator("#email").fill(email)
    page.locator("#password").fill(PASSWORD)
    page.locator("#password").press("Enter")
    page.wait_for_url(f"{opened.address}/")
    opened.open("account/security")
    opened.has_no_barrier()
    opened.fits()
    opened.shoot("security")
    page.locator("#passkey-title").fill("Ida's phone")
    page.get_by_role("button", name="Add a passkey").click()
    page.locator("li", has_text="Ida's phone").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url(f"{opened.address}/")

    opened.open("account/security")
    key = page.locator("code").inner_text()
    page.locator("#code").fill(pyotp.TOTP(key).now())
    page.get_by_role("button", name="Log in with it from now on").click()
    codes = page.locator("#codes").inner_text().split()
    assert len(codes) == 10
    opened.has_no_barrier()
    page.get_by_role("button", name="Remove Ida's phone").click()
    page.locator("li", has_text="Ida's phone").wait_for(state="detached")
    page.get_by_role("button", name="Log out").click()
    page.locator("#email").fill(email)
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    opened.has_no_barrier()
    page.locator("#code").fill(codes[0])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url(f"{opened.address}/")
