#!/usr/bin/env python3
"""Makes runtime/tokens/unicode.txt: the sets of characters that the tokenizers
library goes by, asked from it character by character (pip install tokenizers
fonttools; the library as of 0.23.3). Its patterns are Oniguruma's with Unicode
16, its normalizers and pre-tokenizers have tables of Unicode 8, 9 and 17.

A line is: names, then members (= NAME ...), then what is added (+ RUN ...) and
taken away (! RUN ...). A run is GAP or GAP*LENGTH in hexadecimal: so many
characters are passed over, then so many belong (1 where no length is given).
"""
import ctypes
import ctypes.util
import sys
import textwrap

from fontTools.unicodedata import Scripts
from tokenizers import Regex, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
ALL = ''.join(map(chr, POINTS))

CATEGORIES = '''Lu Uppercase_Letter,Ll Lowercase_Letter,Lt Titlecase_Letter,
Lm Modifier_Letter,Lo Other_Letter,Mn Nonspacing_Mark,Mc Spacing_Mark,
Me Enclosing_Mark,Nd Decimal_Number,Nl Letter_Number,No Other_Number,
Pc Connector_Punctuation,Pd Dash_Punctuation,Ps Open_Punctuation,
Pe Close_Punctuation,Pi Initial_Punctuation,Pf Final_Punctuation,
Po Other_Punctuation,Sm Math_Symbol,Sc Currency_Symbol,Sk Modifier_Symbol,
So Other_Symbol,Zs Space_Separator,Zl Line_Separator,Zp Paragraph_Separator,
Cc Control,Cf Format,Cs Surrogate,Co Private_Use,Cn Unassigned'''

OTHERS = '''L Letter,M Mark Combining_Mark,N Number,P Punctuation,S Symbol,
Z Separator,C Other,LC Cased_Letter,Any,Assigned,ASCII,Alphabetic Alpha,
Lowercase Lower,Uppercase Upper,White_Space Space WSpace,Word,Alnum,Blank,
Graph,Print,PosixPunct,XDigit,Punct,Digit,Cntrl,
Emoji,Emoji_Presentation,Emoji_Modifier,Emoji_Modifier_Base,Emoji_Component,
Extended_Pictographic,Ideographic Ideo,Unified_Ideograph,Hex_Digit Hex,
ASCII_Hex_Digit AHex,Dash,Diacritic Dia,Extender Ext,
Default_Ignorable_Code_Point DI,Join_Control,Math,Quotation_Mark QMark,Radical,
Regional_Indicator RI,Sentence_Terminal STerm,Terminal_Punctuation Term,
Variation_Selector VS,Noncharacter_Code_Point NChar,Pattern_Syntax,
Pattern_White_Space,ID_Start IDS,ID_Continue IDC,XID_Start XIDS,
XID_Continue XIDC,Cased,Case_Ignorable CI,Grapheme_Extend,Grapheme_Base,
Bidi_Control,Deprecated,Soft_Dotted SD,Hyphen,Other_Alphabetic,
Changes_When_Lowercased CWL,Changes_When_Uppercased CWU,
Changes_When_Titlecased CWT,Changes_When_Casefolded CWCF,
Changes_When_Casemapped CWCM'''


def known(name):
    try:
        Regex('\\p{%s}' % name)
        return True
    except Exception:
        return False


def words(text):
    return [row.split() for row in text.replace('\n', '').split(',')]


def of_pattern(pattern):
    cut = pre_tokenizers.Split(Regex('(?:%s)+' % pattern), 'removed',
                               invert=True)
    found = set()
    for _, (a, b) in cut.pre_tokenize_str(ALL):
        found.update(POINTS[a:b])
    return found


def runs(points):
    out, end = [], 0
    rows = []
    for c in sorted(points):
        if rows and c == rows[-1][1]:
            rows[-1][1] = c + 1
        else:
            rows.append([c, c + 1])
    for a, b in rows:
        out.append(f'{a - end:x}' + (f'*{b - a:x}' if b - a > 1 else ''))
        end = b
    return out


def say(names, points, members=()):
    whole = set()
    for m in members:
        whole |= table[m]
    line = list(names)
    line += ['=', *members] if members else []
    for sign, some in ('+', points - whole), ('!', whole - points):
        line += [sign, *runs(some)] if some else []
    print(textwrap.fill(' '.join(line), 79, subsequent_indent=' ',
                        break_on_hyphens=False))
    table[names[0]] = points


def best(points):
    """The categories most of which belong."""
    return [k for k, v in base.items() if 2 * len(v & points) > len(v)]


def each(changed):
    return {c for c in POINTS if changed(chr(c))}


table, base = {}, {}
print('# Made by bench/peers/unicode.py, which says how to read it. '
      'Oniguruma\'s, Unicode 16:')
for names in words(CATEGORIES):
    names = [n for n in names if known(n)]
    if names:
        say(names, of_pattern('\\p{%s}' % names[0]))
        base[names[0]] = table[names[0]]
for names in words(OTHERS):
    points = of_pattern('[[:punct:]]' if names[0] == 'PosixPunct' else
                        '[\\p{%s}]' % names[0])
    say([n for n in names if known(n)], points, best(points))
for short in sorted(set(Scripts.VALUES)):
    names = [n for n in (Scripts.NAMES[short], short) if known(n)]
    if names:  # fontTools may know newer ones
        say(list(dict.fromkeys(names)), of_pattern('\\p{%s}' % short))
print('# Those of its own, not for patterns:')


def pieces(how, n):
    return each(lambda c: len(how.pre_tokenize_str('a' + c + 'a')) == n)


bert = {'clean_text': False, 'handle_chinese_chars': False,
        'strip_accents': False, 'lowercase': False}


def bert_only(what):
    n = normalizers.BertNormalizer(**{**bert, what: True})
    return n.normalize_str


# Whitespace's \w is the regex crate's, Digits' numbers are Rust's
say(['.word'], pieces(pre_tokenizers.Whitespace(), 1), ['Word'])
say(['.number'], pieces(pre_tokenizers.Digits(individual_digits=True), 3),
    ['N'])
say(['.punctuation'], pieces(pre_tokenizers.Punctuation(), 3))
strip = normalizers.StripAccents().normalize_str
nonspacing = bert_only('strip_accents')
say(['.nonspacing'], each(lambda c: nonspacing(c) == ''), ['Mn'])
say(['.mark'], each(lambda c: strip(c) == ''), ['M'])
clean = bert_only('clean_text')
say(['.control'], each(lambda c: clean(c) == ''))
say(['.cjk'], each(lambda c: bert_only('handle_chinese_chars')(c) != c))
# what normalization forms know: Unicode 9's
icu = ctypes.CDLL(ctypes.util.find_library('icuuc'))
age = getattr(icu, sys.argv[1] if len(sys.argv) > 1 else 'u_charAge_72')
said = (ctypes.c_uint8 * 4)()


def known_by(c, version):
    age(ctypes.c_int32(ord(c)), said)
    return 0 < said[0] <= version


say(['.unicode9'], each(lambda c: known_by(c, 9)))
lower = normalizers.Lowercase().normalize_str
one = {c: ord(lower(chr(c))) - c for c in POINTS if len(lower(chr(c))) == 1}
for by in sorted(set(one.values()) - {0}):
    say([f'.lower{by:+d}'], {c for c, d in one.items() if d == by})
