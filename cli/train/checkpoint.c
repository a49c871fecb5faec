/* Checkpoints: a head that says what follows, weights and states as they lie in
 * memory, a check of all. Random numbers, order and rate follow from the step,
 * so that nothing else is state. */
#include "cli/train/checkpoint.h"
#include "cli/train/folder.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char magic[8] = "graftCK1";
enum { PIECE = 1 << 22 };

static const char *folder_of(const Stage *s, Arena *a)
{
    return arena_printf(a, "%s/%s", s->run->folder, s->act->name);
}

/* What a checkpoint of this stage begins with. */
static char *head_text(const Stage *s)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        die("out of memory");
    fprintf(f, "graft %s, stage %s\n", CLI_VERSION, s->act->name);
    for (int i = 0; i < s->params.param.n; i++) {
        const Param *q = &s->params.param.at[i];
        if (!q->trained)
            continue;
        fprintf(f, "%s %lld %s", q->weight->path, (long long)q->count,
                q->master ? "f32" : type_info[q->dtype].name);
        for (int j = 0; j < q->states; j++)
            fprintf(f, " %s %lld %s", q->state_name[j],
                    (long long)q->state_count[j],
                    type_info[q->state_dtype].name);
        fputc('\n', f);
    }
    if (fclose(f))
        die("out of memory");
    return text;
}

/* ---- pieces: each written, or read, in the same order ---- */

typedef struct {
    FileStream *out; /* or */
    FILE *in;
    uint64_t hash;
    const char *path;
    Err *err;
} Pass;

static bool damaged(const Pass *p)
{
    return err_set(p->err, "%s: it is damaged; --restart begins anew",
                   p->path);
}

static bool piece(Pass *p, void *data, size_t len)
{
    for (char *at = data; len > 0;) {
        size_t n = len < PIECE ? len : PIECE;
        if (p->out ? !stream_put(p->out, at, n, p->err)
                   : fread(at, 1, n, p->in) != n && !damaged(p))
            return false;
        p->hash = hash_words(p->hash, at, n);
        at += n, len -= n;
    }
    return true;
}

static bool param(Pass *p, Param *q)
{
    Dtype t = q->master ? TYPE_f32 : q->dtype;
    void *w = q->master ? (void *)q->master : q->at;
    if (!piece(p, w, (size_t)type_bytes(t, q->count)))
        return false;
    for (int j = 0; j < q->states; j++)
        if (!piece(p, q->state[j], (size_t)type_bytes(q->state_dtype,
                                                      q->state_count[j])))
            return false;
    for (int64_t i = 0; p->in && q->master && i < q->count; i++)
        type_store(q->dtype, q->at, i, q->master[i]);
    return true;
}

static bool all_params(Pass *p, Stage *s)
{
    for (int i = 0; i < s->params.param.n; i++)
        if (s->params.param.at[i].trained && !param(p, &s->params.param.at[i]))
            return false;
    return true;
}

/* ---- which there are ---- */

/* The steps of the folder's checkpoints, newest first; how many. */
static int known(const char *folder, int64_t *step, int most)
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *d; dir && (d = readdir(dir));) {
        long long at;
        int end = 0;
        if (sscanf(d->d_name, "step-%lld.ckpt%n", &at, &end) != 1 || !end ||
            d->d_name[end] || n == most)
            continue;
        int i = n++;
        for (; i > 0 && step[i - 1] < at; i--)
            step[i] = step[i - 1];
        step[i] = at;
    }
    if (dir)
        closedir(dir);
    return n;
}

static const char *path_of(Arena *a, const char *folder, int64_t step)
{
    return arena_printf(a, "%s/step-%lld.ckpt", folder, (long long)step);
}

enum { KNOWN = 64, KEPT = 2 };

static void drop_old(Arena *a, const char *folder)
{
    int64_t step[KNOWN];
    int n = known(folder, step, KNOWN);
    for (int i = KEPT; i < n; i++)
        unlink(path_of(a, folder, step[i]));
}

/* ---- written and read ---- */

static bool put_all(Pass *p, Stage *s, char *head)
{
    char mark[8];
    int64_t numbers[2] = {s->at, (int64_t)strlen(head)};
    memcpy(mark, magic, 8);
    return piece(p, mark, 8) && piece(p, numbers, sizeof numbers) &&
           piece(p, head, strlen(head)) && all_params(p, s) &&
           stream_put(p->out, &p->hash, sizeof p->hash, p->err);
}

bool checkpoint_write(Stage *s, Err *err)
{
    Arena a = {0};
    const char *folder = folder_of(s, &a);
    Pass p = {.path = path_of(&a, folder, s->at), .err = err};
    char *head = head_text(s);
    p.out = stream_begin(p.path, err);
    bool fine = p.out && put_all(&p, s, head);
    if (p.out && !fine)
        stream_cancel(p.out);
    else if (fine)
        fine = stream_finish(p.out, err);
    if (fine)
        drop_old(&a, folder);
    free(head);
    arena_free(&a);
    return fine;
}

static bool take_head(Pass *p, const char *head, int64_t *step)
{
    char mark[8];
    int64_t numbers[2];
    size_t len = strlen(head);
    if (!piece(p, mark, 8) || !piece(p, numbers, sizeof numbers))
        return false;
    if (memcmp(mark, magic, 8) || numbers[1] != (int64_t)len || numbers[0] < 0)
        return damaged(p);
    char *found = xmalloc(len + 1);
    bool fine = piece(p, found, len) &&
                (!memcmp(found, head, len) || damaged(p));
    free(found);
    *step = numbers[0];
    return fine;
}

static bool take_all(Pass *p, Stage *s, const char *head)
{
    uint64_t check;
    int64_t step = 0;
    if (!take_head(p, head, &step) || !all_params(p, s))
        return false;
    if (fread(&check, 1, 8, p->in) != 8 || check != p->hash ||
        fgetc(p->in) != EOF)
        return damaged(p);
    s->at = step;
    return true;
}

bool checkpoint_read(Stage *s, Err *err)
{
    Arena a = {0};
    int64_t step[KNOWN];
    const char *folder = folder_of(s, &a);
    bool fine = true;
    if (known(folder, step, KNOWN) > 0) {
        Pass p = {.path = path_of(&a, folder, step[0]), .err = err};
        char *head = head_text(s);
        p.in = fopen(p.path, "rb");
        fine = p.in ? take_all(&p, s, head)
                    : err_set(err, "%s: %s", p.path, strerror(errno));
        if (p.in)
            fclose(p.in);
        free(head);
    }
    arena_free(&a);
    return fine;
}

int64_t checkpoint_bytes(const Stage *s)
{
    int64_t bytes = 4096;
    for (int i = 0; i < s->params.param.n; i++) {
        const Param *q = &s->params.param.at[i];
        if (q->trained)
            bytes += update_bytes(q, s->act->option, s->run->exact);
    }
    return bytes;
}
