#!/usr/bin/env python3
"""Writes tests/tokens/models.json: small tokenizers whose models are no BPE,
texts, and what the tokenizers library makes of them:

    bench/peers/record_models.py >tests/tokens/models.json

(pip install tokenizers sentencepiece protobuf). Their words are those of
README.md; the charsmap is SentencePiece's own, of the rules below.
"""
import base64
import io
import json
import os
import tempfile

import sentencepiece
from record_ids import Random, split, tokenizer
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

ROOT = os.path.join(os.path.dirname(__file__), '../..')
LINES = open(os.path.join(ROOT, 'README.md')).read().split('\n')
RULES = [('ﬁ', 'fi'), ('①', '1'), ('A\u030a', '\u00c5'), ('a\u0301', '\u00e1'),
         ('º', 'o'), ('ｶﾞ', 'ガ'), ('A', 'a'), ('\u00ad', ''), ('\t', ' '),
         ('\u3000', ' ')]
TEXTS = ['', ' ', 'a', 'The model is upcycled.', "don't, can't; I'm 've",
         'experts=4  active=3', 'ﬁrst ①②ºº ａ A\u030a a\u0301\u0325 º\u0301', '日本語 한국어 русский',
         'x' * 120, ' leading\ttab\u00adsoft\u3000wide', 'AAA BBB', '<unk> [UNK] </s>',
         'ｶﾞｶﾞ é́ ½', '\U0001f600\U0001f44d\U0001f3fd ok', 'graft ▁ merges ▁▁']


def unigram(normalizer=None, pre=None, decoder=None, fallback=False):
    t = Tokenizer(models.Unigram())
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    if decoder:
        t.decoder = decoder
    t.train_from_iterator(LINES, trainers.UnigramTrainer(
        vocab_size=120, special_tokens=['<unk>', '</s>'], unk_token='<unk>',
        show_progress=False))
    j = json.loads(t.to_str())
    j['model']['vocab'] = [[p, round(s, 6)] for p, s in j['model']['vocab']]
    if fallback:
        j['model']['vocab'] += [[f'<0x{b:02X}>', 0.0] for b in range(256)]
        j['model']['byte_fallback'] = True
    return j


def charsmap():
    with tempfile.NamedTemporaryFile('w', suffix='.tsv') as f:
        for a, b in RULES:
            f.write(' '.join(f'{ord(c):X}' for c in a) + '\t' +
                    ' '.join(f'{ord(c):X}' for c in b) + '\n')
        f.flush()
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(LINES), model_writer=out, vocab_size=120,
            hard_vocab_limit=False, normalization_rule_tsv=f.name,
            minloglevel=2)
    p = sentencepiece_model_pb2.ModelProto()
    p.ParseFromString(out.getvalue())
    j = unigram(None, pre_tokenizers.Metaspace(), decoders.Metaspace())
    j['normalizer'] = {
        'type': 'Precompiled', 'precompiled_charsmap': base64.b64encode(
            p.normalizer_spec.precompiled_charsmap).decode()}
    j['model']['vocab'] = [[x.piece, round(x.score, 6)]
                           for x in p.pieces]
    j['added_tokens'] = []
    return j


def word_piece(**fields):
    t = Tokenizer(models.WordPiece(unk_token='[UNK]'))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(LINES, trainers.WordPieceTrainer(
        vocab_size=160, special_tokens=['[UNK]', '[CLS]', '[SEP]'],
        show_progress=False))
    t.post_processor = processors.TemplateProcessing(
        single='[CLS] $A [SEP]', special_tokens=[('[CLS]', 1), ('[SEP]', 2)])
    j = json.loads(t.to_str())
    j['model'].update(fields)
    return j


def word_level():
    t = Tokenizer(models.WordLevel(unk_token='<unk>'))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.train_from_iterator(LINES, trainers.WordLevelTrainer(
        vocab_size=80, special_tokens=['<unk>'], show_progress=False))
    return json.loads(t.to_str())


# Characters that fold to several, or to one of another block.
FOLDS = ['stra\u00dfe STRASSE \u1e9e \u017fs', '\u212aelvin k K \u212b \u00e5',
         '\ufb03 FFI ffi \ufb05 \ufb06 st', 'I i \u0130 \u0131 i\u0307',
         '\u01c4 \u01c5 \u01c6 \u0149 \u02bcn', '\u0390 \u1fd3 \u03b9',
         '\u1f88 \u1f80 \u1fb3 \u1fbc', '\u10d0 \u1c90 \u13a0 \uab70',
         '\u03c3 \u03c2 \u03a3 \u00b5 \u03bc', '\U00010400\U00010428']
FOLDED = ['(?i)ss|\ufb03|k|\u00e5', '(?i)[a-z\u00df-\u00fe]+', '(?i)st|\u01c6',
          '(?i)[^a-z\u1e9e]', '(?i)\\p{Lu}+|[\u03b1-\u03c9]', '(?i)(.)\\1|i',
          '(?i)[\u10d0-\u10ff\U00010400-\U00010427]|[[:lower:]&&[^k-s]]+']


def folding(pattern):
    return tokenizer(None, {'type': 'Sequence',
                            'pretokenizers': [split(pattern)]})


def record(name, j, some=None):
    t = Tokenizer.from_str(json.dumps(j))
    random = Random()
    rows = []
    for text in some or TEXTS + [random.text() for _ in range(60)]:
        ids = t.encode(text, add_special_tokens=False).ids
        rows.append({'text': text, 'ids': ids,
                     'back': t.decode(ids, skip_special_tokens=False)})
    return {'name': name, 'tokenizer': j, 'texts': rows}


def main():
    short = word_piece(max_input_chars_per_word=4)
    short['decoder']['cleanup'] = False
    spaces = normalizers.Replace(Regex(' {2,}'), ' ')
    bytes_back = decoders.Sequence([decoders.Replace('▁', ' '),
                                    decoders.ByteFallback(), decoders.Fuse()])
    print(json.dumps([
        record('unigram', unigram()),
        record('unigram, metaspace', unigram(
            normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(),
                                  spaces]),
            pre_tokenizers.Metaspace(), decoders.Metaspace())),
        record('unigram, bytes', unigram(normalizers.Replace(' ', '▁'), None,
                                         bytes_back, True)),
        record('unigram, charsmap', charsmap()),
        record('word pieces', word_piece()),
        record('word pieces, short words', short),
        record('words', word_level()),
        *[record('folds ' + ascii(p), folding(p), FOLDS)
          for p in FOLDED]], ensure_ascii=False))


if __name__ == '__main__':
    main()
