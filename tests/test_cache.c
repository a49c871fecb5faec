/* The cache of compiled code: kept and found, damaged, cut, crowded, written by
 * many at once; programs that come out of it. */
#include "codegen/jit/cache.h"
#include "tests/layer_kit.h"
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[64];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/graft-cache-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int each_file(void (*what)(const char *path))
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (what)
            what(path);
        n++;
    }
    if (d)
        closedir(d);
    return n;
}

static void drop(const char *path)
{
    unlink(path);
}

static int teardown(void **state)
{
    (void)state;
    each_file(drop);
    return rmdir(folder);
}

static CacheKey key_of(int n)
{
    return cache_mix(cache_key(), &n, sizeof n);
}

static void assert_found(int n, const char *text)
{
    size_t len = 0;
    char *data = cache_find(folder, key_of(n), &len);
    if (!text) {
        assert_null(data);
        return;
    }
    assert_non_null(data);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(data, text, len);
    free(data);
}

static void keep(int n, const char *text)
{
    cache_keep(folder, key_of(n), text, strlen(text), 1 << 20);
}

static void kept_is_found(void **state)
{
    (void)state;
    assert_found(1, NULL);
    keep(1, "one");
    keep(2, "two");
    keep(3, "");
    assert_found(1, "one");
    assert_found(2, "two");
    assert_found(3, "");
    keep(1, "another one");
    assert_found(1, "another one");
    assert_int_equal(each_file(NULL), 3);
}

static void cut(const char *path)
{
    struct stat s;
    if (!stat(path, &s))
        assert_int_equal(truncate(path, s.st_size - 1), 0);
}

static void flip_last(const char *path)
{
    FILE *f = fopen(path, "r+");
    fseek(f, -1, SEEK_END);
    int c = fgetc(f);
    fseek(f, -1, SEEK_END);
    fputc(c ^ 4, f);
    fclose(f);
}

static void flip_head(const char *path)
{
    FILE *f = fopen(path, "r+");
    fseek(f, 9, SEEK_SET);
    fputc(77, f);
    fclose(f);
}

static void empty(const char *path)
{
    assert_int_equal(truncate(path, 0), 0);
}

static void damaged_is_not_believed(void **state)
{
    (void)state;
    void (*const harm[])(const char *) = {cut, flip_last, flip_head, empty};
    for (size_t i = 0; i < COUNT(harm); i++) {
        keep(1, "something");
        assert_found(1, "something");
        each_file(harm[i]);
        assert_found(1, NULL);
        keep(1, "something");
        assert_found(1, "something");
    }
}

static size_t file_size(const char *path)
{
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    return (size_t)s.st_size;
}

static void write_file(const char *path, const char *data, size_t len)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* The one entry with each byte changed, cut at each length, with more behind.
 */
static void harm_everywhere(const char *path)
{
    size_t len;
    Err err;
    char *whole = read_file(path, &len, &err);
    assert_non_null(whole);
    assert_int_equal(len, file_size(path));
    for (size_t i = 0; i < len; i++)
        for (int bit = 1; bit < 256; bit *= 16) {
            whole[i] ^= (char)bit;
            write_file(path, whole, len);
            assert_found(1, NULL);
            whole[i] ^= (char)bit;
        }
    for (size_t i = 0; i < len; i++) {
        write_file(path, whole, i);
        assert_found(1, NULL);
    }
    write_file(path, whole, len + 1); /* its text ends with a 0 */
    assert_found(1, NULL);
    write_file(path, whole, len);
    free(whole);
}

static void every_byte_counts(void **state)
{
    (void)state;
    keep(1, "an object file, say, with all that belongs to it");
    each_file(harm_everywhere);
    assert_found(1, "an object file, say, with all that belongs to it");
}

static void entry_of(int n, char path[512])
{
    CacheKey k = key_of(n);
    int at = snprintf(path, 512, "%s/", folder);
    for (size_t i = 0; i < sizeof k.at; i++)
        at += snprintf(path + at, 512 - (size_t)at, "%02x", k.at[i]);
    snprintf(path + at, 512 - (size_t)at, ".o");
}

