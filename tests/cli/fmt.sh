#!/usr/bin/env bash
# graft fmt and show --stage ast: layout, comments, files changed in place.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

cat >plain.graft <<'SPEC'
# A comment above.
module  one( D ,F=4 ) {
  weight w[F,D]   # beside it

  forward(x[T,D])->[T,F] { return  x@w }
}
SPEC
cp plain.graft before

ends 0 "fmt" fmt plain.graft
says out "fmt" "# A comment above."
says out "fmt" "# beside it"
says out "fmt" "x @ w"
cmp -s plain.graft before
ok "fmt leaves the file as it is"
cp out once

ends 0 "fmt -" fmt - # stdin is empty
silent out "fmt of nothing"
"$graft" fmt - <plain.graft >out 2>err && cmp -s out once
ok "fmt - reads stdin"

ends 1 "fmt --check" fmt --check plain.graft
says out "fmt --check" "plain.graft"
cmp -s plain.graft before
ok "fmt --check leaves the file as it is"

chmod 640 plain.graft
ln -s plain.graft link.graft
ends 0 "fmt --write" fmt -i link.graft
silent out "fmt --write"
says err "fmt --write" "link.graft: changed"
cmp -s plain.graft once
ok "fmt --write puts the layout in"
[ -L link.graft ]
ok "fmt --write keeps a link a link"
[ "$(stat -c %a plain.graft)" = 640 ]
ok "fmt --write keeps the mode"
[ "$(ls plain.graft.* 2>/dev/null)" = "" ]
ok "fmt --write leaves nothing beside"
ends 0 "fmt --check of the layout" fmt --check plain.graft
silent out "fmt --check of the layout"
ends 0 "fmt --write again" fmt -i --quiet plain.graft
silent err "fmt --write --quiet again"

cp before bad.graft
echo 'module two(' >>bad.graft
cp bad.graft bad.before
ends 1 "fmt of a mistake" fmt -i bad.graft
says err "fmt of a mistake" "bad.graft:"
cmp -s bad.graft bad.before
ok "fmt never touches a file with mistakes"
ends 1 "fmt of a good and a bad file" fmt plain.graft bad.graft
says out "fmt of a good and a bad file" "module one"

ends 1 "fmt of no file" fmt none.graft
says err "fmt of no file" "none.graft"
ends 1 "fmt of a folder" fmt .
ends 2 "fmt without a file" fmt
ends 2 "fmt of both kinds" fmt -i --check plain.graft
says err "fmt of both kinds" "exclude each other"
printf 'module \377one() {}\n' >latin.graft
ends 1 "fmt of what is not UTF-8" fmt latin.graft
says err "fmt of what is not UTF-8" "UTF-8"
printf 'module one() {\0}\n' >nul.graft
ends 1 "fmt of a zero byte" fmt nul.graft
says err "fmt of a zero byte" "zero byte at offset 14"

for file in "$repo"/stdlib/*.graft "$data"/../examples/*.graft; do
    [ -e "$file" ] || continue
    name=$(basename "$(dirname "$file")")/$(basename "$file")
    ends 0 "fmt $name" fmt "$file"
    cp out first.graft
    run fmt first.graft
    [ -s out ] && cmp -s out first.graft
    ok "fmt $name settles"
    "$graft" show --stage ast "$file" >a 2>err &&
        "$graft" show --stage ast first.graft >b 2>>err &&
        cut -d@ -f1 a | cmp -s - <(cut -d@ -f1 b)
    ok "fmt $name keeps the tree"
done
[ -d "$data/../examples" ] || skip "fmt of the examples" "not there"

ends 0 "show --stage ast" show --stage ast plain.graft
for word in module weight forward; do
    says out "show --stage ast" "$word"
done
ends 1 "show of a mistake" show --stage ast bad.graft
ends 2 "show without a file" show
ends 2 "show of two" show a b
ends 2 "a slip in a stage" show --stage asst plain.graft
says err "a slip in a stage" "did you mean \`ast\`?"

finish
