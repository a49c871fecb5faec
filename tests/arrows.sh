#!/usr/bin/env bash
# arrows: which room may include which, and from outside only the room's
# public headers (FOLDER/FOLDER.h, or a .def table that belongs to it). The
# umbrella runtime/runtime.h is what other rooms include; tests see everything.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2
rooms="base dsl compiler passes codegen runtime cli tests bench"
n=0 bad_rooms=0

allowed() { # from, to
    case $1:$2 in
    "$1:$1" | *:base | compiler:dsl | passes:compiler | passes:dsl) ;;
    codegen:passes | codegen:compiler | codegen:runtime) ;;
    cli:* | tests:* | bench:*) ;;
    *) return 1 ;;
    esac
}

check_include() { # file, room, included path
    local other=${3%%/*}
    case " $rooms " in
    *" $other "*) ;;
    *)
        [ -e "$2/$3" ] && return 0 # beside the file
        echo "# $1: $3 belongs to no room"
        return 1
        ;;
    esac
    if ! allowed "$2" "$other"; then
        echo "# $1: $2 must not include $other"
        return 1
    fi
    local folder=${3%/*}
    case $2:$3 in
    "$other":* | tests:* | *.def | "$2:$folder/${folder##*/}.h") ;;
    *:codegen/jit/machine.h) ;;
    *)
        echo "# $1: $3 is private to $other, include $other/$other.h"
        return 1
        ;;
    esac
}

check_room() { # room
    local bad=0 file path
    while IFS=: read -r file path; do
        check_include "$file" "$1" "$path" || bad=1
    done < <(find "$1" -name '*.[chly]' -print0 | xargs -0 -r grep -HoE \
             '^ *# *include *"[^"]+"' | sed -E 's/: *# *include *"/:/; s/"$//')
    return $bad
}

for room in $rooms; do
    [ -d "$room" ] || continue
    n=$((n + 1))
    if check_room "$room"; then
        echo "ok $n - $room includes only what it may"
    else
        echo "not ok $n - $room includes only what it may"
        bad_rooms=1
    fi
done
echo "1..$n"
exit $bad_rooms
