/* The kernels level as text: each kernel, what it reads and stores, the trees
 * it computes, its schedule. */
#include "passes/passes.h"
#include <string.h>

const char *const skeleton_name[] = {
    "map", "matmul", "grouped", "route", "attend", "scatter", "call", "repeat"};

static void print_dims(int n, const Dim *const *d, FILE *out)
{
    fputc('[', out);
    for (int i = 0; i < n; i++)
        fprintf(out, "%s%s", i ? ", " : "", d[i]->name);
    fputc(']', out);
}

static void print_name(const Node *n, FILE *out)
{
    if (n->op == OP_input)
        fprintf(out, "%s", n->name);
    else if (n->op == OP_weight && n->slot)
        fprintf(out, "$%d", n->slot);
    else if (n->weight)
        fprintf(out, "%s", n->weight->path);
    else if (n->label)
        fprintf(out, "%s%%%d", n->label, n->id);
    else
        fprintf(out, "%%%d", n->id);
}

static void print_tree(const Kernel *k, const Node *n, bool root, FILE *out)
{
    if (!root || k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped) {
        if (kernel_hole(k, n)) {
            fputc('#', out);
            print_name(n, out);
            return;
        }
    }
    if (kernel_leaf(k, n)) {
        print_name(n, out);
        return;
    }
    if (n->op == OP_number) {
        fprintf(out, "%g", n->num);
        return;
    }
    if (n->op == OP_scalar) {
        fprintf(out, "%s", size_text(n->size));
        return;
    }
    fprintf(out, "%s(", op_info[n->op].name);
    for (int i = 0; i < op_info[n->op].nargs; i++) {
        if (i)
            fputs(", ", out);
        print_tree(k, n->arg[i], false, out);
    }
    for (int i = 0; i < n->ndim; i++)
        fprintf(out, "%s%s", i || op_info[n->op].nargs ? ", " : "",
                n->dim[i]->name);
    fputc(')', out);
}

static void print_out(const Kernel *k, const Buffer *b, FILE *out)
{
    fputs("    ", out);
    if (!b->node) {
        fputs("pos\n", out);
        return;
    }
    print_name(b->node, out);
    fprintf(out, ": %s", b->kind == BUF_route ? "offsets and order"
                                              : type_text(&b->type));
    if (k->skeleton == SKEL_map || k->skeleton == SKEL_matmul ||
        k->skeleton == SKEL_grouped || k->skeleton == SKEL_scatter) {
        fputs(" = ", out);
        print_tree(k, b->node, true, out);
    }
    fputc('\n', out);
}

static void print_pack(const Pack *p, FILE *out)
{
    fputs("    weights ", out);
    for (int i = 0; i < p->parts; i++) {
        fputs(i ? " | " : "", out);
        print_name(p->part[i], out);
    }
    fprintf(out, " as %s ", type_info[p->dtype].name);
    print_dims(p->nb, p->b, out);
    print_dims(p->nn, p->n, out);
    fprintf(out, p->halves ? "/%d+%d" : "/%d",
            p->halves ? p->cols / 2 : p->cols, p->cols / 2);
    print_dims(p->nk, p->k, out);
    if (p->pair > 1)
        fprintf(out, "/%d", p->pair);
    fputc('\n', out);
}

static void print_matmul(const Kernel *k, FILE *out)
{
    const Matmul *m = &k->matmul;
    fputs(" rows ", out);
    print_dims(m->nm, m->m, out);
    fputs(" of ", out);
    print_tree(k, m->x, false, out);
    fputs(" over ", out);
    print_dims(m->nk, m->k, out);
    if (m->index) {
        fprintf(out, " by %s ", m->expert->name);
        print_name(m->index->node, out);
    }
    fputc('\n', out);
    for (int i = 0; i < m->nparts; i++)
        print_pack(&m->part[i].w->pack, out);
}

static void print_map(const Kernel *k, FILE *out)
{
    fputs(" rows ", out);
    print_dims(k->map.nrow, k->map.row, out);
    if (k->map.vec)
        fprintf(out, " lanes %s", k->map.vec->name);
    fputc('\n', out);
}

static void print_kernel(const Kernel *k, FILE *out)
{
    fprintf(out, "  %s = %s", k->name, skeleton_name[k->skeleton]);
    if (k->skeleton == SKEL_map)
        print_map(k, out);
    else if (k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped)
        print_matmul(k, out);
    else if (k->skeleton == SKEL_repeat)
        fprintf(out, " of %d bodies\n", k->repeat.n);
    else
        fputc('\n', out);
    for (int i = 0; i < k->nout; i++)
        print_out(k, k->out[i], out);
    Schedule none = {0};
    KernelKey key;
    if (memcmp(&k->schedule, &none, sizeof none) && kernel_key(k, &key)) {
        fputs("    schedule ", out);
        kernel_key_print(&key, out);
        fputc(' ', out);
        schedule_print(&k->schedule, out);
        fputc('\n', out);
    }
}

void kernels_print(const Plan *p, FILE *out)
{
    for (int i = 0; i < p->body.n; i++)
        kernels_print(p->body.at[i], out);
    fprintf(out, "kernels of %s {\n", p->name);
    for (int i = 0; i < p->kernel.n; i++)
        print_kernel(p->kernel.at[i], out);
    fputs("}\n", out);
}
