#!/usr/bin/env bash
# lines: files of code have at most 500 lines of at most 80 columns, and open
# with a comment; a header has at most 200; a function above 60 lines gets a
# warning.
set -u
export LC_ALL=C.UTF-8
cd "${1:-$(dirname "$0")/..}" || exit 2
n=0 status=0
mapfile -t code < <(find base dsl compiler passes codegen runtime cli tests \
    bench -name '*.[chly]' 2>/dev/null | sort)
mapfile -t scripts < <(find scripts .ci tests bench -type f 2>/dev/null |
    xargs -r grep -lE '^#!.*(ba)?sh' | sort)

report() { # what was found, the check
    n=$((n + 1))
    if [ -z "$1" ]; then
        echo "ok $n - $2"
    else
        sed 's/^/# /' <<<"$1"
        echo "not ok $n - $2"
        status=1
    fi
}

too_long() { # most, file...
    wc -l "${@:2}" | awk -v most="$1" '$2 != "total" && $1 > most {
        print $2 ": " $1 " lines" }'
}

opens_with_comment() {
    for file in "$@"; do
        head -c 64 "$file" | grep -qE '^(/\*|//|%\{|%option|#!)' ||
            echo "$file: no comment at its head that says what it does"
    done
}

# A function starts at a line `{` in column one and ends at `}` there.
long_functions() {
    awk 'FNR == 1 { open = 0 }
         /^{/ { open = FNR }
         /^}/ { if (open && FNR - open - 1 > 60)
                    print "# warning: " FILENAME ":" open ": a function of " \
                          FNR - open - 1 " lines"
                open = 0 }' "$@"
}

# What a room shows; the device's own text (codegen/cuda/dev) is no header.
mapfile -t headers < <(printf '%s\n' "${code[@]}" |
    grep '\.h$' | grep -vE '^(tests|codegen/cuda/dev)/')

report "$(too_long 500 "${code[@]}" "${scripts[@]}")" \
    "files have 500 lines or less"
report "$(too_long 200 "${headers[@]}")" "headers have 200 lines or less"
report "$(grep -nHE '^.{81}' "${code[@]}" "${scripts[@]}" | cut -c1-100)" \
    "lines have 80 columns or less"
report "$(opens_with_comment "${code[@]}")" "files open with a comment"
report "$(grep -nHE '[[:blank:]]+$' "${code[@]}" "${scripts[@]}")" \
    "no line ends in blanks"
long_functions "${code[@]}"
echo "1..$n"
exit $status
