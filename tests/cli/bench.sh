#!/usr/bin/env bash
# graft bench: small layers and a tiny model; keys of its JSON; peers that
# answer, and that do not; wrong usage.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
"$2" tiny layers=2 >/dev/null
small="--sizes 64,96 --tries 2"

# shellcheck disable=SC2086 # $small is several words
ends 0 "moe" bench moe $small --tokens 1,7
says out "moe" "peaks of"
says out "moe" "mixtral"
# shellcheck disable=SC2086
ends 0 "moe json" bench $small --tokens 3 --json
for key in machine.threads machine.fma_gflops machine.dot_gflops \
    machine.amx_gflops machine.read_gbps rows.0.what rows.0.tokens rows.0.ms \
    rows.1.gflops rows.1.gbps rows.1.peak_share rows.1.roof_share; do
    has_key "moe json" $key
done
[ "$(json out rows.1.what)" = mixtral ]
ok "moe json: the second is mixtral"

# All tokens 1..2048; skewed routings at 512, beside uniform.
ends 0 "moe, all" bench moe --sizes 32,32 --tries 1 --json
python3 - 2>err <<'PY'
import json
rows = json.load(open("out"))["rows"]
of = lambda what: [r["tokens"] for r in rows if r["what"] == what]
assert of("xft") == of("mixtral") == [2 ** i for i in range(12)], rows
for what in ("xft", "mixtral", "top-1"):
    for how in ("zipf", "one"):
        assert of(f"{what}, {how}") == [512], rows
assert all(r["of_uniform"] > 0 for r in rows if "," in r["what"])
assert not any("peer" in r for r in rows)
PY
ok "moe, all: 1 to 2048 tokens, skew at 512"
# shellcheck disable=SC2086
ends 0 "moe, zipf" bench moe $small --tokens 9 --routing zipf
says out "moe, zipf" "top-1, zipf"

# Expected on a GPU that is not here, kernel by kernel.
ends 0 "expected" bench moe --target cuda --model h200 --tokens 1,8192 --json
has_key "expected" model.gpu
python3 - 2>err <<'PY'
import json
rows = json.load(open("out"))["rows"]
for r in rows:
    ms = sum(k["runs"] * k["expected_ms"] for k in r["kernels"])
    assert abs(ms - r["expected_ms"]) < 1e-9 * ms, r
    assert r["launches"] == sum(k["runs"] for k in r["kernels"])
    for k in r["kernels"] + [r]:
        assert 0 <= k["peak_share"] <= 1 and 0 < k["memory_share"] <= 1, k
one, many = rows[:2]
assert one["tokens"] == 1 and one["memory_share"] > 0.7, one
assert many["tokens"] == 8192 and many["peak_share"] > 0.4, many
big = max(one["kernels"], key=lambda k: k["expected_ms"])
assert big["bound"] == "memory", big
PY
ok "expected: one token by memory, many by products"
ends 0 "expected of a model" bench model tiny --tokens 1,9 --target cuda \
    --model a100
says out "expected of a model" "not measured"
says out "expected of a model" "gr_attend"
ends 1 "no times on GPUs" bench moe --target cuda
says err "no times on GPUs" "--model h200"
silent out "no times on GPUs"
ends 2 "a GPU for the CPU" bench moe --model h200

ends 0 "matmul" bench matmul --sizes 70,33 --tokens 5 --tries 1 --dtype f32
ends 0 "model" bench model tiny --tokens 1,9 --tries 1 --kernels
says out "model" "gr_attend"
# A bf16 model's dot products are held against the peak of dot products.
ends 0 "a bf16 model" bench model tiny --tokens 64 --tries 1 --dtype bf16 --json
python3 - 2>err <<'PY'
import json
out = json.load(open("out"))
m, row = out["machine"], out["rows"][0]
share = [row["gflops"] / m[k] for k in ("fma_gflops", "dot_gflops",
                                        "amx_gflops") if m[k]]
assert min(share) * 0.999 <= row["peak_share"] <= max(share) * 1.001, out
PY
ok "a bf16 model: its share is of a peak of this run"

# What a token sees is read: keys and values of 200 rows more.
ends 0 "after few" bench model tiny --tokens 1 --tries 1 --context 8 --json
cp out few
ends 0 "after many" bench model tiny --tokens 1 --tries 1 --context 208 --json
python3 - <<'END'
import json
read = [r["gbps"] * r["ms"] * 1e6 for f in ("few", "out")
        for r in json.load(open(f))["rows"]]
