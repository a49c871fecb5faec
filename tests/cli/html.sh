#!/usr/bin/env bash
# graft show --html: one page that needs nothing from elsewhere, whose links
# between the spec's lines and the levels all have both ends.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 # Graphviz keeps its fonts

# page NAME FILE LEVEL...: well-formed, self-contained, has these levels.
page() {
    local name=$1
    shift
    python3 - "$@" >out 2>err <<'PY'
import re, sys
from html.parser import HTMLParser
text = open(sys.argv[1], encoding="utf-8").read()
void = {"meta", "br", "link", "img"}

class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.keys, self.pane = [], set(), {}, []
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        for name in ("src", "href", "xlink:href", "srcset"):
            assert name not in attrs, (tag, attrs)
        if tag in void:
            return
        if "id" in attrs:
            self.ids.add(attrs["id"])
        self.open.append((tag, attrs.get("id")))
        pane = [i for _, i in self.open if i in ("left", "right")]
        for key in re.findall(r"at-\S+", attrs.get("class") or ""):
            self.keys.setdefault(pane[0], set()).add(key)
    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in void:
            self.handle_endtag(tag)
    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, (tag, self.open[-3:])
        self.open.pop()

p = Page()
p.feed(text)
assert not p.open, p.open
assert not re.search(r"@import|url\(|fetch\(|XMLHttp|<script src", text)
links = set(re.findall(r"https?://[^\"' <]+", text))
assert links <= {"http://www.w3.org/2000/svg",
                 "http://www.w3.org/1999/xlink"}, links
for level in sys.argv[2:]:
    assert level in p.ids, level
dangling = p.keys["right"] - p.keys["left"]
assert not dangling, sorted(dangling)[:5]
assert len(p.keys["right"]) > 3, p.keys["right"]
PY
    ok "$name: a page by itself, with $* and no loose link"
}

xft=$repo/stdlib/xft.graft
ends 0 "a file" show "$xft" --html xft.html
page "a file" xft.html ast model model-picture graph graph-picture proofs
says xft.html "a file" "class=proved"
says xft.html "a file" "before: swiglu"
says xft.html "a file" "derivation"
ends 0 "a definition" show "$xft:xft_moe" --html moe.html
page "a definition" moe.html ast model graph graph-picture
ends 0 "a file of no modules" show "$repo/stdlib/rules.graft" --html r.html
says r.html "a file of no modules" "sum_softmax"
printf 'module <b>(D) {\n' >bad.graft
ends 1 "a file with mistakes" show bad.graft --html bad.html
[ ! -e bad.html ]
ok "a file with mistakes: no page"
# What stands in a text is never taken for the page's own.
cat >"a&b.graft" <<'SPEC'
# </script><script>alert(1)</script> <img src=x>
module plain(D) {
  weight w[D] as "</pre>&lt;"
  forward(x[T, D]) -> [T, D] { return x * w }
}
SPEC
ends 0 "a text with tags" show "a&b.graft" --html tags.html
page "a text with tags" tags.html model
[ "$(grep -c '<script>' tags.html)" = 1 ]
ok "a text with tags: one script"
ends 2 "--html and --svg" show "$xft" --html a.html --svg a.svg
ends 1 "no such folder" show "$xft" --html nowhere/a.html
says err "no such folder" "nowhere/a.html: cannot write"

"$2" tiny >out 2>err
ok "a tiny model"
ends 0 "a model" show tiny --html tiny.html
page "a model" tiny.html ast model graph graph-picture kernels llvm cuda
says tiny.html "a model" "define void @gr_"
ends 0 "a model after xft" show tiny --transform xft experts=4 active=3 \
    --html after.html
page "a model after xft" after.html ast model-picture graph-picture kernels
says after.html "a model after xft" "after xft: experts = 4, active = 3"
says after.html "a model after xft" 'class="new at-xft_graft-'

if command -v chromium >/dev/null; then
    timeout 60 chromium --headless=new --no-sandbox --disable-gpu --dump-dom \
        "file://$PWD/after.html#graph/xft.graft:11" >dom 2>err
    grep -q 'id="where">xft.graft:11<' dom && grep -q ' linked' dom &&
        grep -qE '<i class="new at-xft_graft-[0-9a-f]*-11 pin">' dom
    ok "the script runs: a line of the address is pinned at both ends"
else
    skip "the script runs" "no chromium here"
fi

finish
