/* Strings: one copy of each name, near names, UTF-8, files. */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Entry {
    struct Entry *next;
    uint64_t hash;
    size_t len;
    char text[];
} Entry;

static Entry **bucket;
static size_t buckets, entries;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void grow_table(void)
{
    size_t size = buckets ? 2 * buckets : 4096;
    Entry **new = xmalloc(size * sizeof *new);
    memset(new, 0, size * sizeof *new);
    for (size_t i = 0; i < buckets; i++)
        for (Entry *e = bucket[i], *next; e; e = next) {
            next = e->next;
            e->next = new[e->hash % size];
            new[e->hash % size] = e;
        }
    free(bucket);
    bucket = new;
    buckets = size;
}

static const char *intern_locked(const char *s, size_t len)
{
    uint64_t hash = hash_of_name(s, len);
    if (entries >= buckets)
        grow_table();
    Entry **head = &bucket[hash % buckets];
    for (Entry *e = *head; e; e = e->next)
        if (e->hash == hash && e->len == len && !memcmp(e->text, s, len))
            return e->text;
    Entry *e = xmalloc(sizeof *e + len + 1);
    *e = (Entry){.next = *head, .hash = hash, .len = len};
    memcpy(e->text, s, len);
    e->text[len] = 0;
    *head = e;
    entries++;
    return e->text;
}

const char *intern_n(const char *s, size_t len)
{
    pthread_mutex_lock(&lock);
    const char *one = intern_locked(s, len);
    pthread_mutex_unlock(&lock);
    return one;
}

const char *intern(const char *s)
{
    return intern_n(s, strlen(s));
}

const char *intern_printf(const char *fmt, ...)
{
    Arena scratch = {0};
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    char *s = arena_alloc(&scratch, (size_t)len + 1);
    vsnprintf(s, (size_t)len + 1, fmt, again);
    va_end(again);
    va_end(ap);
    const char *one = intern_n(s, (size_t)len);
    arena_free(&scratch);
    return one;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours counted once (optimal string
 * alignment); names over 63 bytes are never near. */
static int distance(const char *a, const char *b)
{
    int la = (int)strlen(a), lb = (int)strlen(b), d[64][64];
    if (la > 63 || lb > 63)
        return 64;
    for (int i = 0; i <= la; i++)
        for (int j = 0; j <= lb; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            int same = a[i - 1] == b[j - 1];
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
                            d[i - 1][j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[la][lb];
}

const char *nearest(const char *word, const char *const *names, int n)
{
    int best = (int)strlen(word) / 3 + 2;
    const char *found = NULL;
    for (int i = 0; i < n; i++) {
        int d = distance(word, names[i]);
        if (d < best && d < (int)strlen(names[i]))
            best = d, found = names[i];
    }
    return found;
}

/* Length of the UTF-8 sequence at s (within len bytes), 0 if it is none. */
static size_t sequence(const unsigned char *s, size_t len)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) ||
                    (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : n;
}

bool utf8_valid(const char *s, size_t len, size_t *bad_at)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = sequence((const unsigned char *)s + i, len - i);
        if (!n) {
            if (bad_at)
                *bad_at = i;
            return false;
        }
    }
    return true;
}

enum { LARGEST_FILE = 1 << 30 };

static char *read_stream(FILE *f, const char *path, size_t *len, Err *err)
{
    size_t room = 1 << 16, n = 0;
    char *text = xmalloc(room);
    for (size_t got; (got = fread(text + n, 1, room - n - 1, f)) > 0;) {
        n += got;
        if (n > LARGEST_FILE)
            break;
        if (room - n < 2)
            text = xrealloc(text, room *= 2);
    }
    if (ferror(f) || n > LARGEST_FILE) {
        err_set(err, "%s: %s", path, ferror(f) ? strerror(errno)
                                               : "larger than 1 GiB");
        free(text);
        return NULL;
    }
    text[n] = 0;
    *len = n;
    return text;
}

/* What a file is besides a regular one; NULL: it is one. */
static const char *no_file(mode_t mode)
{
    return S_ISREG(mode)    ? NULL
           : S_ISDIR(mode)  ? "this is a folder"
           : S_ISFIFO(mode) ? "this is a pipe, not a file"
                            : "this is a device, not a file";
}

/* O_NONBLOCK: a pipe without a writer would wait for one. */
char *read_file(const char *path, size_t *len, Err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        err_set(err, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    const char *what = no_file(st.st_mode);
    FILE *f = what ? NULL : fdopen(fd, "rb");
    char *text = f ? read_stream(f, path, len, err) : NULL;
    if (!f) {
        err_set(err, "%s: %s", path, what ? what : strerror(errno));
        close(fd);
    } else {
        fclose(f);
    }
    return text;
}
