# What the tests of the commands share: each check is one `ok` line.
# They run in a folder of their own, which goes at the end.
# shellcheck shell=bash
set -u
graft=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
# shellcheck disable=SC2034
data=${GRAFT_DATA:-$repo/../shared/data}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
cd "$scratch" || exit 2
export XDG_CACHE_HOME=$scratch/cache
n=0 failures=0 status=0

ok() { # name; the last command's status is the verdict
    local verdict=$?
    n=$((n + 1))
    if [ $verdict = 0 ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        failures=$((failures + 1))
        sed 's/^/#   /' out err 2>/dev/null | head -40
    fi
}

skip() { # name, why
    n=$((n + 1))
    echo "ok $n # SKIP $1: $2"
}

# run ARGS...: graft's status in $status, what it said in ./out and ./err.
run() {
    status=0
    "$graft" "$@" >out 2>err </dev/null || status=$?
}

# ends STATUS NAME ARGS...: one check of how graft ends; a sanitizer's report
# is never fine.
ends() {
    local want=$1 name=$2
    shift 2
    run "$@"
    [ "$status" = "$want" ] && ! grep -q 'Sanitizer\|runtime error' err
    ok "$name: ends with $want"
}

says() { # FILE NAME TEXT: the file (out, err) has the text
    grep -qF -- "$3" "$1"
    ok "$2: says \`$3\`"
}

silent() { # FILE NAME: nothing there
    [ ! -s "$1" ]
    ok "$2: nothing in $1"
}

# json FILE KEY: prints what stands there (a.b and 0 go inside), or fails.
json() {
    python3 - "$1" "$2" 2>>err <<'PY'
import json, sys
v = json.load(open(sys.argv[1]))
for part in sys.argv[2].split("."):
    v = v[int(part)] if isinstance(v, list) else v[part]
print(json.dumps(v) if isinstance(v, (dict, list, bool)) else v)
PY
}

has_key() { # NAME KEY: ./out is JSON with the key
    json out "$2" >/dev/null
    ok "$1: has $2"
}

# apart A.npy B.npy: the largest difference, beside the largest of A.
apart() {
    python3 - "$1" "$2" <<'PY'
import array, sys
def read(path):
    data = open(path, "rb").read()
    a = array.array("f")
    a.frombytes(data[10 + int.from_bytes(data[8:10], "little"):])
    return a
a, b = (read(p) for p in sys.argv[1:])
assert len(a) == len(b) and len(a)
print("%.3g" % (max(abs(x - y) for x, y in zip(a, b)) / max(map(abs, a))))
PY
}

between() { # NAME LOW HIGH VALUE: one check
    python3 -c "import sys; a, b, x = map(float, sys.argv[1:]); \
        sys.exit(not a <= x <= b)" "$2" "$3" "$4" 2>err
    ok "$1: $4 is from $2 to $3"
}

finish() {
    echo "1..$n"
    [ $failures = 0 ]
}

# The built-in functions: elementwise ops that are written so, and the table.
builtins() {
    {
        awk -F', *' '/^MAP\(/ && $7 == "0" { sub(/MAP\(/, "", $1); print $1 }' \
            "$repo/compiler/graph/ops.def"
        sed -n '/^static const Builtin builtins/,/^};/p' \
            "$repo/compiler/lang/builtin.c" |
            sed -n 's/^    {"\([a-z0-9_]*\)".*/\1/p'
    } | sort
}
