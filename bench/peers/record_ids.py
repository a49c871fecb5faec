#!/usr/bin/env python3
"""Writes tests/tokens/recorded.json: what the tokenizers library makes of
10,000 random texts by the patterns and steps that models use, as hashes of
ids, one for each 1,000 texts (pip install tokenizers). test_tokenizer_random
makes the same texts and holds graft's ids against them.

The vocabulary is each byte, and each byte as the last of a word, so that ids
show where words end.
"""
import json
import pathlib

from tokenizers import Tokenizer

MASK = (1 << 64) - 1
S = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
W = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+'
O = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*'
E = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
GPT2 = ("'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
        "\\s+(?!\\S)|\\s+")
U, L = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]', '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'
C = '[^\\r\\n\\p{L}\\p{N}]?'
REGEX = {
    'gpt2': [GPT2],
    'starcoder': ['\\p{N}', GPT2],
    'falcon': ['[\\p{P}\\$\\+<=>\\^~\\|`]+', GPT2, '[0-9][0-9][0-9]'],
    'llama3': [f'{S}|{W}|\\p{{N}}{{1,3}}|{O}|{E}'],
    'qwen2': [f'{S}|{W}|\\p{{N}}|{O}|{E}'],
    'cl100k': ["'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|"
               '\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|'
               '\\s*[\\r\\n]|\\s+(?!\\S)|\\s'],
    'deepseek-coder': ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+',
                       '[一-龥ࠀ-一가-퟿]+', '\\p{N}'],
    'deepseek-v3': [
        '\\p{N}{1,3}', '[一-龥぀-ゟ゠-ヿ]+',
        '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|'
        '[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|'
        ' ?[\\p{P}\\p{S}]+[\\r\\n]*|' + E],
    'gpt-4o': [f'{C}{U}*{L}+{S}?|{C}{U}+{L}*{S}?|\\p{{N}}{{1,3}}|'
               f' ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n/]*|{E}'],
    'tekken': [f'{C}{U}*{L}+|{C}{U}+{L}*|\\p{{N}}|'
               f' ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n/]*|{E}'],
    'bloom': [' ?[^(\\s|[.,!?…。，、।۔،])]+'],
    'poro': [' ?[^(\\s|.,!?…。，、।۔،)]+'],
    'bailing': ["'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}|"
                ' ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|'
                '\\s+'],
    'kimi': ['[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}'
             '\\p{M}&&[^\\p{Han}]]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+'
             f'{S}?|\\p{{N}}{{1,3}}|{O}|{E}'],
    'words': ['\\w+|\\W'], 'not_words': ['[^\\w]+'], 'in_class': ['[\\W]'],
    'hex': ['\\h+|\\H'], 'lines': ['^.*$'], 'ends': ['\\R'], 'all': ['(?m:.)+'],
    'digits': ['\\d{,2}|\\D'], 'classes': ['[a-z&&[^aeiou]]+|[[x]y]'],
    'posix': ['[[:alpha:]]+|[[:punct:]]|[[:^space:][:cntrl:]]'],
    'posix_more': ['[[:upper:]]+|[[:lower:]]+|[[:graph:]]|[[:print:]]|'
                   '[[:xdigit:]]|[[:word:]]|[[:alnum:]]|[[:blank:]]'],
    'emoji': ['\\p{Emoji}+|\\p{Extended_Pictographic}'],
    'scripts': ['\\p{Hiragana}+|\\p{Katakana}+|\\p{Cyrillic}+|\\p{Latin}+|'
                '\\p{Arabic}+|\\p{Common}|\\p{^Inherited}'],
    'bounds': ['\\b'], 'behind': ['(?<=\\p{L})\\s|(?<!\\w)\\d'],
    'cased': ['(?i)[k-sß]+|\\p{Lu}'], 'atomic': ['(?>\\s+)|\\S{2,3}?'],
    'letters': ['\\u0041|\\x{4e00}|\\p{Alphabetic}'], 'none': ['x*'],
}
STEPS = {
    'Whitespace': {'type': 'Whitespace'},
    'WhitespaceSplit': {'type': 'WhitespaceSplit'},
    'Bert': {'type': 'BertPreTokenizer'},
    'Digits': {'type': 'Digits', 'individual_digits': False},
    'Digits1': {'type': 'Digits', 'individual_digits': True},
    'ByteLevel': {'type': 'ByteLevel', 'add_prefix_space': True,
                  'trim_offsets': True, 'use_regex': True},
    'Delimiter': {'type': 'CharDelimiterSplit', 'delimiter': 'e'},
}
BEHAVIORS = ['Isolated', 'Removed', 'MergedWithPrevious', 'MergedWithNext',
             'Contiguous']
