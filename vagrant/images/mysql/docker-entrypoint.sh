#!/bin/bash
# The official mysql image's entrypoint, in behaviour: its variables, its order, its refusals and its folder of
# scripts. What the stand-in does differently is said on stderr, beginning with "stand-in:".
set -eo pipefail
shopt -s nullglob

DATADIR=/var/lib/mysql
SOCKET=/run/mysqld/mysqld.sock
TEMPLATE=/usr/share/imparcial/mysql

log() { printf '%s [%s] [Entrypoint]: %s\n' "$(date --rfc-3339=seconds)" "$1" "$2"; }
mysql_note() { log Note "$*"; }
mysql_warn() { log Warn "$*" >&2; }
mysql_error() { log ERROR "$*" >&2; exit 1; }
stand_in() { printf 'stand-in: %s\n' "$*" >&2; }

# file_env VAR [DEFAULT]: the value of VAR, or what the file named in VAR_FILE holds; both is an error.
file_env() {
    local name=$1 file_name="$1_FILE" value=${2:-}
    if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then
        mysql_error "Both $name and $file_name are set (but are exclusive)"
    fi
    if [ -n "${!name:-}" ]; then value=${!name}; elif [ -n "${!file_name:-}" ]; then value=$(< "${!file_name}"); fi
    export "$name=$value"
    unset "$file_name"
}

# either NAME: MYSQL_NAME, MARIADB_NAME, or the file of either, ends up in MYSQL_NAME and in MARIADB_NAME.
either() {
    file_env "MYSQL_$1"
    file_env "MARIADB_$1"
    local mysql="MYSQL_$1" mariadb="MARIADB_$1"
    if [ -n "${!mysql}" ]; then export "$mariadb=${!mysql}"; else export "$mysql=${!mariadb}"; fi
}

# Options that MySQL knows and MariaDB refuses to start with: they choose how MySQL does something that this server
# does in its own way.
only_mysql() {
    local name=${1%%=*}
    name=${name#--}
    name=${name#loose-}; name=${name#loose_}
    name=${name//_/-}
    case "$name" in
        default-authentication-plugin | authentication-policy | mysqlx* | skip-mysqlx | caching-sha2-password-* | sha256-password-* | \
        mysql-native-password | mysql-native-password-proxy-users | skip-mysql-native-password | auto-generate-certs | \
        gtid-mode | enforce-gtid-consistency | log-error-verbosity | log-timestamps | log-error-services | log-error-suppression-list | \
        innodb-dedicated-server | innodb-redo-log-capacity | default-table-encryption | \
        mandatory-roles | activate-all-roles-on-login | admin-address | admin-port | create-admin-listener-thread | \
        binlog-transaction-dependency-tracking | binlog-transaction-dependency-history-size | master-info-repository | relay-log-info-repository | \
        information-schema-stats-expiry | cte-max-recursion-depth | regexp-time-limit | regexp-stack-limit | \
        persisted-globals-load | show-compatibility-56 | avoid-temporal-upgrade | internal-tmp-disk-storage-engine | \
        internal-tmp-mem-storage-engine | temptable-* | upgrade | no-dd-upgrade | validate-password* | \
        offline-mode | print-identified-with-as-hex | partial-revokes | password-require-current | password-history | password-reuse-interval | \
        sql-require-primary-key | sql-generate-invisible-primary-key | tls-ciphersuites | admin-tls-* | admin-ssl-* | range-optimizer-max-mem-size | \
        super-read-only | disabled-storage-engines | ngram-token-size | replica-parallel-type | slave-parallel-type | replica-preserve-commit-order | \
        slave-preserve-commit-order | innodb-numa-interleave | innodb-doublewrite-dir | innodb-doublewrite-files | early-plugin-load) return 0 ;;
    esac
    # Collations of MySQL 8, and the character set that only MySQL has a name for.
    case "$name=${1#*=}" in collation-server=*0900* | init-connect=*0900*) return 0 ;; esac
    return 1
}

# keep OPTION...: leaves in the array `kept` what this server understands.
keep() {
    kept=()
    local option
    while [ $# -gt 0 ]; do
        option=$1; shift
        if [ "${option#--}" != "$option" ] && only_mysql "$option"; then
            stand_in "left out $option, an option of MySQL that MariaDB does not have"
            # `--option value` as two words.
            if [ "${option#*=}" = "$option" ] && [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then shift; fi
        elif [ "$option" = --collation-server ] && [[ ${1:-} == *0900* ]]; then
            stand_in "left out $option $1, a collation of MySQL 8"
            shift
        else
            kept+=("$option")
        fi
    done
}

# The same options in a settings file stop the server too, and the file may be mounted read-only: then the server is
# given what the files say, less those, as its command line, and reads no file itself.
settings_as_options() {
    local from_files
    mapfile -t from_files < <(my_print_defaults --mysqld 2>/dev/null)
    settings=()
    keep "${from_files[@]}" 2> /tmp/.left-out
    if [ -s /tmp/.left-out ]; then
        cat /tmp/.left-out >&2
        settings=(--no-defaults "${kept[@]}")
    fi
    rm -f /tmp/.left-out
}

# A quote or a backslash in a password is part of it.
quoted() { local text=${1//\\/\\\\}; text=${text//\'/\\\'}; printf "'%s'" "${text//$'\n'/\\n}"; }

# The client never follows MYSQL_HOST, which the student set for the app.
client=(env -u MYSQL_HOST -u MYSQL_TCP_PORT mysql --no-defaults --protocol=socket -hlocalhost --socket="$SOCKET" -uroot --comments)
docker_process_sql() {
    if [ "${1:-}" = --dont-use-mysql-root-password ]; then shift; fi
    local database=()
    if [ -n "${MYSQL_DATABASE:-}" ] && [ "${1:-}" != --database=mysql ]; then database=(--database="$MYSQL_DATABASE"); fi
    MYSQL_PWD=$root_password "${client[@]}" "${database[@]}" "$@"
}

docker_process_init_files() {
    local file
    # What older scripts that are sourced call.
    mysql=(docker_process_sql)
    for file; do
        case "$file" in
            *.sh)
                if [ -x "$file" ]; then
                    mysql_note "$0: running $file"
                    "$file"
                else
                    mysql_note "$0: sourcing $file"
                    # shellcheck disable=SC1090
                    . "$file"
                fi ;;
            *.sql) mysql_note "$0: running $file"; docker_process_sql < "$file"; echo ;;
            *.sql.bz2) mysql_note "$0: running $file"; bunzip2 -c "$file" | docker_process_sql; echo ;;
            *.sql.gz) mysql_note "$0: running $file"; gunzip -c "$file" | docker_process_sql; echo ;;
            *.sql.xz) mysql_note "$0: running $file"; xzcat "$file" | docker_process_sql; echo ;;
            *.sql.zst) mysql_note "$0: running $file"; zstd -dc "$file" | docker_process_sql; echo ;;
            *) mysql_warn "$0: ignoring $file" ;;
        esac
    done
}

