/* Weights that are parts of a file's tensors: when a model is opened each part
 * becomes a tensor of its own under the weight's name, and what they are parts
 * of goes; when one is written, they are put together again. */
#include "cli/driver/parts.h"
#include <string.h>

/* ---- which part of which tensor ---- */

static int64_t packed_count(const Weight *w)
{
    int64_t n = 1;
    for (int i = w->stacked - w->part->packed; i < w->stacked; i++)
        n *= size_at(w->type.dim[i]->size, 0);
    return n;
}

static void indices(const Weight *w, int64_t index, int64_t *at)
{
    for (int i = w->stacked - 1; i >= 0; i--) {
        int64_t n = size_at(w->type.dim[i]->size, 0);
        at[i] = index % n;
        index /= n;
    }
}

TensorPart part_of(const Weight *w, int64_t index)
{
    const FilePart *p = w->part;
    int64_t at[MAX_RANK], n = packed_count(w);
    indices(w, index, at);
    return (TensorPart){.name = intern(weight_tensor(w, at)), .at = index % n,
                        .matrices = n, .transposed = p->transposed,
                        .first = p->first, .step = p->step,
                        .count = p->count};
}

const char *part_whole(const Weight *w, int64_t index)
{
    Weight whole = *w;
    int64_t at[MAX_RANK];
    indices(w, index, at);
    whole.file = w->part->tensor;
    whole.stacked -= w->part->packed;
    return intern(weight_tensor(&whole, at));
}

/* ---- opening ---- */

typedef struct {
    const char *whole;
    const Weight *w;
    TensorPart part;
} Wanted;

static int by_whole(const void *a, const void *b)
{
    return strcmp(((const Wanted *)a)->whole, ((const Wanted *)b)->whole);
}

static bool marked(const Wanted *w, int64_t rows, int64_t count, bool *seen,
                   Err *err)
{
    for (int64_t i = 0; i < count; i++) {
        bool *row = &seen[w->part.at * rows + w->part.first +
                          i * w->part.step];
        if (*row)
            return err_set(err, "row %lld of tensor %s is read twice, also by "
                                "`%s`",
                           (long long)(w->part.first + i * w->part.step),
                           w->whole, w->w->path);
        *row = true;
    }
    return true;
}

/* The parts of one tensor: n of them, each row in one. */
static bool open_parts(Loaded *l, const Wanted *w, int n, Err *err)
{
    const FileTensor *there = checkpoint_find(l->checkpoint, w->whole);
    int64_t rows = 0, cols, total = 0, read = 0;
    if (!there)
        return err_set(err, "the files have no tensor %s, which `%s` reads",
                       w->whole, w->w->path);
    const FileTensor whole = *there;
    bool *seen = NULL, fine = true;
    for (int i = 0; fine && i < n; i++) {
        FileTensor t;
        if (!tensor_part(&whole, &w[i].part, &t)) {
            fine = err_set(err, "tensor %s has no part %s, which `%s` reads",
                           tensor_text(&whole.info), w[i].part.name,
                           w[i].w->path);
            break;
        }
        tensor_matrix(&whole.info, &w[i].part, &rows, &cols);
        if (!seen) {
            total = rows * w[i].part.matrices;
            seen = xmalloc((size_t)total + 1);
            memset(seen, 0, (size_t)total + 1);
        }
        fine = total == rows * w[i].part.matrices &&
               marked(&w[i], rows, t.info.shape[0], seen, err) &&
               checkpoint_add(l->checkpoint, t, err);
        read += t.info.shape[0];
    }
    if (fine && read < total)
        fine = err_set(err, "%lld of the %lld rows of tensor %s are read by no "
                            "weight of the model",
                       (long long)(total - read), (long long)total, w->whole);
    free(seen);
    list_push(&l->arena, &l->whole, whole.info);
    return fine;
}

static int wanted_of(const Model *m, Wanted **out)
{
    const Weight *const *w;
    int n = model_weights(m, &w), count = 0;
    int64_t room = 0;
    for (int i = 0; i < n; i++)
        if (w[i]->part && !w[i]->value)
            room += weight_stacked(w[i]);
    *out = xmalloc((size_t)(room + 1) * sizeof **out);
    for (int i = 0; i < n; i++)
        for (int64_t j = 0; w[i]->part && !w[i]->value &&
                            j < weight_stacked(w[i]); j++)
            (*out)[count++] = (Wanted){part_whole(w[i], j), w[i],
                                       part_of(w[i], j)};
    qsort(*out, (size_t)count, sizeof **out, by_whole);
    return count;
}

static bool is_no_whole(const FileTensor *t, void *user)
{
    const Loaded *l = user;
    for (int i = 0; i < l->whole.n; i++)
        if (l->whole.at[i].name == t->info.name)
            return false;
    return true;
}

bool parts_open(Loaded *l, Err *err)
{
    Wanted *w;
    int n = wanted_of(l->model, &w), end;
    bool fine = true;
    for (int i = 0; fine && i < n; i = end) {
        for (end = i + 1; end < n && !by_whole(&w[i], &w[end]); end++)
            ;
        fine = open_parts(l, w + i, end - i, err);
    }
    if (n)
        checkpoint_keep(l->checkpoint, is_no_whole, l);
    free(w);
    return fine || err_set(err, "%s: %.900s", l->checkpoint->path, err->text);
}
