#!/bin/sh
# Runs what lies in /docker-entrypoint.d before the server, as the official image does.
set -e
if [ "$1" = nginx ] || [ "$1" = nginx-debug ]; then
    for file in $(find /docker-entrypoint.d/ -follow -type f | sort -V); do
        case "$file" in
            *.envsh) if [ -x "$file" ]; then . "$file"; fi ;;
            *.sh) if [ -x "$file" ]; then "$file"; fi ;;
        esac
    done
fi
exec "$@"
