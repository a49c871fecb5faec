/* Parts of tensors as tensors: rows of a matrix, one of several, turned. */
#include "runtime/files/files_private.h"
#include <string.h>

bool tensor_matrix(const TensorInfo *t, const TensorPart *p, int64_t *rows,
                   int64_t *cols)
{
    int64_t n = 1, count = p->matrices;
    int at = 0;
    while (at < t->rank && n < count)
        n *= t->shape[at++];
    if (n != count || at == t->rank)
        return false;
    if (p->transposed && at + 2 != t->rank)
        return false;
    *rows = t->shape[at];
    *cols = 1;
    for (int i = at + 1; i < t->rank; i++)
        *cols *= t->shape[i];
    if (p->transposed) {
        int64_t r = *rows;
        *rows = *cols;
        *cols = r;
    }
    return true;
}

/* As few dims as hold it: those of the tensor behind its rows. */
static void part_shape(const FileTensor *t, const TensorPart *p, int64_t count,
                       int64_t cols, TensorInfo *out)
{
    int64_t n = 1;
    int at = 0;
    while (at < t->info.rank && n < p->matrices)
        n *= t->info.shape[at++];
    int rank = t->info.rank - at;
    out->rank = rank;
    memcpy(out->shape, t->info.shape + at, (size_t)rank * sizeof *out->shape);
    out->shape[0] = count;
    if (p->transposed)
        out->shape[1] = cols;
}

bool tensor_part(const FileTensor *t, const TensorPart *p, FileTensor *out)
{
    const TypeInfo *type = &type_info[t->info.dtype];
    int64_t rows, cols;
    if (t->rows != ROWS_plain || !tensor_matrix(&t->info, p, &rows, &cols))
        return false;
    int64_t count = p->count ? p->count : rows;
    if (p->first < 0 || p->first >= rows || count < 1 || p->step < 0 ||
        (p->step && count - 1 > (rows - 1 - p->first) / p->step) || p->at < 0 ||
        p->at >= p->matrices)
        return false;
    if (type->block_len > 1 && (p->transposed || cols % type->block_len))
        return false;
    int64_t from = p->at * rows * cols + p->first * (p->transposed ? 1 : cols);
    *out = *t;
    out->file_name = t->info.name;
    out->info.name = p->name;
    part_shape(t, p, count, cols, &out->info);
    out->info.bytes = type_bytes(t->info.dtype, count * cols);
    int64_t begin = t->made ? from : type_bytes(t->info.dtype, from);
    out->info.data = t->made ? NULL : (const char *)t->info.data + begin;
    out->offset = t->offset + begin;
    if (p->transposed || p->step != 1) {
        out->rows = ROWS_strided;
        out->row_step = p->transposed ? p->step : p->step * cols;
        out->col_step = p->transposed ? rows : 1;
    }
    return true;
}

void checkpoint_keep(Checkpoint *c,
                     bool (*keep)(const FileTensor *t, void *user),
                     void *user)
{
    int n = c->tensors;
    FileTensor *old = c->tensor;
    Err err;
    c->tensor = NULL;
    c->tensors = 0;
    names_free(c->index);
    for (int i = 0; i < n; i++)
        if (keep(&old[i], user) && !checkpoint_add(c, old[i], &err))
            BUG("%s", err.text);
    free(old);
}
