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

# ---- places ----

model '[T, V]' 'return (x + table[V: V]) @ table' | folder after
model '[T, V]' 'return (x + table[V: 0 - 1]) @ table' | folder before
model '[T, V]' 'return (x + table[V: 2^33]) @ table' | folder far
model '[T, V]' 'return (x + table[V: 1 / 2]) @ table' | folder between
model '[T, V]' 'i = T - 4' 'return (x + x[T: i]) @ table' | folder early
model '[T, V]' 'y = x[T: T - 4 .. T]' 'return (x + sum(y, T)) @ table' |
    folder part
for target in cpu interp; do
    for name in after before far between early part; do
        ends 1 "a place that is not there: $name, $target" \
            logits $name --ids 1,2,3 -o out.npy --target $target
    done
done
cat >leak.graft <<'TEXT'
use llama
transform leak(N = 1000) {
  match n: rmsnorm(D, eps)
  each n.w = w * 0 + w[D: N]
}
TEXT
if [ -d "$data/hf_tiny/llama" ]; then
    ends 1 "a transform that reads behind a weight" \
        apply leak.graft:leak "$data/hf_tiny/llama" -o leaked N=48
    says err "a transform that reads behind a weight" '`D` is 48 long'
else
    skip "a transform that reads behind a weight" "no data"
fi

# ---- names ----

escape=$(printf '\033')
bell='a\u001b]0;owned\u0007\u202e'
model '[T, V]' 'return x @ table' | folder named
python3 - "$bell" >named/config.json <<'PY'
import sys
print('{"architectures": ["%s"], "D": 4, "V": 8}' % sys.argv[1])
PY
ends 1 "an architecture of control characters" show named
! grep -q "$escape" out err
ok "no control character reaches the terminal"
says err "it is told all the same" '\x1b'
cat >inject.graft <<'TEXT'
module inject(D) {
  weight a[D] as "a */ int owned(void){return 42;} /*"
  weight b[D] as "x%s%n\\"
  weight c[D] as "??/"
  forward(x[T, D]) -> [T, D] { return x * a + b + c }
}
TEXT
if command -v cc >/dev/null; then
    ends 0 "names in C text" build inject.graft:inject D=4 -o lib --lib static
    nm lib/liblayer.a | grep -q layer_run && ! nm lib/liblayer.a | grep owned
    ok "names in C text are no C"
else
    skip "names in C text are no C" "no C compiler"
fi

# ---- how much ----

# within NAME SECONDS STATUS ARGS...: ends so, in time and in memory
within() {
    local name=$1 seconds=$2 want=$3
    shift 3
    status=0
    timeout "$seconds" "$graft" "$@" >out 2>err </dev/null || status=$?
    [ "$status" = "$want" ] && ! grep -q 'Sanitizer\|runtime error' err
    ok "$name: ends with $want in time"
}

{
    echo 'module m0(D) { weight a[D]
  forward(x[T, D]) -> [T, D] { return x * a } }'
    for i in $(seq 39); do
        echo "module m$i(D) { l: m$((i - 1))(D)
  r: m$((i - 1))(D)
  forward(x[T, D]) -> [T, D] { return l(r(x)) } }"
    done
} >nest.graft
within "modules in modules" 60 1 check nest.graft
says err "modules in modules" "more than"
sed 's/l(r(x))/l(l(x))/; /^  r:/d' nest.graft >calls.graft
within "calls of calls" 60 1 check calls.graft
cat >loops.graft <<'TEXT'
module m(D) {
  forward(x[T, D]) -> [T, D] {
    for i in 10000 { for j in 10000 { x = tanh(x) * (i + j) } }
    return x
  }
}
TEXT
within "loops in loops" 100 1 check loops.graft
{
    echo 'module m(D) { forward(x[T, D]) -> [T, D] {'
    echo '    a = D + 1'
    for _ in $(seq 40); do echo '    a = a * (a + sqrt(a))'; done
    echo '    return x * a } }'
} >sizes.graft
within "a size that doubles" 60 1 check sizes.graft
says err "a size that doubles" "too long a formula"

# chain NAME LINES: 30 times the same lines, each of which reads y twice.
chain() {
    {
        echo 'module m(D) { forward(x[T, D]) -> [T, D] {'
        echo '    y = x + 1'
        for _ in $(seq 30); do printf '    %b\n' "$2"; done
        echo '    return x + y } }'
    } >"chain_$1.graft"
    within "what is read twice ($1), checked" 30 0 check "chain_$1.graft"
    for stage in kernels cuda; do
        within "what is read twice ($1), as $stage" 60 0 \
            show "chain_$1.graft:m" D=8 --stage $stage
    done
    rm -f out
}
chain sum 'x = x + y\n    y = y * x'
chain place 'y = y[T: 0] + y[T: T - 1] + y'
chain part 'z = concat(y[D: 1 .. D], y[D: 0 .. 1], over: D)\n    y = z + y'
chain softmax 'y = softmax(y + x, D) + y'
chain topk 'a, i = topk(y, D, k: 2)\n    y = sum(y[D: i], k) + y'

# Names that fall into one place of a table hashed by FNV-1a.
mkdir flood
python3 - <<'PY'
import json, struct
P, MASK = 0x1b3, (1 << 17) - 1
inv = pow(P, -1, 1 << 17)
letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
back = {}
for a in letters:
    for b in letters:
        for c in letters:
            h = 0
            for x in (c, b, a):
                h = ((h * inv) & MASK) ^ x
            back.setdefault(h, bytes((a, b, c)))
names, i = [], 0
while len(names) < 60000:
    p, h = b"%x" % i, 0xcbf29ce484222325 & MASK
    i += 1
    for c in p:
        h = ((h ^ c) * P) & MASK
    if h in back:
        names.append((p + back[h]).decode())
b = json.dumps({n: {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
                for n in names}).encode()
open("flood/model.safetensors", "wb").write(struct.pack("<Q", len(b)) + b)
PY
cp fine/config.json fine/model.graft flood
within "names of one hash" 20 1 show flood --stage model

mkdir many
python3 -c 'print("{\"a\": [" + "1," * 21000000 + "1]}")' >many/config.json
cp fine/model.graft fine/model.safetensors many
within "a config of 21 million numbers" 60 1 show many
says err "a config of 21 million numbers" "values"
rm -r many

mkdir packed
python3 - <<'PY'
import json, struct
b = json.dumps({"model.layers.0.mlp.experts.down_proj": {
    "dtype": "F32", "shape": [2**53 - 1, 4, 0],
    "data_offsets": [0, 0]}}).encode()
open("packed/model.safetensors", "wb").write(struct.pack("<Q", len(b)) + b)
json.dump({"architectures": ["Own"], "hidden_size": 4},
          open("packed/config.json", "w"))
PY
cp fine/model.graft packed
within "experts without number" 20 1 show packed --stage model
says err "experts without number" "packs"
finish
