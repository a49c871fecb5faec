#!/usr/bin/env bash
# arrows [SOURCE [BUILD]]: which room uses which. A room is a folder of the
# table below. Another room includes its public headers only: the one with its
# name, what that one includes of the room, and .def tables. With BUILD, object
# files are looked at too: what a room links to stands in a room it may use,
# whatever headers let through. Tests and benches see everything.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2
build=${2:-}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

# A room; then the rooms it uses, and through them what they use. `+HEADER` is
# a private header of another room that this one may include all the same.
table='
base:
dsl: base
stdlib: base
compiler/graph: base
compiler/interp: compiler/graph
compiler/grad: compiler/graph
compiler/prove: dsl compiler/interp
compiler/lang: dsl stdlib compiler/graph
compiler/check: compiler/lang compiler/prove +compiler/lang/elab.h
compiler/check: +compiler/prove/term.h
passes: compiler/prove compiler/check +compiler/prove/pattern.h
passes/kernels: passes dsl
codegen/emit: passes/kernels
codegen/jit: codegen/emit runtime +codegen/emit/attend.h
codegen/jit: +codegen/emit/matmul.h +codegen/emit/kernel.h
codegen/program: codegen/jit runtime +codegen/jit/machine.h
codegen/program: +codegen/jit/cache.h +codegen/emit/kernel.h
codegen/program: +codegen/emit/matmul.h
codegen/cuda: codegen/program +codegen/emit/kernel.h +codegen/jit/cache.h
codegen/cuda: +codegen/program/steps.h +codegen/program/host.h
codegen/build: codegen/program compiler/lang +codegen/program/cpu.h
runtime/run: base
runtime/tokens: runtime/files +runtime/files/files_private.h
runtime/files: base runtime/tokens +runtime/tokens/tokenizer_read.h
runtime/data: runtime/tokens runtime/files
runtime: runtime/run runtime/tokens runtime/files runtime/data
cli/common: base dsl
cli/driver: cli/common codegen/program codegen/cuda compiler/check runtime
cli/train: cli/driver compiler/grad
cli/tools: cli/driver cli/train
cli/lsp: compiler/check
cli: cli/tools cli/lsp cli/train codegen/build +codegen/jit/machine.h
'

# may: "ROOM OTHER" for all that a room may use, itself too.
sed -n 's/^\([^:]*\):/\1/p' <<<"$table" | awk '
    { for (i = 2; i <= NF; i++) if ($i !~ /^\+/) uses[$1, ++n[$1]] = $i
      room[$1] }
    function walk(from, at,   i) {
        if (seen[from, at]++) return
        print from, at
        for (i = 1; i <= n[at]; i++) walk(from, uses[at, i])
    }
    END { for (r in room) walk(r, r) }' | sort >"$work/may"
sed -n 's/^\([^:]*\):/\1/p' <<<"$table" | awk '
    { for (i = 2; i <= NF; i++) if (sub(/^\+/, "", $i)) print $1, $i
    }' >"$work/friend"
cut -d' ' -f1 "$work/may" | sort -u >"$work/rooms"

# includes FILE...: "FILE INCLUDED" lines
includes() {
    grep -HoE '^ *# *include *"[^"]+"' "$@" /dev/null |
        sed -E 's/: *# *include *"/ /; s/"$//'
}

# A room's public headers: ROOM/NAME.h, and what that includes of the room.
while read -r room; do
    head=$room/${room##*/}.h
    [ -f "$head" ] || continue
    echo "$room $head"
    includes "$head" | awk -v r="$room" \
        '{ d = $2; sub("/[^/]*$", "", d); if (d == r) print r, $2 }'
done <"$work/rooms" >"$work/public"

# faults: awk over "FILE INCLUDED", both with folders
include_faults() {
    awk -v work="$work" '
    BEGIN {
        while ((getline line < (work "/may")) > 0) may[line]
        while ((getline line < (work "/friend")) > 0) friend[line]
        while ((getline line < (work "/rooms")) > 0) room[line]
        while ((getline line < (work "/public")) > 0) {
            split(line, w); public[w[2]]
        }
    }
    { from = $1; sub("/[^/]*$", "", from)
      to = $2; if (!sub("/[^/]*$", "", to)) next # beside the file
      if (from == to) next
      if (!(to in room)) { print "# " $1 ": " $2 " belongs to no room"; next }
      if ((from " " $2) in friend) next
      if (!((from " " to) in may))
          print "# " $1 ": " from " must not include " to
      else if (!($2 in public) && $2 !~ /\.def$/)
          print "# " $1 ": " $2 " is private to " to
    }'
}

# "ROOM SYMBOL" of what object files define and want
symbols() { # BUILD, kind: "defined" or "undefined"
    # objects of files that are still there
    find "$1/CMakeFiles" -name '*.c.o' | while read -r object; do
        source=${object#*.dir/}
        grep -qxF "${source%/*}" "$work/rooms" && [ -f "${source%.o}" ] &&
            echo "$object"
    done | xargs nm -A "--$2-only" | awk '
        { kind = $(NF - 1); name = $NF; sub("^[^:]*\\.dir/", "")
          sub("/[^/]*$", "", $1); sub("/[^/]*:.*", "", $1) }
        kind ~ /[A-Z]/ { print name, $1 }' | sort -u
}

symbol_faults() { # BUILD
    symbols "$1" defined >"$work/defined"
    symbols "$1" undefined >"$work/wanted"
    join "$work/wanted" "$work/defined" | awk -v work="$work" '
    BEGIN { while ((getline line < (work "/may")) > 0) may[line] }
    !(($2 " " $3) in may) { print "# " $2 " must not use " $1 " of " $3 }'
}

n=0 status=0
report() { # what was found, the check
    n=$((n + 1))
    if [ -z "$1" ]; then
        echo "ok $n - $2"
    else
        echo "$1"
        echo "not ok $n - $2"
        status=1
    fi
}

while read -r room; do
    files=$(find "$room" -maxdepth 1 -name '*.[chly]')
    [ -n "$files" ] || continue
    # shellcheck disable=SC2086
    report "$(includes $files | include_faults)" \
        "$room includes only what it may"
done <"$work/rooms"
if [ -n "$build" ]; then
    report "$(symbol_faults "$build")" "rooms link to what they may use"
fi
echo "1..$n"
exit $status
