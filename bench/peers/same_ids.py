#!/usr/bin/env python3
"""Holds graft's ids and texts against the tokenizers library's:

    bench/peers/same_ids.py [--texts FILE] [--graft build/graft] TOKENIZER.json..

on the 10,000 random texts of record_ids.py, or on the lines of FILE (pip
install tokenizers). Says for each file how many texts differ and shows the
shortest; ends with 1 where any does.
"""
import argparse
import json
import subprocess
import sys
import tempfile

from record_ids import Random
from tokenizers import Tokenizer


def ours(graft, path, texts):
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as f:
        f.write(''.join(json.dumps(t) + '\n' for t in texts))
        f.flush()
        run = subprocess.run([graft, 'tokens', path, '--file', f.name,
                              '--lines', '--no-bos'],
                             capture_output=True, text=True)
    if run.returncode:
        return None, run.stderr.strip()
    return [[int(i) for i in line.split()]
            for line in run.stdout.split('\n')[:-1]], None


def compare(graft, path, texts):
    found, error = ours(graft, path, texts)
    if error:
        print(f'{path}: {error}')
        return False
    peer = Tokenizer.from_file(path)
    peer.no_truncation()
    peer.no_padding()
    wanted = [e.ids for e in peer.encode_batch(texts,
                                               add_special_tokens=False)]
    wrong = [(t, f, w) for t, f, w in zip(texts, found, wanted) if f != w]
    print(f'{path}: {len(wrong)} of {len(texts)} texts differ')
    if wrong:
        text, f, w = min(wrong, key=lambda row: len(row[0]))
        print(f'  {ascii(text)}\n  graft      {f}\n  tokenizers {w}')
    return not wrong


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('tokenizer', nargs='+')
    p.add_argument('--texts')
    p.add_argument('--graft', default='build/graft')
    a = p.parse_args()
    random = Random()
    texts = (open(a.texts).read().split('\n') if a.texts else
             [random.text() for _ in range(10000)])
    same = [compare(a.graft, path, texts) for path in a.tokenizer]
    sys.exit(not all(same))


if __name__ == '__main__':
    main()