start_temporary_server() {
    "$@" --skip-networking --socket="$SOCKET" --skip-slave-start &
    server=$!
    local tries
    for tries in $(seq 600); do
        if env -u MYSQL_HOST mysqladmin --no-defaults --protocol=socket -hlocalhost --socket="$SOCKET" -uroot ping > /dev/null 2>&1; then return; fi
        kill -0 "$server" 2>/dev/null || mysql_error "Unable to start server."
        sleep 0.1
    done
    mysql_error "Timed out waiting for the temporary server."
}

set_up_accounts() {
    local root_sql=""
    if [ -n "${MYSQL_ROOT_HOST:=%}" ] && [ "$MYSQL_ROOT_HOST" != localhost ]; then
        root_sql="CREATE USER 'root'@$(quoted "$MYSQL_ROOT_HOST") IDENTIFIED BY $(quoted "$MYSQL_ROOT_PASSWORD");
                  GRANT ALL ON *.* TO 'root'@$(quoted "$MYSQL_ROOT_HOST") WITH GRANT OPTION;"
    fi
    docker_process_sql --database=mysql <<-SQL
	SET @@SESSION.SQL_LOG_BIN = 0;
	SET @@SESSION.SQL_MODE = REPLACE(@@SESSION.SQL_MODE, 'NO_BACKSLASH_ESCAPES', '');
	$root_sql
	ALTER USER 'root'@'localhost' IDENTIFIED BY $(quoted "$MYSQL_ROOT_PASSWORD");
	SQL
    root_password=$MYSQL_ROOT_PASSWORD
    if [ -n "$MYSQL_DATABASE" ]; then
        mysql_note "Creating database ${MYSQL_DATABASE}"
        docker_process_sql --database=mysql <<< "CREATE DATABASE IF NOT EXISTS \`${MYSQL_DATABASE//\`/\`\`}\`;"
    fi
    if [ -n "$MYSQL_USER" ] && [ -n "$MYSQL_PASSWORD" ]; then
        mysql_note "Creating user ${MYSQL_USER}"
        docker_process_sql --database=mysql <<< "CREATE USER $(quoted "$MYSQL_USER")@'%' IDENTIFIED BY $(quoted "$MYSQL_PASSWORD");"
        if [ -n "$MYSQL_DATABASE" ]; then
            mysql_note "Giving user ${MYSQL_USER} access to schema ${MYSQL_DATABASE}"
            # An underscore in a database's name is a wildcard in a grant.
            local database=${MYSQL_DATABASE//\`/\`\`}
            docker_process_sql --database=mysql <<< "GRANT ALL ON \`${database//_/\\_}\`.* TO $(quoted "$MYSQL_USER")@'%';"
        fi
    fi
}

check_variables() {
    if [ -z "$MYSQL_ROOT_PASSWORD" ] && [ -z "$MYSQL_ALLOW_EMPTY_PASSWORD" ] && [ -z "$MYSQL_RANDOM_ROOT_PASSWORD" ]; then
        mysql_error "Database is uninitialized and password option is not specified
    You need to specify one of the following as an environment variable:
    - MYSQL_ROOT_PASSWORD
    - MYSQL_ALLOW_EMPTY_PASSWORD
    - MYSQL_RANDOM_ROOT_PASSWORD"
    fi
    if [ "$MYSQL_USER" = root ]; then
        mysql_error "MYSQL_USER=\"root\", MYSQL_USER and MYSQL_PASSWORD are for configuring a regular user and cannot be used for the root user
    Remove MYSQL_USER=\"root\" and use one of the following to control the root user password:
    - MYSQL_ROOT_PASSWORD
    - MYSQL_ALLOW_EMPTY_PASSWORD
    - MYSQL_RANDOM_ROOT_PASSWORD"
    fi
    if [ -n "$MYSQL_USER" ] && [ -z "$MYSQL_PASSWORD" ]; then
        mysql_warn "MYSQL_USER specified, but missing MYSQL_PASSWORD; MYSQL_USER will not be created"
    elif [ -z "$MYSQL_USER" ] && [ -n "$MYSQL_PASSWORD" ]; then
        mysql_warn "MYSQL_PASSWORD specified, but missing MYSQL_USER; MYSQL_PASSWORD will be ignored"
    fi
}

wants_help() {
    local argument
    for argument; do case "$argument" in -'?' | --help | --print-defaults | -V | --version) return 0 ;; esac; done
    return 1
}