/* A file that is another's, by name. */
static void foreign_entry(void **state)
{
    (void)state;
    keep(1, "one");
    keep(2, "two");
    char from[512], to[512];
    entry_of(1, from);
    entry_of(2, to);
    assert_int_equal(rename(from, to), 0);
    assert_found(2, NULL);
}

/* It is code: what others may write to, or is no file, is not run. */
static void only_ours(void **state)
{
    (void)state;
    char path[512], aside[600];
    keep(1, "one");
    entry_of(1, path);
    assert_int_equal(chmod(path, 0666), 0);
    assert_found(1, NULL);
    assert_int_equal(chmod(path, 0600), 0);
    assert_found(1, "one");
    snprintf(aside, sizeof aside, "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink(aside, path), 0);
    assert_found(1, NULL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_found(1, NULL); /* nor does it wait */
    assert_int_equal(rename(aside, path), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_found(1, NULL);
    assert_found(1, "one"); /* the folder was closed */
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, -1u), 0);
        assert_found(1, NULL);
    }
}

/* "abc", and 112 bytes (FIPS 180-4's own examples): known hashes. */
static void known_hashes(void **state)
{
    (void)state;
    const struct {
        const char *text, *hash;
    } known[] = {
        {"", "e3b0c442"},
        {"abc", "ba7816bf"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
         "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
         "cf5b16a7"}};
    for (size_t i = 0; i < COUNT(known); i++) {
        unsigned char h[32];
        char text[9];
        sha256(known[i].text, strlen(known[i].text), h);
        snprintf(text, sizeof text, "%02x%02x%02x%02x", h[0], h[1], h[2],
                 h[3]);
        assert_string_equal(text, known[i].hash);
    }
}

/* Equal bytes, equal hash; the length counts. */
static void keyed_hash(void **state)
{
    (void)state;
    const uint64_t key[2] = {UINT64_C(0x0706050403020100),
                             UINT64_C(0x0f0e0d0c0b0a0908)};
    const unsigned char bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_int_not_equal(hash_keyed(key, bytes, 9), hash_keyed(key, bytes, 10));
    assert_int_not_equal(hash_keyed(key, bytes, 8), hash_keyed(key, bytes, 7));
    assert_true(hash_of_name("abc", 3) == hash_of_name("abc", 3));
}

static void the_oldest_go(void **state)
{
    (void)state;
    char big[1000];
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 20; i++) {
        cache_keep(folder, key_of(i), big, sizeof big, 6000);
        usleep(5000);
        size_t len;
        free(cache_find(folder, key_of(0), &len)); /* used all the time */
    }
    assert_in_range(each_file(NULL), 4, 6);
    size_t len = 0;
    void *first = cache_find(folder, key_of(0), &len);
    assert_non_null(first);
    free(first);
    assert_found(5, NULL);
}

static void many_at_once(void **state)
{
    (void)state;
    for (int p = 0; p < 4; p++)
        if (fork() == 0) {
            for (int i = 0; i < 50; i++) {
                keep(i % 5, "the same from all");
                size_t len;
                char *data = cache_find(folder, key_of(i % 5), &len);
                if (!data || len != 17)
                    _exit(1);
                free(data);
            }
            _exit(0);
        }
    for (int p = 0; p < 4; p++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(each_file(NULL), 5);
}

/* ---- runs that are killed, and runs side by side ---- */

enum { BIG = 100000, ROOM = 5 * BIG };

/* Entry n is BIG bytes that say n. */
static void keep_big(int n)
{
    static char big[BIG];
    memset(big, n, sizeof big);
    cache_keep(folder, key_of(n), big, sizeof big, ROOM);
}

static bool whole_or_absent(int n)
{
    size_t len;
    char *data = cache_find(folder, key_of(n), &len);
    bool good = !data || len == BIG;
    for (size_t i = 0; data && good && i < len; i++)
        good = data[i] == (char)n;
    free(data);
    return good;
}

static int64_t folder_bytes;
static void add_size(const char *path)
{
    folder_bytes += (int64_t)file_size(path);
}

/* Whatever was left half-written goes too, as the oldest. */
static void assert_bounded(void)
{
    keep_big(1);
    folder_bytes = 0;
    each_file(add_size);
    assert_in_range(folder_bytes, BIG, ROOM);
}

static void killed_while_writing(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        pid_t child = fork();
        if (child == 0)
            for (int i = 0;; i++)
                keep_big(i % 9);
        usleep((useconds_t)(200 + round * 50));
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        for (int n = 0; n < 9; n++)
            assert_true(whole_or_absent(n));
    }
    assert_bounded();
}

