#!/usr/bin/env bash
# Random small models as text, some of them hostile: the compiled target and
# the interpreter give the same numbers, or refuse with the same words.
# GRAFT_SEED begins elsewhere, GRAFT_ALL goes on for an hour.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
seed=${GRAFT_SEED:-1} end=$((SECONDS + ${GRAFT_ALL:+3580} + 20))

alike() {
    python3 - <<'PY'
import array, math, sys
def read(path):
    data = open(path, "rb").read()
    a = array.array("f")
    a.frombytes(data[10 + int.from_bytes(data[8:10], "little"):])
    return a
a, b = read("cpu.npy"), read("interp.npy")
most = max([abs(x) for x in b if math.isfinite(x)] or [0])
for i, (x, y) in enumerate(zip(a, b)):
    if math.isfinite(x) != math.isfinite(y) or (
            math.isfinite(x) and abs(x - y) > 1e-4 * most + 1e-5):
        sys.exit("element %d: %r is %r interpreted" % (i, x, y))
sys.exit(len(a) != len(b))
PY
}

# compare SEED: 0 where both targets agree on the model
compare() {
    local ids status target got=()
    rm -rf m cpu.* interp.*
    ids=$(python3 "$here/random_model.py" "$1" m) || return 1
    for target in cpu interp; do
        status=0
        timeout 100 "$graft" logits m --ids "$ids" -o $target.npy \
            --target $target >$target.out 2>$target.err </dev/null ||
            status=$?
        [ $status -le 1 ] || return 1
        ! grep -q 'Sanitizer\|runtime error' $target.err || return 1
        got+=("$status")
    done
    [ "${got[0]}" = "${got[1]}" ] || return 1
    if [ "${got[0]}" = 1 ]; then
        refused=$((refused + 1))
        diff cpu.err interp.err >err
    else
        agreed=$((agreed + 1))
        alike 2>err
    fi
}

agreed=0 refused=0 first=$seed bad=
while [ $SECONDS -lt $end ]; do
    if ! compare "$seed"; then
        bad="$bad $seed"
        cat m/model.graft cpu.err interp.err >>err
        break
    fi
    seed=$((seed + 1))
done
echo "# seeds $first to $((seed - 1)): $agreed agree, $refused are refused"
[ -z "$bad" ]
ok "random models are one model on both targets${bad:+: not seed$bad}"
[ "$agreed" -gt 0 ]
ok "some of them run"
finish
