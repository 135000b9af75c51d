#!/bin/bash
# As the official image's: makes the database and runs the scripts, without starting the server for good.
set -eo pipefail
source /usr/local/bin/docker-entrypoint.sh
docker_setup_env
if [ -n "$DATABASE_ALREADY_EXISTS" ]; then
    echo "note: there is a database in $PGDATA already"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    docker_create_db_directories
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$BASH_SOURCE" "$@"
fi
docker_create_db_directories
initialise postgres
