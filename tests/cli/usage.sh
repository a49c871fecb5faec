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
ends 2 "a slip in a dtype" doctor --dtype bf61
says err "a slip in a dtype" "did you mean \`bf16\`?"
ends 2 "f64 without interp" doctor --dtype f64
says err "f64 without interp" "--dtype f64 needs --target interp"
ends 0 "f64 with interp" doctor --dtype f64 --target interp

ends 0 "doctor" doctor
for word in cpu cores vectors caches memory LLVM PCRE2 "CUDA driver" NVRTC \
    cuBLASLt targets; do
    says out "doctor" "$word"
done
ends 0 "doctor --json" doctor --json
for word in version cpu.name cpu.features cpu.cores cpu.l2 memory.total \
    libraries.LLVM gpus targets.cpu targets.cuda targets.interp; do
    has_key "doctor --json" "$word"
done
ends 2 "doctor with an argument" doctor now

status=0
"$graft" doctor >/dev/full 2>err || status=$?
[ $status = 1 ]
ok "a full disk behind stdout: ends with 1"
says err "a full disk behind stdout" "No space left on device"

finish
