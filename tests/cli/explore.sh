#!/usr/bin/env bash
# graft explore, --schedule, and what is kept of them.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
"$2" tiny layers=2 >/dev/null

# ---- pins ----

cat >pins.graft <<'END'
use llama

schedule mine {
  matmul f32 f32 [D -> F + F] { tokens 3, block 5 6 7 8 }
  map [64] { grain 2 }
}
END
ends 0 "pins: check" check pins.graft
ends 0 "pins" show swiglu D=64 F=96 --stage kernels --schedule pins.graft
says out "pins" "+ 96] { tokens 3, vectors 2, ahead 2048, block 5 6 7 8"
says err "pins" "note: pins.graft:5:3: no kernel here has this shape"
[ "$(wc -l <err)" = 1 ]
ok "pins: one shape is no kernel's"
ends 0 "pins of the file" show pins.graft:swiglu D=64 F=96 --stage kernels
says out "pins of the file" "block 5 6 7 8"

# What is printed can be put back.
run show swiglu D=64 F=96 --stage kernels
{ echo "schedule s {" && sed -n 's/^    schedule //p' out && echo "}"; } \
    >back.graft
cp out first
ends 0 "put back: check" check back.graft
ends 0 "put back" show swiglu D=64 F=96 --stage kernels --schedule back.graft
cmp -s out first
ok "put back: the same"

sed 's/tokens 3/tokens 30/' pins.graft >wide.graft
ends 1 "too wide" show swiglu D=64 F=96 --stage kernels --schedule wide.graft
says err "too wide" "wide.graft:4:33: a tile of 30 rows by 2 vectors needs more"
sed 's/tokens 3/tokns 3/' pins.graft >slip.graft
ends 1 "a slip" check slip.graft
says err "a slip" "no choice of matmul \`tokns\` (did you mean \`tokens\`?)"
ends 1 "a slip where it is used" generate tiny -p a --schedule slip.graft
says err "a slip where it is used" "slip.graft: mistakes in its schedules"
ends 1 "no schedule" generate tiny -p a --schedule tiny/config.json
ends 1 "no file" generate tiny -p a --schedule nowhere.graft

# ---- explore ----

ends 0 "doctor" doctor --json
kept=$(json out schedules.file)
[ "$(json out schedules.found)" = 0 ]
ok "doctor: none found yet"
cat >"$kept" <<'END'
schedule found {
  matmul f32 f32 [64 -> 96 + 96] { tokens 1, vectors 1, block 24, tasks 40 }
}
END
ends 0 "doctor: one" doctor
says out "doctor: one" "schedules  1 found by explore, in "
ends 0 "what is kept is used" show swiglu D=64 F=96 --stage kernels
says out "what is kept is used" "ahead 2048, block 24, tasks 40 }"
ends 0 "a shape near it" show swiglu D=80 F=100 --stage kernels
says out "a shape near it" "[80 -> 100 + 100] { tokens 1,"

ends 0 "explore" explore swiglu D=64 F=96 --tokens 9,200 --seconds 10 \
    --threads 1 --json --html page.html
for key in rows.0.kernel rows.0.calls rows.0.tokens rows.0.tried rows.0.bytes \
    rows.0.flops rows.0.roof_ms rows.0.before_ms rows.0.after_ms rows.0.limit \
    whole found schedule kept stopped; do
    has_key "explore" $key
done
[ "$(json out kept)" = true ] && ! grep -q "tokens 1," "$kept"
ok "explore: what was bad is kept no more"
grep -q "<td>{ tokens" page.html && ! grep -q "http" page.html
ok "explore: the page has candidates and fetches nothing"
run explore swiglu D=64 F=96 --tokens 9 --seconds 0
says out "no time" "matmul f32 f32 [96 -> 64]"

echo "schedule found { matmul" >"$kept"
ends 0 "damaged" doctor --json
[ "$(json out schedules.found)" = 0 ]
ok "damaged: counts as none"
ends 0 "damaged: show" show swiglu D=64 F=96 --stage kernels
ends 0 "a model" explore tiny --tokens 1,9 --seconds 1
says out "a model" "attend f32 f32"
ends 2 "nothing" explore
ends 2 "parameters of a model" explore tiny D=3
ends 1 "no such model" explore nowhere
finish
