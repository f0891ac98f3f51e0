#!/bin/bash
# Backup while the server runs, restore into an empty directory and into PostgreSQL, counts, audit, keys.
# usage: tests/backup_test.sh BINARY      prints TAP
set -u
bihuan=$1
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d /tmp/bihuan-backup-XXXXXX)
pids=
n=0
trap 'for p in $pids; do kill "$p" 2>/dev/null; done; "$here/pg" remove "$dir" >/dev/null 2>&1; rm -rf "$dir"' EXIT
claim() { # claim NAME CONDITION...
    n=$((n + 1))
    local name=$1
    shift
    if "$@"; then echo "ok $n - $name"; else echo "not ok $n - $name"; fi
}
is() { [ "$1" = "$2" ] || { echo "# got $1, expected $2"; false; }; }
start() { # start NAME ARGUMENTS...; sets address and pid
    local name=$1
    shift
    "$bihuan" serve --port 0 "$@" >"$dir/$name.out" 2>"$dir/$name.log" &
    pid=$!
    pids="$pids $pid"
    for _ in $(seq 120); do
        grep -q '^ready' "$dir/$name.out" && break
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.25
    done
    address=$(sed -n 's/^address //p' "$dir/$name.out")
}
stop() { kill "$1"; wait "$1"; }
status() { "$@" >"$dir/last.out" 2>"$dir/last.err"; echo $?; }

start one --demo --data "$dir/one"
claim "the server is ready" is "$(curl -s -o /dev/null -w '%{http_code}' "$address/readyz")" 200
load() { for i in $(seq 60); do curl -s -o /dev/null "$address/api/v1/core/session" -H 'Content-Type: application/json' -d "{\"user\":\"u$i\",\"password\":\"wrong\"}"; done; }
load &
loader=$!
claim "a backup is taken while it works" is "$(status "$bihuan" backup "$dir/b.tar.zst" --data "$dir/one")" 0
wait "$loader"
claim "the counts are told" grep -q '^rows [1-9]' "$dir/last.out"
claim "nobody else may read it" is "$(stat -c %a "$dir/b.tar.zst")" 600
claim "nothing is left beside the data" is "$(ls "$dir/one" | grep -c 'backup.tmp\|\.part')" 0
claim "restore refuses a directory that is not empty" is "$(status "$bihuan" restore "$dir/b.tar.zst" --data "$dir/one")" 1
claim "restore into an empty one" is "$(status "$bihuan" restore "$dir/b.tar.zst" --data "$dir/two")" 0
claim "every count is as in the backup" is "$(grep -vc ' ok$' "$dir/last.out")" 0
claim "tables, series, alarm log and files are compared" is "$(grep -cE '^(audit|series|alarm-log|files) ' "$dir/last.out")" 4
claim "its audit verifies" is "$(status "$bihuan" audit verify --data "$dir/two")" 0
claim "and has lines" grep -qE '^lines [1-9]' "$dir/last.out"
start two --data "$dir/two" --demo
claim "the server runs on it" is "$(curl -s -o /dev/null -w '%{http_code}' "$address/readyz")" 200
stop "$pid"

head -c 60000 "$dir/b.tar.zst" >"$dir/cut.tar.zst"
claim "a backup that is cut short is refused" is "$(status "$bihuan" restore "$dir/cut.tar.zst" --data "$dir/cut")" 2

printf 'a long enough passphrase\n' >"$dir/pass"
claim "keys go along under a passphrase" is "$(status "$bihuan" backup "$dir/k.tar.zst" --data "$dir/one" --with-keys --passphrase-file "$dir/pass")" 0
printf 'not this passphrase\n' >"$dir/wrong"
claim "a wrong passphrase is refused" is "$(status "$bihuan" restore "$dir/k.tar.zst" --data "$dir/wrongdir" --passphrase-file "$dir/wrong")" 1
claim "the right one brings them" is "$(status "$bihuan" restore "$dir/k.tar.zst" --data "$dir/three" --passphrase-file "$dir/pass")" 0
claim "as they were" cmp -s "$dir/one/keys/master.key" "$dir/three/keys/master.key"

claim "a new master key" is "$(status "$bihuan" key rotate --data "$dir/three")" 0
claim "stands beside the old one" is "$(($(wc -l <"$dir/three/keys/master.key") - $(wc -l <"$dir/one/keys/master.key")))" 1
claim "beside the running server, too" is "$(status "$bihuan" key rotate --data "$dir/one")" 0
start three --data "$dir/three" --demo
claim "the server runs on two keys" is "$(curl -s -o /dev/null -w '%{http_code}' "$address/readyz")" 200
stop "$pid"

url=$("$here/pg" start "$dir")
claim "restore into PostgreSQL" is "$(status "$bihuan" restore "$dir/b.tar.zst" --data "$dir/four" --database "$url")" 0
claim "every count is as in the backup of SQLite" is "$(grep -vc ' ok$' "$dir/last.out")" 0
claim "the audit verifies there, too" is "$(status "$bihuan" audit verify --data "$dir/four" --database "$url")" 0
claim "a database that is not empty is refused" is "$(status "$bihuan" restore "$dir/b.tar.zst" --data "$dir/five" --database "$url")" 1
start four --data "$dir/four" --database "$url" --demo
claim "the server runs on PostgreSQL" is "$(curl -s -o /dev/null -w '%{http_code}' "$address/readyz")" 200
claim "a backup of PostgreSQL" is "$(status "$bihuan" backup "$dir/p.tar.zst" --data "$dir/four")" 0
claim "migrate does not run beside the server" is "$(status "$bihuan" migrate --data "$dir/four" --database "$url")" 3
stop "$pid"
claim "nothing is left to migrate" is "$(status "$bihuan" migrate --data "$dir/four" --database "$url")" 0
claim "and back to SQLite" is "$(status "$bihuan" restore "$dir/p.tar.zst" --data "$dir/six")" 0
claim "every count is as in the backup of PostgreSQL" is "$(grep -vc ' ok$' "$dir/last.out")" 0

table=$(sqlite3 "$dir/two/bihuan.db" "SELECT name FROM sqlite_master WHERE name LIKE 'audit_2%' ORDER BY name LIMIT 1" 2>/dev/null)
if [ -n "$table" ]; then
    sqlite3 "$dir/two/bihuan.db" "UPDATE $table SET action = action || 'x' WHERE seq = 3 AND chain = (SELECT min(chain) FROM $table)"
    claim "one byte of one line changed is found" is "$(status "$bihuan" audit verify --data "$dir/two")" 1
    claim "and the line is named" grep -q '^fault changed chain [0-9]* seq 3 ' "$dir/last.out"
fi
echo "1..$n"
