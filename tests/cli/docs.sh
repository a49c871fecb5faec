#!/usr/bin/env bash
# The examples of the docs: each block marked `graft` must pass `graft check`,
# each marked `graft wrong` must give exactly the errors that its comments
# name, at their lines. Every command that a text names must exist.
# The tour is run, and so are the commands of howto.md: each must succeed and
# print the lines below it. A block marked `c NAME` is a file of that name.
# $2 and $3 are make_tiny and compare_weights.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2 compare_weights=$3

# Blocks of a file as TEXT-LINE.graft (or .wrong), LINE where it starts.
cut_out() { # file, name
    awk -v name="$2" '
        /^```graft/ { out = name "-" NR ($2 == "wrong" ? ".wrong" : ".graft")
                      next }
        /^```/      { if (out) close(out); out = ""; next }
        out         { print > out }' "$1"
}

check_good() { # file
    ends 0 "$1" check "$1"
    "$graft" fmt "$1" >once.out 2>err && cp once.out once.graft &&
        "$graft" fmt once.graft 2>>err | cmp -s - once.out
    ok "$1: fmt settles"
}

check_wrong() { # file
    ends 1 "$1" check "$1"
    local want line text
    want=$(grep -c '# error: ' "$1")
    [ "$(grep -c ': error: ' err)" = "$want" ]
    ok "$1: $want error(s), no more"
    while IFS=: read -r line text; do
        text=$(sed 's/.*# error: //; s/ *(.*//' <<<"$text")
        grep -F "$1:$line:" err | grep -qF -- "$text"
        ok "$1: line $line says \`$text\`"
    done < <(grep -n '# error: ' "$1")
}

for text in "$repo"/README.md "$repo"/docs/*.md; do
    cut_out "$text" "$(basename "$text" .md)"
done
for file in *-*.graft; do
    [ -e "$file" ] && check_good "$file"
done
for file in *-*.wrong; do
    [ -e "$file" ] && mv "$file" "${file%.wrong}_wrong.graft" &&
        check_wrong "${file%.wrong}_wrong.graft"
done

awk '/^```c / { out = $2; next } /^```/ { out = "" } out { print > out }' \
    "$repo"/docs/*.md

# shellcheck disable=SC2317 # called by the texts' commands
follow() { # text
    local line command="" output="" status=0
    graft() { "$graft" "$@"; }
    make_tiny() { "$make_tiny" "$@"; }
    compare_weights() { "$compare_weights" "$@"; }
    ln -sfn "$repo/stdlib" stdlib
    while IFS= read -r line; do
        case $line in
        "$ "*)
            command=${line#??} status=0
            output=$(eval "$command" 2>&1) || status=$?
            [ $status = 0 ]
            ok "$1: $command"
            output=$(tr -s ' ' <<<"$output")
            ;;
        ... | "") ;;
        *)
            grep -qF -- "$(tr -s ' ' <<<"$line" | sed 's/ *$//')" \
                <<<"$output"
            ok "$1: $command prints \`${line## }\`"
            ;;
        esac
    done < <(awk '/^```console/ { on = 1; next } /^```/ { on = 0 } on' \
        "$repo/docs/$1.md")
}
follow tour
if cc --version >/dev/null 2>&1; then
    follow howto
else
    skip "howto: its commands" "no cc"
fi

"$graft" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' >commands
for text in "$repo"/README.md "$repo"/docs/*.md; do
    grep -ohE '(^|[`$] ?)(build/)?graft [a-z]+' "$text" |
        sed 's/.* //' | sort -u | grep -vxFf commands >unknown
    [ ! -s unknown ]
    ok "$(basename "$text"): every command it names exists"
done

# docs/ir.md has the operations of the table, docs/language.md its functions and
# the other built-in ones, nothing that is none, and each word of the language
# in an example.
language=$repo/docs/language.md
"$repo/scripts/docs_ops" --check >out 2>err
ok "docs list the operations of ops.def (scripts/docs_ops)"
builtins >built
sed -n '/^## Built-in functions/,$p' "$language" | grep '^|' | cut -d'|' -f2 |
    grep -oE '`[a-z0-9_]+\(' | tr -d '`(' | sort -u >listed
diff built listed >out 2>err
ok "docs/language.md lists the built-in functions"
awk '/^```graft/ { on = 1; next } /^```/ { on = 0 } on' "$language" >examples
sed -n 's/^WORD([A-Z]*, *"\([a-z]*\)").*/\1/p' "$repo/dsl/words.def" |
    while read -r word; do
        sed 's/#.*//' examples | grep -qw "$word" || echo "$word"
    done >out
[ ! -s out ]
ok "docs/language.md has an example of each word of dsl/words.def"

finish
