/* Characters of UTF-8 text, what kind they are, and GPT-2's characters for
 * bytes: the printable ones of Latin-1 stand for themselves, the other 68 are
 * written as U+0100, U+0101, ... in order. */
#include "runtime/tokens/tokenizer_text.h"
#include <string.h>
#include <utf8proc.h>

Span span(const char *text)
{
    return (Span){text, strlen(text)};
}

bool span_is(Span a, Span b)
{
    return a.len == b.len && (!a.len || !memcmp(a.at, b.at, a.len));
}

bool span_starts(Span text, Span with)
{
    return text.len >= with.len && span_is((Span){text.at, with.len}, with);
}

void text_add(Arena *a, Text *t, const char *s, size_t len)
{
    if (t->over || len > MAX_MADE - t->n) {
        t->over = true;
        return;
    }
    if (t->n + len > t->room) {
        size_t room = 2 * (t->n + len) + 64;
        char *at = arena_alloc(a, room);
        if (t->n)
            memcpy(at, t->at, t->n);
        t->at = at, t->room = room;
    }
    if (len)
        memcpy(t->at + t->n, s, len);
    t->n += len;
}

/* The range of the second byte after a first one of three or four. */
static bool second_fits(unsigned char a, unsigned char b)
{
    switch (a) {
    case 0xe0:
        return b >= 0xa0 && b <= 0xbf;
    case 0xed:
        return b >= 0x80 && b <= 0x9f;
    case 0xf0:
        return b >= 0x90 && b <= 0xbf;
    case 0xf4:
        return b >= 0x80 && b <= 0x8f;
    default:
        return (b & 0xc0) == 0x80;
    }
}

int char_length(const char *s, size_t len)
{
    const unsigned char *b = (const unsigned char *)s;
    if (b[0] < 0x80)
        return 1;
    if (b[0] < 0xc2 || b[0] > 0xf4)
        return -1;
    int n = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    for (int i = 1; i < n; i++) {
        if ((size_t)i == len)
            return 0;
        if (i == 1 ? !second_fits(b[0], b[1]) : (b[i] & 0xc0) != 0x80)
            return -i;
    }
    return n;
}

int32_t char_read(const char *s, size_t len)
{
    utf8proc_int32_t c = -1;
    utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &c);
    return c;
}

size_t char_write(int32_t c, char out[4])
{
    return (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)out);
}

size_t char_before(Span text, size_t at)
{
    do
        at--;
    while (at > 0 && ((unsigned char)text.at[at] & 0xc0) == 0x80);
    return at;
}

bool char_is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool char_in(const char *set, int32_t c)
{
    return set_has(set_find(set, strlen(set)), c);
}

bool char_is_word(int32_t c)
{
    static int word = -1; /* the same whoever finds it */
    int set = __atomic_load_n(&word, __ATOMIC_RELAXED);
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
               (c >= 'a' && c <= 'z') || c == '_';
    if (set < 0) {
        set = set_find(".word", 5);
        __atomic_store_n(&word, set, __ATOMIC_RELAXED);
    }
    return set_has(set, c);
}

static bool stands_for_itself(int c)
{
    return (c >= '!' && c <= '~') || (c >= 0xa1 && c <= 0xac) ||
           (c >= 0xae && c <= 0xff);
}

int32_t byte_to_char(unsigned char b)
{
    if (stands_for_itself(b))
        return b;
    int others = b < '!' ? b : b < 0xa1 ? 33 + b - 127 : 67;
    return 256 + others;
}

int char_to_byte(int32_t c)
{
    if (c < 256)
        return stands_for_itself(c) ? c : -1;
    int n = c - 256;
    return n < 33 ? n : n < 67 ? n - 33 + 127 : n == 67 ? 0xad : -1;
}

size_t bytes_as_chars(Span bytes, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i++)
        len += char_write(byte_to_char((unsigned char)bytes.at[i]), out + len);
    return len;
}
