/* Sets of characters by name, from unicode.txt (bench/peers/unicode.py made
 * it and says how it reads). A set is built when it is first asked for. */
#include "runtime/tokens/tokenizer_text.h"
#include <ctype.h>
#include <pthread.h>
#include <string.h>

extern const char text_unicode[];

enum { POINTS = 0x110000, NAMES = 1024 };

typedef struct {
    char name[40];
    int row;
} Name;

/* A row of the file: where its names end, and its ranges once made. */
typedef struct {
    const char *rest;
    uint32_t *ranges;
} Row;

static Name names[NAMES];
static Row rows[NAMES];
static int name_count, row_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* As Oniguruma takes names: case, blanks, - and _ do not count. False: too
 * long, or not ASCII. */
static bool plain_name(const char *s, size_t len, char out[40])
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == ' ' || s[i] == '_' || (s[i] == '-' && s[0] != '.'))
            continue;
        if ((unsigned char)s[i] >= 0x80 || n == 39)
            return false;
        out[n++] = (char)tolower((unsigned char)s[i]);
    }
    out[n] = 0;
    return n > 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Name *)a)->name, ((const Name *)b)->name);
}

/* The next word of a row, which goes on in lines that begin with a blank. */
static Span next_word(const char **at)
{
    const char *s = *at;
    while (*s == ' ' || (*s == '\n' && s[1] == ' '))
        s++;
    size_t len = strcspn(s, " \n");
    *at = s + len;
    return (Span){s, len};
}

static bool is_sign(Span w)
{
    return w.len == 1 && strchr("=+!", w.at[0]);
}

static void read_rows(void)
{
    const char *at = text_unicode;
    while (*at) {
        const char *here = at;
        Span w = next_word(&here);
        for (; *at != '#' && w.len && !is_sign(w); w = next_word(&here)) {
            if (name_count == NAMES || row_count == NAMES)
                BUG("unicode.txt has too many names");
            Name *n = &names[name_count++];
            plain_name(w.at, w.len, n->name);
            n->row = row_count;
        }
        if (*at != '#')
            rows[row_count++].rest = w.len ? w.at : here;
        while (*at && !(*at == '\n' && at[1] != ' '))
            at++;
        at += *at == '\n';
    }
    qsort(names, (size_t)name_count, sizeof *names, by_name);
}

int set_find(const char *name, size_t len)
{
    Name key;
    pthread_once(&once, read_rows);
    if (!plain_name(name, len, key.name))
        return -1;
    Name *n = bsearch(&key, names, (size_t)name_count, sizeof *names, by_name);
    return n ? n->row : -1;
}

static const uint32_t *made(int set);

/* Marks GAP*LENGTH; the end of the run. */
static uint32_t mark_run(Span run, uint32_t at, char *marks, char mark)
{
    char *end;
    uint32_t from = at + (uint32_t)strtoul(run.at, &end, 16), len = 1;
    if (*end == '*')
        len = (uint32_t)strtoul(end + 1, NULL, 16);
    if (from + len > POINTS)
        BUG("unicode.txt has a run past the last character");
    memset(marks + from, mark, len);
    return from + len;
}

static void mark_set(const uint32_t *set, char *marks)
{
    for (uint32_t i = 0; i < set[0]; i++)
        memset(marks + set[2 * i + 1], 1, set[2 * i + 2] - set[2 * i + 1] + 1);
}

static uint32_t *ranges_of(const char *marks)
{
    uint32_t n = 0, at = 1;
    for (uint32_t c = 0; c < POINTS; c++)
        n += marks[c] && (!c || !marks[c - 1]);
    uint32_t *out = xmalloc((2 * n + 1) * sizeof *out);
    out[0] = n;
    for (uint32_t c = 0; c < POINTS; c++) {
        if (marks[c] && (!c || !marks[c - 1]))
            out[at++] = c;
        if (marks[c] && (c + 1 == POINTS || !marks[c + 1]))
            out[at++] = c;
    }
    return out;
}

static uint32_t *make(const char *rest)
{
    char *marks = xmalloc(POINTS), sign = 0;
    uint32_t at = 0;
    memset(marks, 0, POINTS);
    for (Span w; (w = next_word(&rest)).len;) {
        if (is_sign(w)) {
            sign = w.at[0], at = 0;
            continue;
        }
        if (sign == '=')
            mark_set(made(set_find(w.at, w.len)), marks);
        else
            at = mark_run(w, at, marks, sign == '+');
    }
    uint32_t *ranges = ranges_of(marks);
    free(marks);
    return ranges;
}

/* With the lock held. */
static const uint32_t *made(int set)
{
    if (set < 0 || set >= row_count)
        BUG("there is no set %d", set);
    if (!rows[set].ranges)
        __atomic_store_n(&rows[set].ranges, make(rows[set].rest),
                         __ATOMIC_RELEASE);
    return rows[set].ranges;
}

const uint32_t *set_ranges(int set)
{
    if (set >= 0 && set < row_count) {
        const uint32_t *r =
            __atomic_load_n(&rows[set].ranges, __ATOMIC_ACQUIRE);
        if (r)
            return r;
    }
    pthread_mutex_lock(&lock);
    const uint32_t *r = made(set);
    pthread_mutex_unlock(&lock);
    return r;
}

bool set_has(int set, int32_t c)
{
    const uint32_t *r = set_ranges(set);
    uint32_t low = 0, high = r[0];
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if ((uint32_t)c > r[2 * middle + 2])
            low = middle + 1;
        else
            high = middle;
    }
    return low < r[0] && (uint32_t)c >= r[2 * low + 1];
}

/* Rows ".lower+32": what is to be added. */
typedef struct {
    int set;
    int32_t by;
} Lower;
static Lower lower[256];
static int lower_count;
static pthread_once_t lower_once = PTHREAD_ONCE_INIT;

static void read_lower(void)
{
    for (int i = 0; i < name_count; i++)
        if (!strncmp(names[i].name, ".lower", 6) && lower_count < 256)
            lower[lower_count++] =
                (Lower){names[i].row, (int32_t)atoi(names[i].name + 6)};
}

int32_t char_lower(int32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    pthread_once(&once, read_rows);
    pthread_once(&lower_once, read_lower);
    for (int i = 0; i < lower_count; i++)
        if (set_has(lower[i].set, c))
            return c + lower[i].by;
    return c;
}
