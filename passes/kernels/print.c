/* The kernels level as text: the graph, then for each plan its kernels by
 * level: what each computes, as trees, and its schedule.
 *
 *     kernels of body block {
 *       level 0
 *       gr_map_mul_4 = map rows [T]
 *         %10: f32[T, D] = mul(mul(x, rsqrt(...)), norm1.scale)
 *         schedule map [48] { grain 85 }
 *       level 1
 *       gr_matmul_h_5 = matmul rows [T] of %10 over [D]
 *         weights gate | up for <%12> | <%14> as bf16 [][F]/16[D]/2
 *         h: bf16[T, F] = mul(silu(<%12>), <%14>)
 *     }
 *
 * Nodes and dims have the names that the graph's text gives them. A tree ends
 * in nodes that the kernel reads, numbers, and products of its matmul (<%12>);
 * what it uses twice has a line of its own (let), as have a matmul's rows that
 * it computes as it loads them. So trees say what is read. A pack is
 * [B..][N]/cols[K]/pair; /n+n: columns of both halves of a head. Panels are a
 * value or weights in that order, which a kernel (pack) made. */
#include "passes/kernels/cut.h"
#include <string.h>

typedef struct {
    const IrText *names;
    FILE *out;
    const Plan *plan;
    const Kernel *k;
    void (*mark)(FILE *out, const Node *n, void *user); /* or NULL */
    void *user;
    Arena arena; /* of the kernel at hand: */
    int *uses;   /* of each node, in its trees */
} Printer;

/* ---- names ---- */

static const char *name_of(const Printer *p, const Node *n)
{
    return ir_text_node(p->names, p->plan->graph, n);
}

static void print_dims(const Printer *p, int n, const Dim *const *d)
{
    fputc('[', p->out);
    for (int i = 0; i < n; i++)
        fprintf(p->out, "%s%s", i ? ", " : "", ir_text_dim(p->names, d[i]));
    fputc(']', p->out);
}

static void begin_line(const Printer *p, const Node *n, int indent)
{
    if (p->mark)
        p->mark(p->out, n, p->user);
    fprintf(p->out, "%*s", indent, "");
}

/* ---- trees ---- */

static bool is_out(const Kernel *k, const Node *n)
{
    for (int i = 0; i < kernel_results(k); i++)
        if (k->out[i]->node == n)
            return true;
    return false;
}

/* Does a tree end at n? */
static bool ends(const Kernel *k, const Node *n)
{
    return kernel_leaf(k, n) ||
           (kernel_hole(k, n) && k->skeleton != SKEL_attend);
}

static void count_uses(Printer *p, const Node *n, bool root)
{
    if (p->uses[n->id]++ || (!root && ends(p->k, n)))
        return;
    if (root && kernel_leaf(p->k, n))
        return;
    for (int i = 0; i < node_args(n); i++)
        count_uses(p, n->arg[i], false);
}

static bool is_matmul(const Kernel *k)
{
    return k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped;
}

/* Worth a line of its own: a sum, or more than one op on what has names; and
 * rows that a matmul computes. */
static bool is_let(const Printer *p, const Node *n)
{
    if (is_matmul(p->k) && n == p->k->matmul.x)
        return !kernel_leaf(p->k, n);
    if (p->uses[n->id] < 2 || ends(p->k, n) || is_out(p->k, n))
        return false;
    if (node_kind(n) == NODE_reduce)
        return true;
    for (int i = 0; i < node_args(n); i++)
        if (!ends(p->k, n->arg[i]) && node_args(n->arg[i]))
            return true;
    return false;
}

static void print_tree(const Printer *p, const Node *n, bool root)
{
    const Kernel *k = p->k;
    if (kernel_hole(k, n) && k->skeleton != SKEL_attend) {
        fprintf(p->out, "<%s>", name_of(p, n));
    } else if (kernel_leaf(k, n) || (!root && (is_out(k, n) || is_let(p, n)))) {
        fputs(name_of(p, n), p->out);
    } else if (n->op == OP_number) {
        ir_print_number(p->out, n->num);
    } else {
        const char *comma = "";
        fprintf(p->out, "%s(", op_info[n->op].name);
        for (int i = 0; i < node_args(n); i++, comma = ", ") {
            fputs(comma, p->out);
            print_tree(p, n->arg[i], false);
        }
        if (n->op == OP_scalar)
            fputs(size_text(n->size), p->out);
        if (n->ndim) {
            fputs(comma, p->out);
            print_dims(p, n->ndim, n->dim);
        }
        fputc(')', p->out);
    }
}

static void print_lets(const Printer *p)
{
    for (int i = 0; i < p->plan->graph->node.n; i++) {
        const Node *n = p->plan->graph->node.at[i];
        if (!is_let(p, n))
            continue;
        begin_line(p, n, 4);
        fprintf(p->out, "let %s = ", name_of(p, n));
        print_tree(p, n, true);
        fputc('\n', p->out);
    }
}

static void print_out(const Printer *p, const Buffer *b)
{
    begin_line(p, b->node, 4);
    fprintf(p->out, "%s: ", name_of(p, b->node));
    ir_text_type(p->names, p->out, &b->type);
    fputs(" = ", p->out);
    print_tree(p, b->node, true);
    fputc('\n', p->out);
}

/* ---- matmuls ---- */

static void print_pack(const Printer *p, const Pack *k)
{
    fprintf(p->out, " as %s ", type_info[k->dtype].name);
    print_dims(p, k->nb, k->b);
    print_dims(p, k->nn, k->n);
    fprintf(p->out, k->halves ? "/%d+%d" : "/%d",
            k->halves ? k->cols / 2 : k->cols, k->cols / 2);
    print_dims(p, k->nk, k->k);
    if (k->pair > 1)
        fprintf(p->out, "/%d", k->pair);
}

