/* compare_weights A B: holds the weights of two models against each other,
 * each tensor of A by name with B's, and prints by how many units in the last
 * place of A's type they differ at most (f32 where A is quantised). Ends with
 * 1 where a name or a shape differs. */
#include "runtime/runtime.h"
#include <math.h>
#include <string.h>

/* Floats in their order as integers, so that neighbours differ by 1. */
static int64_t place(Dtype t, const void *data, int64_t i)
{
    uint32_t u;
    uint16_t h;
    if (t == TYPE_f32) {
        memcpy(&u, (const uint32_t *)data + i, sizeof u);
        return u >> 31 ? -(int64_t)(u & 0x7fffffff) : (int64_t)u;
    }
    memcpy(&h, (const uint16_t *)data + i, sizeof h);
    return h >> 15 ? -(int64_t)(h & 0x7fff) : (int64_t)h;
}

static bool same_shape(const TensorInfo *a, const TensorInfo *b)
{
    return a->rank == b->rank &&
           !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
}

static int64_t count_of(const TensorInfo *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/* The largest distance between two tensors of one shape, in pieces. */
static int64_t distance(const FileTensor *a, const FileTensor *b)
{
    enum { PIECE = 1 << 16 };
    static float x[PIECE], y[PIECE]; /* room for any of the types */
    Dtype as = a->info.dtype;
    if (as != TYPE_bf16 && as != TYPE_f16)
        as = TYPE_f32;
    int64_t n = count_of(&a->info), most = 0;
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t len = n - at < PIECE ? n - at : PIECE;
        tensor_read(a, at, len, as, x);
        tensor_read(b, at, len, as, y);
        for (int64_t i = 0; i < len; i++) {
            int64_t d = llabs(place(as, x, i) - place(as, y, i));
            most = d > most ? d : most;
        }
    }
    return most;
}

static bool compare(const Checkpoint *a, const Checkpoint *b)
{
    int64_t most = 0;
    int differ = 0;
    bool fine = a->tensors == b->tensors;
    if (!fine)
        printf("%d tensors and %d tensors\n", a->tensors, b->tensors);
    for (int i = 0; i < a->tensors; i++) {
        const FileTensor *x = &a->tensor[i];
        const FileTensor *y = checkpoint_find(b, x->info.name);
        if (!y || !same_shape(&x->info, &y->info)) {
            printf("%s: %s in %s\n", x->info.name,
                   y ? "another shape" : "absent", b->path);
            fine = false;
            continue;
        }
        int64_t d = distance(x, y);
        differ += d > 0;
        most = d > most ? d : most;
    }
    printf("%d tensors, %d differ, by at most %lld ulp\n", a->tensors, differ,
           (long long)most);
    return fine;
}

int main(int argc, char **argv)
{
    Err err;
    if (argc != 3) {
        fputs("Usage: compare_weights A B\n", stderr);
        return 2;
    }
    Checkpoint *a = checkpoint_open(argv[1], &err);
    Checkpoint *b = a ? checkpoint_open(argv[2], &err) : NULL;
    if (!b) {
        fprintf(stderr, "compare_weights: %s\n", err.text);
        checkpoint_close(a);
        return 1;
    }
    bool fine = compare(a, b);
    checkpoint_close(b);
    checkpoint_close(a);
    return !fine;
}