main() {
    if [ "${1:0:1}" = - ]; then set -- mysqld "$@"; fi
    case "${1:-}" in mysqld | mariadbd | mysqld_safe) ;; *) exec "$@" ;; esac
    if wants_help "$@"; then exec "$@"; fi
    local program=mysqld
    shift
    keep "$@"
    local arguments=("${kept[@]}")
    mysql_note "Entrypoint script for MySQL Server started."

    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$DATADIR" /run/mysqld
        find "$DATADIR" \! -user mysql -exec chown mysql:mysql '{}' +
        chown mysql:mysql /run/mysqld
        # The server writes where `docker logs` reads, also as another user than the one who opened it.
        chown mysql /proc/self/fd/1 /proc/self/fd/2 2>/dev/null || true
        mysql_note "Switching to dedicated user 'mysql'"
        exec setpriv --reuid=mysql --regid=mysql --clear-groups "$0" "$program" "${arguments[@]}"
    fi

    settings_as_options
    local data
    data=$("$program" "${settings[@]}" "${arguments[@]}" --verbose --help 2>/dev/null | awk '$1 == "datadir" { print $2; exit }') || true
    DATADIR=${data:-$DATADIR}
    DATADIR=${DATADIR%/}
    either ROOT_HOST
    either DATABASE
    either USER
    either PASSWORD
    either ROOT_PASSWORD
    either ALLOW_EMPTY_PASSWORD
    either RANDOM_ROOT_PASSWORD
    if [ -n "${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:-}" ]; then MYSQL_ALLOW_EMPTY_PASSWORD=$MARIADB_ALLOW_EMPTY_ROOT_PASSWORD; fi

    if [ ! -d "$DATADIR/mysql" ]; then
        check_variables
        # Checked before anything is written, as the official image does.
        ls /docker-entrypoint-initdb.d/ > /dev/null
        mysql_note "Initializing database files"
        mkdir -p "$DATADIR"
        # As whoever this is, with what only that user may read; the folder itself may be somebody else's.
        (umask 0027 && cp -r --sparse=always "$TEMPLATE"/* "$DATADIR/")
        mysql_note "Database files initialized"
        root_password=""
        start_temporary_server "$program" "${settings[@]}" "${arguments[@]}"
        mysql_note "Temporary server started."
        if [ -n "$MYSQL_RANDOM_ROOT_PASSWORD" ]; then
            MYSQL_ROOT_PASSWORD=$(pwgen --numerals --capitalize --symbols --remove-chars="'\\" -1 32)
            export MYSQL_ROOT_PASSWORD
            mysql_note "GENERATED ROOT PASSWORD: $MYSQL_ROOT_PASSWORD"
        fi
        set_up_accounts
        echo
        docker_process_init_files /docker-entrypoint-initdb.d/*
        mysql_note "Stopping temporary server"
        kill -TERM "$server"
        wait "$server" || mysql_error "Unable to shut down server."
        mysql_note "Temporary server stopped"
        echo
        mysql_note "MySQL init process done. Ready for start up."
        echo
    fi
    exec "$program" "${settings[@]}" "${arguments[@]}"
}

# Sourced by somebody's own entrypoint, only the functions are wanted.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then main "$@"; fi