static void print_weights(const Printer *p, const Pack *k)
{
    for (int i = 0; i < k->parts; i++)
        fprintf(p->out, "%s%s", i ? " | " : "", name_of(p, k->part[i]));
}

static void print_part(const Printer *p, const MatmulPart *m)
{
    const Pack *k = &m->w->pack;
    begin_line(p, m->contract[0], 4);
    fputs(m->w->kind == BUF_panels ? "panels " : "weights ", p->out);
    print_weights(p, k);
    for (int i = 0; i < k->parts; i++)
        fprintf(p->out, "%s<%s>", i ? " | " : " for ",
                name_of(p, m->contract[i]));
    print_pack(p, k);
    fputc('\n', p->out);
    for (int i = 0; i < m->nout; i++)
        print_out(p, p->k->out[m->first_out + i]);
}

static void print_rows(const Printer *p)
{
    const Matmul *m = &p->k->matmul;
    fputs(" rows ", p->out);
    print_dims(p, m->nm, m->m);
    fprintf(p->out, " of %s over ", name_of(p, m->x));
    print_dims(p, m->nk, m->k);
    if (m->index)
        fprintf(p->out, " by %s", name_of(p, m->index->node));
}

/* ---- kernels ---- */

static void print_map(const Printer *p)
{
    const Map *m = &p->k->map;
    fputs(" rows ", p->out);
    print_dims(p, m->nrow, m->row);
    if (m->vec)
        fprintf(p->out, " lanes %s", ir_text_dim(p->names, m->vec));
}

static void print_bodies(const Printer *p)
{
    const char *before = " of ";
    for (int i = 0; i < p->k->repeat.n; i++) {
        bool again = false;
        for (int j = 0; j < i; j++)
            again |= p->k->repeat.body[j] == p->k->repeat.body[i];
        if (again)
            continue;
        fprintf(p->out, "%s%s", before,
                ir_text_graph(p->names, p->k->repeat.body[i]->graph));
        before = ", ";
    }
}

static void print_head(const Printer *p)
{
    const Kernel *k = p->k;
    begin_line(p, k->out[0]->node, 2);
    fprintf(p->out, "%s = %s", k->name, skeleton_name[k->skeleton]);
    if (k->skeleton == SKEL_map) {
        print_map(p);
    } else if (is_matmul(k)) {
        print_rows(p);
    } else if (k->skeleton == SKEL_route) {
        fprintf(p->out, " of %s", name_of(p, k->index));
        if (kernel_results(k))
            print_map(p);
    } else if (k->skeleton == SKEL_attend && k->attend.window) {
        fprintf(p->out, " window %lld", (long long)k->attend.window);
    } else if (k->skeleton == SKEL_repeat) {
        print_bodies(p);
    } else if (k->skeleton == SKEL_pack) {
        fputc(' ', p->out);
        print_weights(p, &k->out[0]->pack);
        print_pack(p, &k->out[0]->pack);
    }
    fputc('\n', p->out);
}

static void print_schedule(const Printer *p)
{
    static const Schedule none;
    KernelKey key;
    if (!memcmp(&p->k->schedule, &none, sizeof none) || !kernel_key(p->k, &key))
        return;
    fputs("    schedule ", p->out);
    kernel_key_print(&key, p->out);
    fputc(' ', p->out);
    schedule_print(&p->k->schedule, p->out);
    fputc('\n', p->out);
}

static void print_kernel(Printer *p, const Kernel *k)
{
    p->k = k;
    p->uses = arena_alloc(&p->arena, (size_t)p->plan->graph->node.n *
                                         sizeof *p->uses);
    for (int i = 0; i < kernel_results(k); i++)
        count_uses(p, k->out[i]->node, true);
    if (is_matmul(k))
        count_uses(p, k->matmul.x, false);
    print_head(p);
    print_lets(p);
    if (is_matmul(k))
        for (int i = 0; i < k->matmul.nparts; i++)
            print_part(p, &k->matmul.part[i]);
    else
        for (int i = 0; i < kernel_results(k); i++)
            print_out(p, k->out[i]);
    print_schedule(p);
    arena_free(&p->arena);
}

static void print_plan(Printer *p, const Plan *plan, const Plan *top)
{
    for (int i = 0; i < plan->body.n; i++)
        print_plan(p, plan->body.at[i], top);
    p->plan = plan;
    fprintf(p->out, "\nkernels of %s %s {\n", plan == top ? "graph" : "body",
            ir_text_graph(p->names, plan->graph));
    for (int i = 0; i < plan->kernel.n; i++) {
        const Kernel *k = plan->kernel.at[i];
        if (!i || plan->kernel.at[i - 1]->level != k->level)
            fprintf(p->out, "  level %d\n", k->level);
        print_kernel(p, k);
    }
    fputs("}\n", p->out);
}

void kernels_print_marked(const Plan *plan, FILE *out,
                          void (*mark)(FILE *out, const Node *n, void *user),
                          void *user)
{
    fputs("# The graph, after the passes.\n\n", out);
    IrText *names = ir_text(plan->graph, out, mark, user);
    fputs("\n# Its kernels: those of a level do not wait for each other.\n",
          out);
    Printer p = {.names = names, .out = out, .mark = mark, .user = user};
    print_plan(&p, plan, plan);
    ir_text_free(names);
}

void kernels_print(const Plan *plan, FILE *out)
{
    kernels_print_marked(plan, out, NULL, NULL);
}
