def test_road(app, new_browser, run_jobs, mail_server, github):
    from tests.conftest import links_in, TOKENS

    b = new_browser()
    p = b.get("/instances")
    p = b.submit(p.form("/sign-in"), email="alice@example.com")
    assert p.path == "/sign-in/sent", p.text
    run_jobs()
    mail = mail_server.mails[-1]
    link = [l for l in links_in(mail.part("plain")) if "/sign-in/" in l][0]
    p = b.get(link)
    p = b.submit(p.form(p.path))
    print(p.url, p.status)
    p = b.get("/services/github/connect")
    p = b.submit(p.form("/connect"), credential_token=TOKENS["github"]["good"])
    print(p.url, p.status)
    open("/tmp/p.html", "w").write(p.text)
    assert "/instances/" in p.url
