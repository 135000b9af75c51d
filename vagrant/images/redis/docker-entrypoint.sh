#!/bin/sh
# As the official image's: options alone or a settings file mean the server, and the server does not run as root.
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
    set -- redis-server "$@"
fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
# The official image keeps what it writes to itself, unless somebody chose otherwise.
if [ "$(umask)" = 0022 ]; then umask 0077; fi
exec "$@"
