/* Tensors of a new model that are parts of one: which there are then, and their
 * bytes, collected until the last is there. */
#include "cli/driver/apply.h"
#include "cli/driver/parts.h"
#include <string.h>

typedef struct {
    const char *whole;
    int tensor; /* of the plan */
    const Weight *w;
    Planned *planned;
    TensorPart part;
} Piece;

static int by_whole(const void *pa, const void *pb)
{
    const Piece *a = pa, *b = pb;
    int c = strcmp(a->whole, b->whole);
    return c ? c : a->tensor - b->tensor;
}

static int pieces_of(FilePlan *p, Piece **out)
{
    int n = 0;
    *out = xmalloc((size_t)(p->tensor.n + 1) * sizeof **out);
    for (int i = 0; i < p->weight.n; i++) {
        Planned *w = &p->weight.at[i];
        for (int k = 0; w->weight->part && k < w->count; k++)
            (*out)[n++] = (Piece){part_whole(w->weight, k), w->first + k,
                                  w->weight, w, part_of(w->weight, k)};
    }
    qsort(*out, (size_t)n, sizeof **out, by_whole);
    return n;
}

/* ---- the shape of what is put together ---- */

static int64_t row_count(const TensorPart *p, const TensorInfo *t)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < t->rank; i++)
        n *= t->shape[i];
    return p->count ? p->count : t->rank > 1 ? n : t->shape[0];
}

static int64_t element_count(const TensorInfo *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/* As the source has it, where all parts fit that. */
static bool as_in_source(const FilePlan *p, const Sources *s, const Piece *at,
                         int n, TensorInfo *out)
{
    const Loaded *l = &s->at[0];
    int64_t rows, cols, sum = 0;
    for (int i = 0; i < l->whole.n; i++) {
        if (strcmp(l->whole.at[i].name, at->whole))
            continue;
        *out = l->whole.at[i];
        for (int j = 0; j < n; j++) {
            const TensorInfo *t = &p->tensor.at[at[j].tensor];
            if (!tensor_matrix(out, &at[j].part, &rows, &cols) ||
                (at[j].part.count && element_count(t) !=
                                         at[j].part.count * cols))
                return false;
            sum += element_count(t);
        }
        return sum == element_count(out);
    }
    return false;
}

static void shape_of(const FilePlan *p, const Sources *s, const Piece *at,
                     int n, TensorInfo *out)
{
    if (as_in_source(p, s, at, n, out))
        return;
    int64_t rows = 0, cols = 1;
    bool matrix = false;
    for (int i = 0; i < n; i++) {
        const TensorInfo *t = &p->tensor.at[at[i].tensor];
        const TensorPart *part = &at[i].part;
        int64_t count = row_count(part, t);
        int64_t end = part->first + (count - 1) * part->step + 1;
        rows = end > rows ? end : rows;
        cols = element_count(t) / count;
        matrix |= t->rank > 1;
    }
    *out = (TensorInfo){0};
    for (int i = at->w->stacked - at->w->part->packed; i < at->w->stacked; i++)
        out->shape[out->rank++] = size_at(at->w->type.dim[i]->size, 0);
    bool turned = at->part.transposed;
    out->shape[out->rank++] = turned ? cols : rows;
    if (matrix)
        out->shape[out->rank++] = turned ? rows : cols;
}

static TensorInfo whole_of(FilePlan *p, const Sources *s, const Piece *at,
                           int n)
{
    TensorInfo t;
    Dtype dtype = at->planned->dtype; /* one for all parts */
    for (int i = 0; i < n; i++) {
        TensorInfo *part = &p->tensor.at[at[i].tensor];
        p->bytes -= part->bytes;
        at[i].planned->dtype = part->dtype = dtype;
        part->bytes = type_bytes(dtype, element_count(part));
        p->bytes += part->bytes;
    }
    shape_of(p, s, at, n, &t);
    t.name = at->whole;
    t.dtype = dtype;
    t.bytes = type_bytes(dtype, element_count(&t));
    return t;
}

/* ---- the plan ---- */

void file_plan_join(FilePlan *p, Arena *a, const Sources *s)
{
    Piece *piece;
    int n = pieces_of(p, &piece), end;
    size_t count = (size_t)p->tensor.n + 1;
    p->part = arena_alloc(a, count * sizeof *p->part);
    p->held = arena_alloc(a, count * sizeof *p->held);
    TensorInfo *whole = xmalloc(count * sizeof *whole); /* by last part */
    for (int k = 0; k < p->tensor.n; k++)
        p->part[k].whole = -1;
    for (int i = 0; i < n; i = end) {
        for (end = i + 1; end < n && piece[end].whole == piece[i].whole; end++)
            ;
        int last = piece[end - 1].tensor;
        whole[last] = whole_of(p, s, piece + i, end - i);
        for (int j = i; j < end; j++)
            p->part[piece[j].tensor] = (struct PlannedPart){
                piece[j].part, last, j == end - 1};
    }
    for (int k = 0; k < p->tensor.n; k++)
        if (p->part[k].whole < 0)
            list_push(a, &p->whole, p->tensor.at[k]);
        else if (p->part[k].last)
            list_push(a, &p->whole, whole[k]);
    /* from the last part's number to the place among those written */
    int *place = xmalloc(count * sizeof *place), at = 0;
    for (int k = 0; k < p->tensor.n; k++)
        place[k] = p->part[k].whole < 0 || p->part[k].last ? at++ : -1;
    for (int k = 0; k < p->tensor.n; k++)
        if (p->part[k].whole >= 0)
            p->part[k].whole = place[p->part[k].whole];
    free(place);
    free(whole);
    free(piece);
}

/* ---- the bytes ---- */

static void put_rows(const TensorInfo *whole, const TensorInfo *t,
                     const TensorPart *p, const char *data, char *to)
{
    int64_t rows, cols, each = type_bytes(t->dtype, 1);
    tensor_matrix(whole, p, &rows, &cols);
    int64_t count = p->count ? p->count : rows;
    to += each * p->at * rows * cols;
    for (int64_t r = 0; r < count; r++) {
        int64_t row = p->first + r * p->step;
        if (!p->transposed)
            memcpy(to + each * row * cols, data + each * r * cols,
                   (size_t)(each * cols));
        for (int64_t c = 0; p->transposed && c < cols; c++)
            memcpy(to + each * (c * rows + row), data + each * (r * cols + c),
                   (size_t)each);
    }
}

bool file_plan_put(const FilePlan *p, Writer *w, int k, const void *data,
                   Err *err)
{
    const struct PlannedPart *part = &p->part[k];
    const TensorInfo *t = &p->tensor.at[k];
    if (part->whole < 0)
        return writer_put(w, data, t->bytes, err);
    const TensorInfo *whole = &p->whole.at[part->whole];
    char **held = &p->held[part->whole];
    if (!*held) {
        *held = xmalloc((size_t)whole->bytes + 1);
        memset(*held, 0, (size_t)whole->bytes + 1);
    }
    put_rows(whole, t, &part->part, data, *held);
    if (!part->last)
        return true;
    bool fine = writer_put(w, *held, whole->bytes, err);
    free(*held);
    *held = NULL;
    return fine;
}

void file_plan_free(FilePlan *p)
{
    for (int i = 0; p->held && i < p->whole.n; i++)
        free(p->held[i]);
}