c = json.load(open("tiny/config.json"))
head = c["hidden_size"] // c["num_attention_heads"]
row = c["num_hidden_layers"] * c["num_key_value_heads"] * head * 4 * 2
assert abs(read[1] - read[0] - 200 * row) < 0.01 * read[1], (read, row)
END
ok "after many: keys and values count"
says out "after many" '"model, 208 before"'
ends 0 "train" bench train tiny --tokens 40 --tries 1 --json
python3 - 2>err <<'PY'
import json
row, = json.load(open("out"))["rows"]
assert row["what"] == "train" and row["tokens"] == 40, row
assert abs(row["tokens_per_second"] * row["ms"] - 40e3) < 1, row
assert 0 < row["peak_share"] <= row["roof_share"] < 1, row
PY
ok "train: a step's speed and its share of the roof"
ends 2 "train without a model" bench train
ends 2 "a step's kernels" bench train tiny --kernels
ends 2 "a step's context" bench train tiny --context 9
ends 1 "training what is not there" bench train nowhere
ends 2 "a layer's context" bench moe --context 8
ends 2 "no model" bench model
ends 2 "unknown" bench mo
ends 2 "routing of a matmul" bench matmul --routing one
ends 2 "tiny sizes" bench moe --sizes 4,4
ends 1 "no such model" bench model nowhere

# ---- peers ----

no_child_left() { # name; none of the processes in `fakes` is there
    local pid left=0
    while read -r pid; do
        grep -q '^State:.*[RSD] ' "/proc/$pid/status" 2>/dev/null && left=1
    done <fakes
    rm -f fakes
    [ $left = 0 ]
    ok "$1: no process is left"
}

peers() { # STATUS FAKE NAME ARGS...
    local want=$1 fake=$2 name=$3
    shift 3
    FAKE=$fake GRAFT_PEERS=$here/fake_peer ends "$want" "$name" bench "$@" \
        --peers
}

ends 0 "no peers" bench matmul --sizes 32,32 --tokens 1 --tries 1 --peers
says err "no peers" "torch: not compared: no $scratch/cache/graft/peers/bin/"
says out "no peers" "matmul"

# shellcheck disable=SC2086
peers 0 "" "peers" moe $small --tokens 3 --json
[ "$(sort -u names | tr '\n' ' ')" = "ggml transformers " ]
ok "peers: transformers and ggml are started"
python3 - 2>err <<'PY'
import json
rows = json.load(open("out"))["rows"]
assert [(r["what"], r["peer"]) for r in rows] == [
    (w, p) for w in ("xft", "mixtral") for p in ("transformers", "ggml")]
for r in rows:
    assert r["peer_ms"] == 250 and r["peer_way"] == "near", r
    assert abs(r["ratio"] - r["peer_ms"] / r["ms"]) < 1e-6 * r["ratio"], r
    assert r["peer_version"] == "1.2", r
asked = [json.loads(l)["subject"] for l in open("subjects")]
assert all(s["experts"] == 8 and s["active"] == 6 and s["tokens"] == 3 and
           s["dtype"] == "bf16" and s["width"] == 64 and s["inner"] == 96 and
           s["routing"] == "uniform" for s in asked), asked
PY
ok "peers: a row for each, the best of its ways"
no_child_left "peers"

rm -f subjects
peers 0 "" "peers of a model" model tiny --tokens 1 --tries 1
says out "peers of a model" "transformers near"
says out "peers of a model" "llama.cpp    near"
python3 - 2>err <<'PY'
import json, os
asked = [json.loads(l)["subject"] for l in open("subjects")]
models = sorted(s["model"].rsplit("/")[-1] for s in asked)
assert models == ["model.gguf", "tiny"], asked
assert not any(os.path.exists(s["model"]) for s in asked
               if s["model"] != "tiny"), asked
assert all(s["before"] == 64 for s in asked), asked
PY
ok "peers of a model: llama.cpp gets a GGUF file, which goes again"
no_child_left "peers of a model"

rm -f subjects
peers 0 "" "peers of training" train tiny --tokens 40 --tries 1
says out "peers of training" "transformers near"
grep -q '"what":.*"train".*"tokens":.*40' subjects
ok "peers of training: the step's tokens"
no_child_left "peers of training"

while IFS='|' read -r fake patience text; do
    peers 0 "$fake" "a peer that $fake" matmul --sizes 32,32 --tokens 1 \
        --tries 1 --peer-timeout "$patience"
    says err "a peer that $fake" "torch: $text"
    [ "$(wc -l <err)" = 1 ]
    ok "a peer that $fake: one line"
    says out "a peer that $fake" "matmul"
    no_child_left "a peer that $fake"
done <<'CASES'
no_start|60|its process ended with status 7 before it answered
slow|1|no answer in 1 seconds (--peer-timeout)
late|1|no answer in 1 seconds (--peer-timeout)
dies|60|its process was ended by signal 11
garbage|60|its answer is no JSON: Loading weights
endless|60|its answer has no end
no_ways|60|its answer names no way to run
no_seconds|60|its answer has no seconds
refuses|60|no such layer here
CASES

# Ctrl-C, and a death that graft cannot see coming.
for signal in INT KILL; do
    # shellcheck disable=SC2086
    FAKE=slow GRAFT_PEERS=$here/fake_peer "$graft" bench moe $small --tokens 3 \
        --peers >out 2>err &
    for _ in {1..200}; do
        [ "$(wc -l 2>/dev/null <fakes)" = 2 ] && break
        sleep 0.05
    done
    kill -s $signal $!
    wait $! 2>/dev/null
    [ $? != 0 ]
    ok "SIG$signal: not as if it were done"
    sleep 0.2
    no_child_left "SIG$signal"
done
finish