static void crowded_by_many(void **state)
{
    (void)state;
    for (int p = 0; p < 4; p++)
        if (fork() == 0) {
            for (int i = 0; i < 100; i++) {
                keep_big((i * 5 + p) % 9);
                if (!whole_or_absent(i % 9))
                    _exit(1);
            }
            _exit(0);
        }
    for (int p = 0; p < 4; p++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_bounded();
}

static void no_folder(void **state)
{
    (void)state;
    size_t len;
    assert_null(cache_find("/nowhere/at/all", key_of(1), &len));
    cache_keep("/nowhere/at/all", key_of(1), "x", 1, 100);
    cache_keep("/dev/null", key_of(1), "x", 1, 100);
}

/* ---- programs ---- */

static void programs_from_cache(void **state)
{
    (void)state;
    Ctx c = begin(48, TYPE_f32);
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    graph_output(c.g, "y", swiglu(&c, norm(&c, x, "norm"), dim("F", 50)));
    CpuOptions o = {.threads = 1, .cache = folder};
    Bench *run[3];
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            each_file(flip_last);
        run[i] = bench_new(c.k, &o, false);
        assert_int_equal(program_cost(run[i]->p).cached, i == 1);
        bench_run(run[i], NULL, 7, false);
        same_bits(run[0], run[i], 7);
    }
    near_interp(run[1], 7, 1e-5);
    CpuOptions none = {.threads = 1, .cache = ""};
    Bench *b = bench_new(c.k, &none, false);
    assert_false(program_cost(b->p).cached);
    bench_free(b);
    for (int i = 0; i < 3; i++)
        bench_free(run[i]);
    kit_free(c.k);
}

static uint64_t run_once(Ctx *c)
{
    CpuOptions o = {.threads = 1, .cache = folder};
    Bench *b = bench_new(c->k, &o, false);
    bench_run(b, NULL, 7, false);
    int64_t n = program_output_count(b->p, "y", 7);
    uint64_t sum = hash_bytes(0, b->result[0].data, (size_t)n * 4);
    bench_free(b);
    return sum;
}

/* Several at once over one empty folder, one of them killed half-way. */
static void programs_side_by_side(void **state)
{
    (void)state;
    Ctx c = begin(48, TYPE_f32);
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    graph_output(c.g, "y", swiglu(&c, norm(&c, x, "norm"), dim("F", 50)));
    int from[2];
    assert_int_equal(pipe(from), 0);
    pid_t child[4];
    for (int i = 0; i < 4; i++)
        if ((child[i] = fork()) == 0) {
            uint64_t sum = run_once(&c);
            _exit(write(from[1], &sum, sizeof sum) != sizeof sum);
        }
    usleep(30000);
    kill(child[3], SIGKILL);
    for (int i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(i == 3 || status == 0);
    }
    uint64_t want = run_once(&c), sum;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read(from[0], &sum, sizeof sum), sizeof sum);
        assert_true(sum == want);
    }
    close(from[0]);
    close(from[1]);
    kit_free(c.k);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(kept_is_found),  CASE(damaged_is_not_believed),
        CASE(foreign_entry),  CASE(the_oldest_go), CASE(only_ours),
        CASE(known_hashes), CASE(keyed_hash),
        CASE(every_byte_counts),
        CASE(killed_while_writing), CASE(crowded_by_many),
        CASE(programs_side_by_side), /* forks: before LLVM has threads */
        CASE(many_at_once),   CASE(no_folder),
        CASE(programs_from_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
