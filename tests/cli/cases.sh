#!/usr/bin/env bash
# Checkpoints and exports as people have them (tests/cases): each folder's
# logits are those that transformers 5 computes (expected.npy), and the GGUF
# files that are made of them say what llama.cpp will do otherwise. `weights`
# names the files of tests/cases/weights that a case has, under its own names.
# $2 is compare_npy.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
compare=$2
cases=$repo/tests/cases

# Puts a case together in ./NAME.
put() { # name
    local as from
    cp -r "$cases/$1" "$1"
    while read -r as from; do
        cp "$cases/weights/$from" "$1/$as"
    done <"$1/weights"
    rm "$1/weights"
}

logits() { # model, out
    run logits "$1" --ids "$ids" -o "$2" --dtype f32
    [ "$status" = 0 ]
}

same() { # what, a, b, most
    "$compare" "$2" "$3" "$4" >out 2>err
    ok "$1"
}

# ---- right numbers ----

for case in "$cases"/[mq]_*; do
    name=${case##*/}
    put "$name"
    ids=$(cat "$name/ids.txt" 2>/dev/null || echo 1,2,3)
    logits "$name" got.npy
    ok "$name: it is read"
    [ -e "$name/expected.npy" ] &&
        same "$name: transformers' logits" got.npy "$name/expected.npy" 2e-4
    ! grep -q 'does not know' err
    ok "$name: all its fields are known"
done

run generate m_yarn_positions --ids 10,16,26,33,27,9,17,74,10,17 -n 30
[ "$(cat out)" = "19,84,33,42,1,40,24,75,58,63,70,19,68,78,64,87,8,58,11,28,\
4,19,78,64,49,27,81,18,31,75" ]
ok "m_yarn_positions: it reaches what yarn makes of its positions"

# What it takes for granted is written out; what it passes over comes along.
run apply copy m_mixtral_defaults -o mixtral
grep -q '"rope_theta": 1000000' mixtral/config.json &&
    grep -q '"rms_norm_eps": 1e-0*5' mixtral/config.json
ok "m_mixtral_defaults: a copy says them"
run apply copy m_llama_sliding_window -o windowless
grep -q sliding_window windowless/config.json
ok "m_llama_sliding_window: a copy keeps the field"
run apply sparse_upcycling m_llama_sliding_window -o upcycled E=2 K=1
! grep -q sliding_window upcycled/config.json
ok "m_llama_sliding_window: a Mixtral, which would read it, does not get it"
run apply sparse_upcycling m_mistral_layer_types -o typed E=2 K=1
grep -q GraftForCausalLM typed/config.json
ok "m_mistral_layer_types: no Mixtral has layers of two kinds"

rm m_shards_no_index/model-00002-of-00002.safetensors
ends 1 "a shard and its index are missing" logits m_shards_no_index \
    --ids 1,2 -o x.npy
says err "a shard and its index are missing" model-00002-of-00002

sed 's/"hidden_act"/"frobnicate": 3, "hidden_act"/' \
    m_architectures_null/config.json >unknown.json
mv unknown.json m_architectures_null/config.json
run logits m_architectures_null --ids 1,2 -o x.npy
says err "a field that nobody knows" frobnicate

# ---- right exports ----

for case in g_yarn g_llama_partial_rotary g_deepseek_scale g_tied_olmoe \
    g_tied_stablelm; do
    put "$case"
    ids=$(cat "$case/ids.txt" 2>/dev/null || echo 3,17,5,90,41,7,66,12,80)
    ends 0 "$case: it is written" apply copy "$case" -o "$case.gguf" --strict
    logits "$case" folder.npy && logits "$case.gguf" file.npy
    same "$case: graft computes the same of the file" folder.npy file.npy 1e-5
done
for case in g_tied_olmoe g_tied_stablelm; do
    grep -q 'output\.weight' "$case.gguf"
    ok "$case: its embedding is written as the head too"
done
grep -q 'rope.scaling.type.\{1,16\}yarn' <(tr '\0' '.' <g_yarn.gguf)
ok "g_yarn: the file says yarn"

put g_upcycle_window
run apply sparse_upcycling g_upcycle_window -o window.gguf E=2 K=1
says err "g_upcycle_window" "longer than 8 tokens"
ends 1 "g_upcycle_window, --strict" apply sparse_upcycling g_upcycle_window \
    -o strict.gguf E=2 K=1 --strict
says err "g_upcycle_window, --strict" "no window"
[ -z "$(find . -name '*strict.gguf*')" ]
ok "g_upcycle_window, --strict: nothing is written"

for case in g_chat_template_list g_chat_template_more; do
    put "$case"
    run apply copy "$case" -o "$case.gguf"
    tr '\0' '.' <"$case.gguf" >keys
    grep -qa 'tokenizer.chat_template[^s.]' keys &&
        grep -qa 'tokenizer.chat_template.tool_use' keys &&
        grep -qa 'tokenizer.chat_templates' keys
    ok "$case: both templates are in the file"
    run apply copy "$case.gguf" -o "$case.back"
    grep -q tool_use "$case.back/tokenizer_config.json"
    ok "$case: and come back"
done
run apply copy g_chat_template_more -o copied
cmp -s g_chat_template_more/additional_chat_templates/tool_use.jinja \
    copied/additional_chat_templates/tool_use.jinja
ok "a folder's copy has its folders"

put g_pattern_raw_newlines
ends 0 "g_pattern_raw_newlines" apply copy g_pattern_raw_newlines \
    -o OUT.GGUF
grep -qa deepseek-v3 OUT.GGUF && [ -f OUT.GGUF ]
ok "g_pattern_raw_newlines: known by either spelling; .GGUF is a file"

put g_bos_is_a_word
run apply copy g_bos_is_a_word -o word.gguf
run generate word.gguf -p "it's  a \"test\" #1" -n 1 --json
grep -q '278,280,32,283,285,287,289,34,292,49' <(tr -d ' \n' <out)
ok "g_bos_is_a_word: a plain token is no special one"

# ---- what is refused by what it is ----

cp -r g_yarn g_yarn_q
for method in fp8 compressed-tensors; do
    by="\"quantization_config\": {\"quant_method\": \"$method\"}"
    sed "s/\"hidden_act\"/$by, &/" g_yarn/config.json >g_yarn_q/config.json
    ends 1 "weights by $method" logits g_yarn_q --ids 1,2 -o x.npy
    says err "weights by $method" "$method"
done

# Weights that are no longer quantised are not said to be.
run apply copy q_nf4 -o plain
! grep -q quantization_config plain/config.json
ok "quantization_config goes"
ids=$(cat q_nf4/ids.txt)
logits plain plain.npy
same "what was quantised is written widened" plain.npy q_nf4/expected.npy 2e-4

finish
