/* What a kernel's schedule goes by: its shape in words that a user can read,
 * the same in every model that has such a kernel. */
#include "passes/kernels/kernels.h"
#include <string.h>

/* Sizes known at run time only count as 256. */
static int64_t size_about(int n, const Dim *const *d)
{
    int64_t count = 1;
    double size;
    for (int i = 0; i < n; i++)
        count *= size_is_num(d[i]->size, &size) ? (int64_t)size : 256;
    return count;
}

static void add(KernelKey *key, char before, int n, const Dim *const *d)
{
    if (key->n < KEY_PARTS)
        key->part[key->n++] = (KeyPart){before, n, d, size_about(n, d)};
}

static void matmul_key(const Matmul *m, KernelKey *key)
{
    key->x = m->x->type.dtype;
    key->w = m->part[0].w->pack.dtype;
    add(key, 0, m->nk, m->k);
    for (int i = 0; i < m->nparts; i++) {
        const Pack *p = &m->part[i].w->pack;
        for (int j = 0; j < p->parts; j++)
            add(key, j ? '+' : i ? ',' : '>', p->nn, p->n);
    }
}

static void attend_key(const Attend *a, KernelKey *key)
{
    const Type *q = &a->q->type, *k = &a->k->type;
    key->x = q->dtype;
    key->w = k->dtype;
    add(key, 0, 1, &q->dim[2]);
    add(key, '>', 1, &q->dim[1]);
    add(key, ',', 1, &k->dim[1]);
}

static bool is_row(const Map *k, const Dim *d)
{
    for (int i = 0; i < k->nrow; i++)
        if (k->row[i] == d && d != k->vec)
            return true;
    return false;
}

int64_t map_row(const Kernel *k)
{
    int64_t most = 1;
    for (int i = 0; i < k->nin + k->nout; i++) {
        const Type *t = &(i < k->nin ? k->in[i] : k->out[i - k->nin])->type;
        int64_t n = 1;
        for (int j = 0; j < t->rank; j++)
            n *= is_row(&k->map, t->dim[j]) ? 1 : size_about(1, &t->dim[j]);
        most = n > most ? n : most;
    }
    return most;
}

bool kernel_key(const Kernel *k, KernelKey *key)
{
    *key = (KernelKey){.skeleton = k->skeleton};
    switch (k->skeleton) {
    case SKEL_matmul:
    case SKEL_grouped: matmul_key(&k->matmul, key); return true;
    case SKEL_attend: attend_key(&k->attend, key); return true;
    case SKEL_map: key->part[key->n++] = (KeyPart){.size = map_row(k)};
        return true;
    default: return false;
    }
}

void kernel_key_print(const KernelKey *key, FILE *out)
{
    fputs(skeleton_name[key->skeleton], out);
    if (key->skeleton != SKEL_map)
        fprintf(out, " %s %s", type_info[key->x].name, type_info[key->w].name);
    fputs(" [", out);
    for (int i = 0; i < key->n; i++) {
        const KeyPart *p = &key->part[i];
        fputs(p->before == '>'   ? " -> "
              : p->before == '+' ? " + "
              : p->before == ',' ? ", "
                                 : "",
              out);
        fprintf(out, "%lld", (long long)p->size);
    }
    fputc(']', out);
}
