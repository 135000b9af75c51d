#!/bin/bash
# healthcheck.sh: the mariadb image's tool of this name, which compose files call with --connect or --innodb_initialized.
case " $* " in
    *" --help "*) echo "healthcheck.sh [--connect] [--innodb_initialized] ..."; exit 0 ;;
esac
password=${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}
# A server that answers "access denied" over TCP is up: the temporary one of the entrypoint does not listen there.
out=$(MYSQL_PWD=$password mariadb-admin --no-defaults --protocol=tcp -h 127.0.0.1 -uroot ping 2>&1) && exit 0
case "$out" in *"Access denied"*) exit 0 ;; esac
exit 1
