/* SentencePiece's precompiled_charsmap: a trie of byte strings as a double
 * array (of the library darts-clone), then the texts that stand for them, each
 * up to a zero byte. The trie's size comes first, in bytes, little endian. */
#include "runtime/tokens/tokenizer_text.h"
#include <string.h>

static int base64_value(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static uint32_t word_at(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
           (uint32_t)b[3] << 24;
}

bool charsmap_read(Arena *a, const char *base64, Span *out)
{
    size_t len = strlen(base64), n = 0, bad;
    while (len && base64[len - 1] == '=')
        len--;
    char *map = arena_alloc(a, len + 1);
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        int v = base64_value(base64[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        if (i % 4)
            map[n++] = (char)(bits >> (6 - i % 4 * 2));
    }
    *out = (Span){map, n};
    if (n < 4)
        return false;
    size_t trie = word_at(map);
    return trie % 4 == 0 && trie >= 4 && trie <= n - 4 &&
           utf8_valid(map + 4 + trie, n - 4 - trie, &bad);
}

/* The parts of a unit: the byte that led to it, where its children are, whether
 * a key ends here. */
static uint32_t label(uint32_t unit)
{
    return unit & (1u << 31 | 0xff);
}

static uint32_t offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

static bool ends_key(uint32_t unit)
{
    return unit >> 8 & 1;
}

/* Where the text of the shortest key is; -1: there is none. */
static int64_t shortest(Span map, Span text)
{
    uint32_t units = word_at(map.at) / 4, at = 0;
    uint32_t unit = word_at(map.at + 4);
    at ^= offset(unit);
    for (size_t i = 0; i < text.len && text.at[i]; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        at ^= byte;
        if (at >= units)
            return -1;
        unit = word_at(map.at + 4 + 4 * (size_t)at);
        if (label(unit) != byte)
            return -1;
        at ^= offset(unit);
        if (at >= units)
            return -1;
        if (ends_key(unit))
            return word_at(map.at + 4 + 4 * (size_t)at) & 0x7fffffff;
    }
    return -1;
}

Span charsmap_find(Span map, Span text)
{
    size_t begin = 4 + (size_t)word_at(map.at), rest = map.len - begin;
    int64_t found = shortest(map, text);
    if (found < 0 || (size_t)found > rest ||
        (found && (map.at[begin + (size_t)found] & 0xc0) == 0x80))
        return (Span){0};
    const char *at = map.at + begin + found;
    return (Span){at, strnlen(at, rest - (size_t)found)};
}
