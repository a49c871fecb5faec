/* What tests/files_util.h promises. */
#define _GNU_SOURCE
#include "tests/files_util.h"
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char *root;
static Arena names;

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static pid_t owner; /* a child of the program leaves the folder alone */

static void remove_root(void)
{
    if (getpid() == owner)
        nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_free(&names);
}

const char *temp(const char *fmt, ...)
{
    char name[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    if (!root) {
        const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
        root = mkdtemp(arena_printf(&names, "%s/graft-XXXXXX", base));
        assert_non_null(root);
        owner = getpid();
        atexit(remove_root);
    }
    return arena_printf(&names, "%s/%s", root, name);
}

void make_dir(const char *path)
{
    assert_true(!mkdir(path, 0777) || errno == EEXIST);
}

bool exists(const char *path)
{
    struct stat st;
    return !lstat(path, &st);
}

int files_in(const char *path)
{
    int n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(dir);
    return n;
}

void put_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

void put_text(const char *path, const char *text)
{
    put_file(path, text, strlen(text));
}

const char *shared(const char *name)
{
    const char *data = getenv("GRAFT_DATA");
    const char *path = arena_printf(&names, "%s/%s", data ? data : SHARED_DATA,
                                    name);
    if (exists(path))
        return path;
    printf("# skipped: %s is not there\n", path);
    return NULL;
}

void put_safetensors(const char *path, const char *header, size_t data)
{
    uint64_t len = strlen(header);
    size_t all = 8 + len + data;
    char *file = xmalloc(all);
    memcpy(file, &len, 8);
    memcpy(file + 8, header, len);
    for (size_t i = 0; i < data; i++)
        file[8 + len + i] = (char)i;
    put_file(path, file, all);
    free(file);
}

const char *model_folder(const char *config, const char *header, size_t data)
{
    static int number;
    const char *path = temp("model%d", number++);
    make_dir(path);
    put_text(arena_printf(&names, "%s/config.json", path),
             config ? config : SMALL_CONFIG);
    if (header)
        put_safetensors(arena_printf(&names, "%s/model.safetensors", path),
                        header, data);
    return path;
}

void says(const Err *err, const char *words)
{
    char part[256];
    assert_null(strchr(err->text, '\n'));
    for (const char *w = words; *w;) {
        size_t n = strcspn(w, "|");
        snprintf(part, sizeof part, "%.*s", (int)n, w);
        if (!strstr(err->text, part))
            fail_msg("\"%s\" is not in: %s", part, err->text);
        w += n + (w[n] == '|');
    }
}

void open_fails(const char *path, const char *words)
{
    Err err = {""};
    Checkpoint *c = checkpoint_open(path, &err);
    if (c)
        checkpoint_close(c);
    assert_null(c);
    says(&err, words);
}

Checkpoint *open_good(const char *path)
{
    Err err = {""};
    Checkpoint *c = checkpoint_open(path, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

float *values(const Checkpoint *c, const char *name, int64_t *count)
{
    const FileTensor *t = checkpoint_find(c, name);
    if (!t)
        fail_msg("%s has no tensor %s", c->path, name);
    *count = 1;
    for (int i = 0; i < t->info.rank; i++)
        *count *= t->info.shape[i];
    float *out = xmalloc((size_t)*count * sizeof *out);
    tensor_read_all(t, TYPE_f32, out);
    return out;
}

/* ---- GGUF by hand ---- */

static void gg_raw(Gguf_bytes *g, const void *data, size_t len)
{
    assert_true(g->n + len <= sizeof g->at);
    memcpy(g->at + g->n, data, len);
    g->n += len;
}

void gg_u32(Gguf_bytes *g, uint32_t v)
{
    gg_raw(g, &v, 4);
}

void gg_u64(Gguf_bytes *g, uint64_t v)
{
    gg_raw(g, &v, 8);
}

void gg_str(Gguf_bytes *g, const char *s)
{
    gg_u64(g, strlen(s));
    gg_raw(g, s, strlen(s));
}

void gg_start(Gguf_bytes *g, uint64_t tensors, uint64_t keys)
{
    g->n = 0;
    gg_raw(g, "GGUF\3\0\0", 8);
    gg_u64(g, tensors);
    gg_u64(g, keys);
}

void gg_key_u32(Gguf_bytes *g, const char *key, uint32_t v)
{
    gg_str(g, key);
    gg_u32(g, 4);
    gg_u32(g, v);
}

void gg_key_f32(Gguf_bytes *g, const char *key, float v)
{
    gg_str(g, key);
    gg_u32(g, 6);
    gg_raw(g, &v, 4);
}

void gg_key_str(Gguf_bytes *g, const char *key, const char *v)
{
    gg_str(g, key);
    gg_u32(g, 8);
    gg_str(g, v);
}

void gg_tensor(Gguf_bytes *g, const char *name, uint64_t d0, uint64_t d1,
               uint64_t d2, uint32_t type, uint64_t offset)
{
    gg_str(g, name);
    gg_u32(g, d2 ? 3 : d1 ? 2 : 1);
    gg_u64(g, d0);
    if (d1)
        gg_u64(g, d1);
    if (d2)
        gg_u64(g, d2);
    gg_u32(g, type);
    gg_u64(g, offset);
}

void gg_floats(Gguf_bytes *g, int count)
{
    while (g->n % 32)
        gg_raw(g, "", 1);
    for (int i = 0; i < count; i++) {
        float f = (float)i;
        gg_raw(g, &f, 4);
    }
}

const char *gg_put(const Gguf_bytes *g)
{
    static int number;
    const char *path = temp("file%d.gguf", number++);
    put_file(path, g->at, g->n);
    return path;
}

void gg_llama(Gguf_bytes *g, const char *arch)
{
#define K(name) intern_printf("%s." name, arch)
    gg_key_str(g, "general.architecture", arch);
    gg_key_u32(g, K("block_count"), 1);
    gg_key_u32(g, K("embedding_length"), 8);
    gg_key_u32(g, K("feed_forward_length"), 16);
    gg_key_u32(g, K("attention.head_count"), 2);
    gg_key_u32(g, K("attention.head_count_kv"), 1);
    gg_key_u32(g, K("context_length"), 64);
    gg_key_f32(g, K("attention.layer_norm_rms_epsilon"), 1e-5f);
}

void gg_tensors(Gguf_bytes *g, const GgShape *s, int n)
{
    uint64_t at = 0;
    for (int i = 0; i < n; i++) {
        gg_tensor(g, s[i].name, s[i].d0, s[i].d1, s[i].d2, 0, at);
        uint64_t count = s[i].d0 * (s[i].d1 ? s[i].d1 : 1) *
                         (s[i].d2 ? s[i].d2 : 1);
        at += (count * 4 + 31) / 32 * 32;
    }
    gg_floats(g, (int)(at / 4));
}
