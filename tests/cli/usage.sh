#!/usr/bin/env bash
# Flags that all commands share, wrong usage, and how the program ends.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

ends 2 "no command"
says err "no command" "Usage: graft COMMAND"
silent out "no command"

ends 0 "help" --help
says out "help" "Usage: graft COMMAND"
says out "help" "doctor"
silent err "help"

ends 0 "version" --version
grep -qxE 'graft [0-9]+\.[0-9]+\.[0-9]+' out
ok "version: one line, graft and a number"

ends 2 "a slip in a command" doctr
says err "a slip in a command" "did you mean \`doctor\`?"
ends 2 "an unknown command" xyzzy
says err "an unknown command" "graft: no command \`xyzzy\`"

for command in $("$graft" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    ends 0 "$command --help" "$command" --help
    says out "$command --help" "Usage: graft $command"
    says out "$command --help" "--json"
    ends 2 "$command with an unknown flag" "$command" --no-such-flag
    says err "$command with an unknown flag" "unrecognized option"
    ends 2 "$command --threads 0" "$command" --threads 0
    says err "$command --threads 0" "whole number from 1 to 4096, got \`0\`"
done

ends 2 "an unknown target" doctor --target tpu_x
says err "an unknown target" "no target \`tpu_x\`; there are: cpu, cuda, interp"
# Nothing computes on the CPU what was asked of a GPU.
layer="xft_moe D=32 F=32 E=3 K=2"
for line in "explore $layer" "build $layer -o lib" \
    "apply xft x -o y" "check x"; do
    # shellcheck disable=SC2086 # words
    ends 1 "${line%% *} on a GPU" $line --target cuda
    says err "${line%% *} on a GPU" "has nothing for GPUs"
done
[ ! -e lib ] && [ ! -e y ]
ok "on a GPU: nothing is written"
# shellcheck disable=SC2086
ends 0 "show for a GPU" show $layer --stage kernels --target cuda
for line in bench "explore $layer" "build $layer -o lib"; do
    # shellcheck disable=SC2086
    ends 2 "${line%% *}, interpreted" $line --target interp
    says err "${line%% *}, interpreted" "--target interp compiles nothing"
done

ends 2 "a slip in a dtype" doctor --dtype bf61
says err "a slip in a dtype" "did you mean \`bf16\`?"
ends 2 "f64 without interp" doctor --dtype f64
says err "f64 without interp" "--dtype f64 needs --target interp"
ends 0 "f64 with interp" doctor --dtype f64 --target interp

ends 0 "doctor" doctor
for word in cpu cores vectors caches "f32 FMA" memory LLVM Oniguruma \
    "CUDA driver" NVRTC cuBLASLt targets; do
    says out "doctor" "$word"
done
ends 0 "doctor --json" doctor --json
for word in version cpu.name cpu.features cpu.cores cpu.l2 \
    cpu.cache_gbps.0 cpu.measured.0.fma_gflops cpu.measured.1.read_gbps \
    memory.total \
    libraries.LLVM gpus targets.cpu targets.cuda targets.interp; do
    has_key "doctor --json" "$word"
done
ends 2 "doctor with an argument" doctor now

# What is measured is kept; a damaged file is measured again.
kept=$(echo cache/graft/machine-*)
cp "$kept" first
run doctor
cmp -s "$kept" first
ok "doctor: measures a machine once"
for damage in "" "one_fma 1" "one_fma -3" "$(head -n 5 first)" "nonsense 7"; do
    printf '%s\n' "$damage" >"$kept"
    ends 0 "doctor, its file is \`${damage%%$'\n'*}\`" doctor
    [ "$(cut -d' ' -f1 "$kept")" = "$(cut -d' ' -f1 first)" ] &&
        awk '$2 < 0 || $1 ~ /fma|read/ && $2 <= 0 { exit 1 }' "$kept"
    ok "doctor, its file is \`${damage%%$'\n'*}\`: measured again"
done

status=0
"$graft" doctor >/dev/full 2>err || status=$?
[ $status = 1 ]
ok "a full disk behind stdout: ends with 1"
says err "a full disk behind stdout" "No space left on device"

finish
