#!/usr/bin/env bash
# graft tokens: ids and pieces of texts, texts of ids, wrong files and ids.
# $2 is make_tiny.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2

cat >tokenizer.json <<'END'
{"added_tokens": [{"id": 3, "content": "<s>", "special": true}],
 "post_processor": {"type": "TemplateProcessing",
  "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
  "special_tokens": {"<s>": {"ids": [3]}}},
 "decoder": {"type": "Fuse"},
 "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2},
           "merges": ["a b"]}}
END
ends 0 "a text" tokens tokenizer.json -p "aba"
[ "$(cat out)" = '3	"<s>"
2	"ab"
0	"a"' ]
ok "ids and pieces, a token a line"
ends 0 "without bos" tokens tokenizer.json -p "ab" --no-bos --json
tr -d ' \n\t' <out | grep -qF '{"ids":[2],"pieces":["ab"]}'
ok "--json has ids and pieces"
ends 0 "back" tokens tokenizer.json --ids 2,0
[ "$(cat out)" = aba ]
ok "ids become their text"
printf 'ab' >text
ends 0 "a file" tokens tokenizer.json --file text --no-bos
[ "$(cut -f1 out)" = 2 ]
ok "--file reads a text"
printf '"ab"\n"b\\na"\n""\n' >lines
ends 0 "lines" tokens tokenizer.json --file lines --lines --no-bos
[ "$(cat out)" = "2
1 0" ]
ok "--lines: a line of ids for each text"
ends 1 "no such id" tokens tokenizer.json --ids 2,9
says err "no such id" "no token 9"
ends 2 "nothing to do" tokens tokenizer.json
ends 2 "two texts" tokens tokenizer.json -p a --file text
printf 'a\xffb' >text
ends 1 "not UTF-8" tokens tokenizer.json --file text
says err "not UTF-8" "not UTF-8 at byte 1"

# Files that are none: no waiting, no reading for ever.
"$make_tiny" tiny 2>err
mkfifo pipe.json
ends 1 "a pipe" tokens pipe.json -p a
says err "a pipe" "this is a pipe, not a file"
ln -s /dev/zero zero.json
ends 1 "a device" tokens zero.json -p a
says err "a device" "this is a device, not a file"
for name in config.json tokenizer.json model.graft; do
    rm -rf model
    cp -r tiny model
    rm -f "model/$name"
    mkfifo "model/$name"
    ends 1 "$name is a pipe" generate model -p a -n 1
    says err "$name is a pipe" "this is a pipe"
done
# A link out of the folder is not copied; one within it is.
rm -rf model
cp -r tiny model
echo secret >secret
ln -s ../secret model/notes.txt
echo mine >model/a.txt
ln -s a.txt model/b.txt
ends 0 "links" apply copy model -o linked
says err "links" "notes.txt is a link out of the model's folder"
[ ! -e linked/notes.txt ] && [ "$(cat linked/b.txt)" = mine ]
ok "links: what is outside stays outside"

# `use` in a model's own text reads no file of the current folder.
ends 0 "a model with its text" apply xft tiny -o moe
{ echo "use s" && cat moe/model.graft; } >whole
mv whole moe/model.graft
echo "module s(D) { }" >s.graft
ends 1 "use in model.graft" logits moe --ids 1,2 -o o.npy
says err "use in model.graft" "no s.graft beside this file or in the library"

finish
