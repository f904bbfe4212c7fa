"""An upgrade under a running Master, and a Master of another version than its database."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.running import Master

_TOMORROW = "INSERT INTO django_migrations (app, name, applied) VALUES ('people', '9999_of_tomorrow', ?)"
_NO_TOMORROW = "DELETE FROM django_migrations WHERE name = '9999_of_tomorrow'"
_SAYS = "The database is of a newer version of Freehold than this program (people 9999_of_tomorrow)."


def test_a_master_whose_database_was_upgraded_stops_itself_and_says_why(master: "Master") -> None:
    assert master.api("GET", "/me")
    master.sql(_TOMORROW, "2026-11-26 00:00:00+00:00")
    try:
        ended = os.waitid(os.P_PID, master.pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        assert (ended.si_code, ended.si_status) == (os.CLD_EXITED, 1)
        assert _SAYS in master.log()
        # Nor does it start, or call itself in order, as long as the database is not its own.
        for command in (["serve", "--port", "0"], ["check"]):
            done = master.run(*command)
            assert (done.returncode, _SAYS in done.stderr) == (1, True), done.stderr
    finally:
        master.sql(_NO_TOMORROW)
        master.kill()
        master.start()
    assert master.api("GET", "/me")


def test_a_master_does_not_serve_a_database_that_was_not_upgraded_yet(master: "Master") -> None:
    rows = master.sql("SELECT id, app, name FROM django_migrations WHERE app = 'people' ORDER BY id DESC")
    number, _, name = rows[0]
    master.stop()
    master.sql("UPDATE django_migrations SET app = 'elsewhere' WHERE id = ?", number)
    try:
        done = master.run("serve", "--port", "0")
        assert done.returncode == 1, name
        assert "The database is older than the software: run `freehold master init`." in done.stderr
    finally:
        master.sql("UPDATE django_migrations SET app = 'people' WHERE id = ?", number)
        master.start()


def test_migrations_of_other_programs_in_the_same_database_are_no_ones_business(master: "Master") -> None:
    master.sql(_TOMORROW.replace("'people'", "'neighbour'"), "2026-11-26 00:00:00+00:00")
    try:
        assert "9999_of_tomorrow" not in master.run("check").stderr
    finally:
        master.sql(_NO_TOMORROW)


def test_a_database_of_before_upgrades_were_promised_is_refused_and_left_alone(master: "Master") -> None:
    says = "The database was made before version 0.2.0, the first from which upgrades are promised."
    master.stop()
    master.sql("UPDATE django_migrations SET app = 'before' WHERE app = 'sales'")
    try:
        made = master.sql("SELECT count(*) FROM django_migrations")
        init = ["init", "--owner", "another@example.org", "--password-file", "-"]
        for command in (["serve", "--port", "0"], ["check"], init):
            done = master.run(*command, secret="a long enough password")
            assert (done.returncode, says in done.stderr) == (1, True), (command, done.stderr)
        assert master.sql("SELECT count(*) FROM django_migrations") == made
        assert not master.sql("SELECT id FROM people_person WHERE email = 'another@example.org'")
    finally:
        master.sql("UPDATE django_migrations SET app = 'sales' WHERE app = 'before'")
        master.start()
    assert master.api("GET", "/me")