NORMALIZERS = {
    **{n: {'type': n} for n in ('NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase',
                                'StripAccents', 'Nmt')},
    'Strip': {'type': 'Strip', 'strip_left': True, 'strip_right': True},
    'BertAll': {'type': 'BertNormalizer', 'clean_text': True,
                'handle_chinese_chars': True, 'strip_accents': None,
                'lowercase': True},
    'BertAccents': {'type': 'BertNormalizer', 'clean_text': False,
                    'handle_chinese_chars': False, 'strip_accents': True,
                    'lowercase': False},
    'Replace': {'type': 'Replace', 'pattern': {'Regex': '\\s+|e'},
                'content': '▁'},
    'Prepend': {'type': 'Prepend', 'prepend': '▁'},
}


def split(regex, behavior='Isolated', invert=False):
    return {'type': 'Split', 'pattern': {'Regex': regex},
            'behavior': behavior, 'invert': invert}


def rows():
    for name, regex in REGEX.items():
        yield name, None, {'type': 'Sequence', 'pretokenizers':
                           [split(r) for r in regex]}
    for name, step in STEPS.items():
        yield name, None, step
    for b in BEHAVIORS:
        yield b, None, split('\\s+|,', b)
        yield b + '_invert', None, split('\\w+', b, True)
        yield b + '_empty', None, split('(?=[a-m ])|\\d', b)
        yield b + '_punctuation', None, {'type': 'Punctuation', 'behavior': b}
    for name, step in NORMALIZERS.items():
        yield name, step, split('\\s+', 'MergedWithNext')
    for scheme in 'always', 'first', 'never':
        for cut in True, False:
            yield (f'metaspace_{scheme}_{cut}',
                   {'type': 'Strip', 'strip_left': True, 'strip_right': False},
                   {'type': 'Metaspace', 'replacement': '▁',
                    'prepend_scheme': scheme, 'split': cut})


class Random:
    """As in test_tokenizer_random.c."""

    def __init__(self):
        self.state = 1

    def below(self, n):
        self.state = (self.state * 6364136223846793005 +
                      1442695040888963407) & MASK
        return (self.state >> 33) % n

    def char(self):
        low, high = RANGES[self.below(len(RANGES))]
        c = low + self.below(high - low + 1)
        return ' ' if 0xD800 <= c < 0xE000 else chr(c)

    def text(self):
        out = ''
        for _ in range(self.below(24)):
            out += self.char() * (1 + self.below(40)
                                  if self.below(30) == 0 else 1)
        return out


RANGES = [(97, 122), (97, 122), (65, 90), (48, 57), (32, 32), (32, 32),
          (32, 32), (33, 47), (39, 39), (115, 116), (9, 13), (1, 31),
          (58, 64), (91, 96), (123, 191), (0xC0, 0x24F), (0x300, 0x36F),
          (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0xDFF), (0xE00, 0x11FF),
          (0x1680, 0x180F), (0x1AB0, 0x1DFF), (0x1E00, 0x1FFF),
          (0x2000, 0x206F), (0x2070, 0x2BFF), (0x3000, 0x30FF),
          (0x4E00, 0x9FFF), (0xAC00, 0xD7FF), (0xF900, 0xFFFD),
          (0x10000, 0x11FFF), (0x16E40, 0x1DFFF), (0x1E000, 0x1FBFF),
          (0x20000, 0x3FFFF), (0xE0000, 0x10FFFF), (1, 0x10FFFF)]


def byte_chars():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = iter(range(256, 512))
    return [chr(b if b in plain else next(other)) for b in range(256)]


def tokenizer(normalizer, pre):
    chars = byte_chars()
    vocab = {c: b for b, c in enumerate(chars)}
    vocab.update({c + '/': 256 + b for b, c in enumerate(chars)})
    level = {'type': 'ByteLevel', 'add_prefix_space': False,
             'trim_offsets': True, 'use_regex': False}
    both = {'type': 'Sequence', 'pretokenizers': [pre, level]}
    return {'version': '1.0', 'added_tokens': [], 'normalizer': normalizer,
            'pre_tokenizer': both, 'post_processor': None, 'decoder': None,
            'model': {'type': 'BPE', 'end_of_word_suffix': '/',
                      'vocab': vocab, 'merges': []}}


def hashes(t, texts):
    out = []
    for at in range(0, len(texts), 1000):
        h = 0xcbf29ce484222325
        for e in t.encode_batch(texts[at:at + 1000]):
            for i in [*e.ids, 0xFFFF]:
                h = ((h ^ i) * 0x100000001b3) & MASK
        out.append(f'{h:016x}')
    return out


def main():
    random = Random()
    texts = [random.text() for _ in range(10000)]
    made = []
    for name, normalizer, pre in rows():
        t = Tokenizer.from_str(json.dumps(tokenizer(normalizer, pre)))
        made.append({'name': name, 'normalizer': normalizer,
                     'pre_tokenizer': pre, 'hashes': hashes(t, texts)})
    path = pathlib.Path(__file__).parents[2] / 'tests/tokens/recorded.json'
    path.write_text('[\n' + ',\n'.join(json.dumps(m, ensure_ascii=True)
                                       for m in made) + '\n]\n')


if __name__ == '__main__':
    main()
