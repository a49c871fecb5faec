#!/usr/bin/env bash
# Merges against mergekit's, tensor by tensor: merges/make.py made the models
# and what mergekit makes of them.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
models=$here/merges

# off OURS THEIRS: the largest difference, beside each tensor's largest.
off() {
    python3 - "$1" "$2" <<'PY'
import array, json, struct, sys
def read(folder):
    data = open(folder + "/model.safetensors", "rb").read()
    n, = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + n])
    head.pop("__metadata__", None)
    found = {}
    for name, t in head.items():
        assert t["dtype"] == "F32", t
        found[name] = array.array("f", data[8 + n:][slice(*t["data_offsets"])])
    return found
a, b = map(read, sys.argv[1:])
assert a.keys() == b.keys() and a
worst = 0
for name in a:
    assert len(a[name]) == len(b[name])
    most = max(map(abs, b[name])) or 1
    for x, y in zip(a[name], b[name]):
        assert x == x and y == y, name
        worst = max(worst, abs(x - y) / most)
print("%.2g" % worst)
PY
}

while read -r name others words; do
    with=()
    given=(one two)
    for other in ${others//,/ }; do
        as=other
        [[ $name = *_tasks* ]] && as=${given[${#with[@]} / 2]}
        with+=(--with "$as=$models/$other")
    done
    # shellcheck disable=SC2086 # a transform and its parameters
    set -- $words
    ends 0 "$name" apply "$1" "$models/base" -o "$name" "${@:2}" "${with[@]}"
    between "$name: as mergekit has it" 0 2e-6 \
        "$(off "$name" "$models/golden/$name")"
done <"$models/cases.txt"

finish
