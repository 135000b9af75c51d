#!/usr/bin/env bats
# Six checks of scenarios/seed/scenario.yaml as one writes them for bats and curl, for the bundled reference. `imparcial bench`
# runs this file on the host, with DOCKER_HOST at the lab's engine, PAGE at the app's URL, and APP and DB naming the containers.

running() {
  [ "$(docker inspect --format '{{.State.Status}}' "$1")" = running ]
}

limit() {
  docker inspect --format '{{.HostConfig.Memory}}' "$1"
}

@test "db-runs" {
  running "$DB"
}

@test "app-runs" {
  running "$APP"
}

@test "db-by-name" {
  docker exec "$APP" timeout 5 bash -c 'exec 3<>/dev/tcp/db/3306'
}

@test "init-applied" {
  names=$(docker exec "$DB" mysql -uroot -pdistribuidos --default-character-set=utf8mb4 -N -e \
    'SELECT nombre FROM reserva.aves ORDER BY id')
  [ "$names" = $'Barranquero coronado\nCóndor de los Andes\nTángara multicolor\nColibrí "pico de hoz"\nGallito de roca' ]
}

@test "page" {
  curl -sf -m 5 "$PAGE" | grep -q 'Barranquero coronado'
}

@test "memory-effective" {
  [ "$(limit "$APP")" = 134217728 ]
  [ "$(limit "$DB")" = 268435456 ]
}
