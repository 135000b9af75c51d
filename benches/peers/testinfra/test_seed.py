"""Six checks of scenarios/seed/scenario.yaml as one writes them for pytest-testinfra, for the bundled reference.

`imparcial bench` runs this file on the host, with DOCKER_HOST at the lab's engine, PAGE at the app's URL, and APP and DB
naming the containers.
"""

import os
import urllib.request

import pytest
import testinfra

NAMES = ["Barranquero coronado", "Cóndor de los Andes", "Tángara multicolor", 'Colibrí "pico de hoz"', "Gallito de roca"]


@pytest.fixture(scope="module")
def host():
    return testinfra.get_host("local://")


@pytest.fixture(scope="module")
def app():
    return testinfra.get_host("docker://" + os.environ["APP"])


@pytest.fixture(scope="module")
def db():
    return testinfra.get_host("docker://" + os.environ["DB"])


def test_db_runs(host):
    assert host.docker(os.environ["DB"]).is_running


def test_app_runs(host):
    assert host.docker(os.environ["APP"]).is_running


def test_db_by_name(app):
    assert app.run("timeout 5 bash -c 'exec 3<>/dev/tcp/db/3306'").succeeded


def test_init_applied(db):
    names = db.check_output(
        "mysql -uroot -pdistribuidos --default-character-set=utf8mb4 -N -e 'SELECT nombre FROM reserva.aves ORDER BY id'"
    )
    assert names.splitlines() == NAMES


def test_page():
    with urllib.request.urlopen(os.environ["PAGE"], timeout=5) as page:
        assert page.status == 200
        assert NAMES[0] in page.read().decode()


def test_memory_effective(host):
    assert host.docker(os.environ["APP"]).inspect()["HostConfig"]["Memory"] == 128 * 1024**2
    assert host.docker(os.environ["DB"]).inspect()["HostConfig"]["Memory"] == 256 * 1024**2
