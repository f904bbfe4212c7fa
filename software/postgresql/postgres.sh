#!/bin/sh
# What the tasks and jobs of a postgresql instance do. Each may be repeated without harm.
set -eu
verb=$1
shift

initialise() { # PASSWORD-FILE
    # Killed in the middle, it leaves nothing that looks like a server's data.
    [ -f "$DATA/PG_VERSION" ] && return
    rm -rf "$DATA.new"
    "$BIN/initdb" --pgdata "$DATA.new" --username postgres --pwfile "$1" --auth scram-sha-256 \
        --encoding UTF8 --locale C.UTF-8
    mv "$DATA.new" "$DATA"
}

sql() {
    "$BIN/psql" --no-psqlrc --quiet --set ON_ERROR_STOP=1 --no-password "$@"
}

databases() { # SQL-FILE LIST-FILE
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        "$BIN/psql" --no-psqlrc --no-password --command 'SELECT 1' >/dev/null 2>&1 && break
        sleep 0.1
    done
    sql --file "$1"
    while read -r name backup restore; do
        [ "$backup" = - ] || [ -f "$BACKUPS/$name/$backup.dump" ] || dump "$name" "$backup"
        [ "$restore" != - ] || rm -f "$BACKUPS/$name/.restored"
        [ "$restore" = - ] || [ "$(cat "$BACKUPS/$name/.restored" 2>/dev/null)" = "$restore" ] || restore "$name" "$restore"
    done < "$2"
}

dump() { # DATABASE LABEL
    mkdir -p "$BACKUPS/$1"
    "$BIN/pg_dump" --no-password --format custom --file "$BACKUPS/$1/.new" "$1"
    sync "$BACKUPS/$1/.new"
    mv "$BACKUPS/$1/.new" "$BACKUPS/$1/$2.dump"
    echo "backup $2 of $1 is made"
}

restore() { # DATABASE LABEL
    if [ ! -f "$BACKUPS/$1/$2.dump" ]; then
        echo "There is no backup $2 of $1. There are: $(ls "$BACKUPS/$1" 2>/dev/null | sed 's/\.dump$//' | tr '\n' ' ')" >&2
        return 1
    fi
    # Beside the present one until it is whole: a restore that fails takes nothing away.
    sql --command "DROP DATABASE IF EXISTS \"$1.new\" WITH (FORCE)" --command "CREATE DATABASE \"$1.new\" OWNER \"$1\"" \
        --command "REVOKE ALL ON DATABASE \"$1.new\" FROM PUBLIC"
    "$BIN/pg_restore" --no-password --exit-on-error --no-owner --role "$1" --dbname "$1.new" "$BACKUPS/$1/$2.dump"
    sql --command "DROP DATABASE \"$1\" WITH (FORCE)" --command "ALTER DATABASE \"$1.new\" RENAME TO \"$1\""
    echo "$2" > "$BACKUPS/$1/.restored"
    echo "backup $2 of $1 is restored"
}

backup() { # DAYS
    today=$(date -u +%Y-%m-%d)
    for name in $(sql --tuples-only --no-align --command "SELECT datname FROM pg_database WHERE datname ~ '^inst_[a-z0-9]+\$' OR datname = 'postgres'"); do
        dump "$name" "$today"
    done
    find "$BACKUPS" -name '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].dump' -mtime "+$1" -delete
}

answers() { # ENVIRONMENT-FILE
    . "$1"
    sql --tuples-only --command "SELECT 'answers, ' || count(*) || ' databases' FROM pg_database"
}

"$verb" "$@"
