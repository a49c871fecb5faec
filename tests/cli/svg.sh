#!/usr/bin/env bash
# graft show --svg: pictures that are XML, say what they should, and colour
# what a transform changed.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 # Graphviz keeps its fonts

# drawn NAME FILE: it is XML with an <svg> at its root.
drawn() {
    python3 - "$2" >err 2>&1 <<'PY'
import sys, xml.etree.ElementTree as e
root = e.parse(sys.argv[1]).getroot()
assert root.tag == "{http://www.w3.org/2000/svg}svg", root.tag
assert "href" not in open(sys.argv[1]).read().replace("xmlns:xlink", "")
PY
    ok "$1: is an SVG"
}

xft=$repo/stdlib/xft.graft
ends 0 "a transform" show "$xft:xft" --svg xft.svg
drawn "a transform" xft.svg
for text in "before: swiglu" "after xft" "ffn: xft_moe" "expert[E]: swiglu" \
    "shared: swiglu" "[T, k, F]" "softmax over E" "#ffe0b3" "#f8d4d8"; do
    says xft.svg "a transform" "$text"
done
silent out "a transform"
ends 0 "a transform, model" show "$xft:xft" --stage model --svg tree.svg
drawn "a transform, model" tree.svg
says tree.svg "a transform, model" "copy of ffn.gate"
ends 0 "a transform of two" show "$xft:xft_merge" --svg merge.svg
drawn "a transform of two, the first" merge.svg
drawn "a transform of two, the second" merge-2.svg
ends 0 "a module" show "$repo/stdlib/llama.graft:rmsnorm" --svg norm.svg
drawn "a module" norm.svg
! grep -qE '#ffe0b3|#f8d4d8' norm.svg
ok "a module: nothing in the colours of change"
ends 0 "to stdout" show "$xft:xft_moe" --svg -
drawn "to stdout" out
ends 0 "a transform as text" show "$xft:xft"
says out "a transform as text" "# before: swiglu"
says out "a transform as text" "graph xft_moe {"
ends 0 "a module as a model" show "$xft:xft_moe" --stage model
says out "a module as a model" "expert[E]: swiglu(D: D, F: F)"

ends 1 "a slip" show "$xft:xfd" --svg no.svg
says err "a slip" "did you mean \`xft\`?"
ends 1 "a whole model's transform" show "$repo/stdlib/merge.graft:soup"
says err "a whole model's transform" "MODEL --transform"
ends 2 "a file without a name" show "$xft" --svg no.svg
says err "a file without a name" "FILE.graft:NAME"
ends 1 "no such folder" show "$xft:xft" --svg nowhere/no.svg
says err "no such folder" "nowhere/no.svg: cannot write"
ends 1 "a full disk" show "$xft:xft" --svg /dev/full
says err "a full disk" "/dev/full: cannot write"
ends 2 "a picture of the tree" show "$xft" --stage ast --svg no.svg

model=$data/stories260K
if [ ! -d "$model" ]; then
    skip "pictures of a model" "no data"
    finish
    exit
fi
ends 0 "a model" show "$model" --svg model.svg
drawn "a model" model.svg
says model.svg "a model" "model.layers.0.mlp.gate_proj.weight"
says model.svg "a model" "172 × 64"
says model.svg "a model" "× 5"
ends 0 "a graph" show "$model" --stage graph --svg graph.svg
drawn "a graph" graph.svg
says graph.svg "a graph" "repeat: 5 times"
says graph.svg "a graph" "[T, H, hd]"
says graph.svg "a graph" "D = 64"
[ "$(grep -c 'attend</text>' graph.svg)" = 1 ]
ok "a graph: one body for all layers"
for stage in model graph; do
    ends 0 "before and after, $stage" show "$model" --stage $stage \
        --transform xft experts=4 active=3 --svg two.svg
    drawn "before and after, $stage" two.svg
    says two.svg "before and after, $stage" "after xft: experts = 4, active = 3"
    says two.svg "before and after, $stage" "#ffe0b3"
    says two.svg "before and after, $stage" "#f8d4d8"
done
ends 0 "weights changed in place" show "$model" --transform soup \
    --with other="$model" --svg soup.svg
drawn "weights changed in place" soup.svg
says soup.svg "weights changed in place" "#ffe0b3"
cat >second.graft <<'SPEC'
use llama
use sparse_upcycling
transform second(E = 4, K = 2) {
  match ffn: swiglu(D, F) in layer[l] where l % 2 == 1
  replace with topk_moe(D, F, E, K) { expert = ffn; router = zeros }
}
SPEC
ends 0 "layers that differ" show "$model" --transform second.graft:second \
    --stage graph --svg second.svg
drawn "layers that differ" second.svg
says second.svg "layers that differ" "layer[0, 2, 4]: block, 3 of them"
says second.svg "layers that differ" "layer[1, 3]: block, 2 of them"
ends 0 "the model after, as text" show "$model" --transform xft \
    experts=4 active=2
says out "the model after, as text" "router     f32[E, D]"
says out "the model after, as text" "drawn at random"
ends 1 "a transform that fails" show "$model" --transform xft active=9
says err "a transform that fails" "active counts the shared expert"
ends 1 "no such transform" show "$model" --transform xfx
says err "no such transform" "did you mean \`xft\`?"
ends 1 "another model is missing" show "$model" --transform soup
says err "another model is missing" "--with other=MODEL"
ends 2 "parameters of nothing" show "$model" experts=4

finish
