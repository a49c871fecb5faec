#!/usr/bin/env bash
# Folders of strangers: what their texts return, and how long they take.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# folder NAME: a folder of V 8, D 4 with one tensor and the text of stdin.
folder() {
    mkdir "$1"
    cat >"$1/model.graft"
    python3 - "$1" <<'PY'
import json, struct, sys
head = json.dumps({"table": {"dtype": "F32", "shape": [8, 4],
                             "data_offsets": [0, 128]}}).encode()
with open(sys.argv[1] + "/model.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(head)) + head + struct.pack("<32f", *[
        (i * 7 % 11 - 5) / 8 for i in range(32)]))
json.dump({"architectures": ["Own"], "D": 4, "V": 8},
          open(sys.argv[1] + "/config.json", "w"))
PY
}

# model RETURNS BODY...: a text
model() {
    printf 'model own {\n  config "Own" {\n    D = D\n    V = V\n  }\n'
    printf '  weight table[V, D] as "table"\n'
    printf '  forward(token[T]: V) -> %s {\n    x = table[V: token]\n' "$1"
    shift
    printf '    %s\n' "$@"
    printf '  }\n}\n'
}

model '[T, V]' 'return x @ table' | folder fine
ends 0 "a model of one's own" generate fine --ids 1,2 -n 2
model '[T, c]' 'a, t = topk(sum(x, D), over: T, c: T)' 'return x @ x[T: t]' |
    folder wide
model '[V]' 'return sum(table, D)' | folder tokenless
for target in cpu interp; do
    for name in wide tokenless; do
        for command in "generate $name --ids 0,0,0,0,0,0,0,0,0 -n 1" \
            "logits $name --ids 0,0,0 -o out.npy" "eval $name --ids 0,0,0"; do
            # shellcheck disable=SC2086
            ends 1 "$name, $target: ${command%% *}" $command --target $target
            says err "$name, $target: ${command%% *}" "logits are [T, V]"
        done
    done
done

steps=()
for _ in $(seq 40); do
    steps+=('x = x + y' 'y = tanh(y * x)')
done
model '[T, V]' 'y = tanh(x)' "${steps[@]}" 'return y @ table' | folder shared
status=0
timeout 20 "$graft" generate shared --ids 1,2 -n 1 >out 2>err || status=$?
[ $status = 0 ]
ok "values that are read twice are made once: in time"
finish
