/* Reads the kernels level's text (print.c shows it) back. The graph is read
 * first; a kernel's lines then say what is stored and where trees end, and all
 * else they say is held against what follows from that. */
#include "passes/kernels/choice.h"
#include "passes/kernels/read.h"
#include <ctype.h>
#include <string.h>

/* ---- results and lets ---- */

static bool own_line(PlanReader *r, const Node *n, Loc loc)
{
    if (r->ir.failed)
        return false;
    if (r->seen[n->id] & SEEN_own)
        return ir_mistake(&r->ir, loc, "%s has a line in this kernel already",
                          read_name_of(r, n));
    r->seen[n->id] |= SEEN_own;
    return true;
}

static void read_let(PlanReader *r)
{
    Loc loc = r->ir.now.loc;
    Node *n = read_node(r);
    ir_want(&r->ir, '=');
    if (own_line(r, n, loc))
        read_tree(r, n, true);
}

/* name: type = tree */
static void read_out(PlanReader *r)
{
    IrReader *ir = &r->ir;
    Kernel *k = r->k;
    Loc loc = ir->now.loc;
    bool matmul = k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped;
    Node *n = read_node(r);
    ir_want(ir, ':');
    Loc type_loc = ir->now.loc;
    Type t = ir_type(ir);
    ir_want(ir, '=');
    if (!own_line(r, n, loc))
        return;
    if (!type_same(&t, &n->type))
        ir_mistake(ir, type_loc, "%s is %s", read_name_of(r, n),
                   type_text(&n->type));
    else if (k->nout == KERNEL_ARGS && k->skeleton != SKEL_repeat)
        ir_mistake(ir, loc, "at most %d results", KERNEL_ARGS);
    else if (matmul && !k->matmul.nparts)
        ir_mistake(ir, loc, "needs a line of weights before its results");
    if (ir->failed)
        return;
    kernel_writes(k, cut_written(&r->cut, n));
    read_tree(r, n, true);
}

/* What the schedule goes by follows from the kernel: it is checked when that is
 * known (check_key). */
static void skip_key(PlanReader *r)
{
    r->key = r->ir.now.loc;
    while (!r->ir.failed && r->ir.now.kind != TOKEN_end && !ir_at(&r->ir, '{'))
        ir_next(&r->ir);
    r->key.len = r->ir.now.loc.at - r->key.at;
}

/* grain 85 or tasks 4 4 10 10 */
static void read_choice(PlanReader *r)
{
    IrReader *ir = &r->ir;
    Loc loc = ir->now.loc, at = loc;
    const char *name = ir_name(ir, false, "a choice");
    const char *skeleton = skeleton_name[r->k->skeleton];
    const Choice *c = choice_find(name);
    int value[BUCKETS], n = 0;
    bool fits = true;
    if (!ir->failed && (!c || !strstr(c->skeletons, skeleton)))
        ir_mistake(ir, loc, "a %s has no choice %s", skeleton, name);
    do {
        at = fits ? ir->now.loc : at;
        value[n] = ir_int(ir);
        fits = fits && !ir->failed && choice_takes(c, value[n]);
        n++;
    } while (!ir->failed && n < BUCKETS && ir->now.kind == TOKEN_number);
    if (!ir->failed && !fits)
        ir_mistake(ir, at, "%s", choice_rule(c));
    if (!ir->failed && !schedule_list(&r->k->schedule, name, n, value))
        ir_mistake(ir, loc, "%s has 1 value%s", name,
                   c->n > 1 ? ", or one for each of 4 ranges of T" : "");
}

/* KEY { grain 85, tasks 4 4 10 10 } */
static void read_schedule(PlanReader *r)
{
    skip_key(r);
    ir_want(&r->ir, '{');
    do
        read_choice(r);
    while (!r->ir.failed && ir_sign(&r->ir, ','));
    ir_want(&r->ir, '}');
}

/* Are these bytes the text, but for blanks? */
static bool same_words(const char *s, int n, const char *text)
{
    for (int i = 0; i < n; i++) {
        if (isspace((unsigned char)s[i]))
            continue;
        while (*text == ' ')
            text++;
        if (s[i] != *text++)
            return false;
    }
    return !*text;
}

static void check_key(PlanReader *r)
{
    KernelKey key;
    char *text = NULL;
    size_t len;
    if (!r->key.len)
        return;
    FILE *out = open_memstream(&text, &len);
    if (kernel_key(r->k, &key))
        kernel_key_print(&key, out);
    fclose(out);
    if (!*text)
        ir_mistake(&r->ir, r->key, "a %s has no schedule",
                   skeleton_name[r->k->skeleton]);
    else if (!same_words(r->ir.src->text + r->key.at, r->key.len, text))
        ir_mistake(&r->ir, r->key, "needs %s, what the kernel is", text);
    free(text);
}

/* One line of a kernel; false: it is none. */
static bool read_line(PlanReader *r)
{
    IrReader *ir = &r->ir;
    Kernel *k = r->k;
    if (ir->failed || ir->now.kind != TOKEN_word)
        return false;
    char ahead = read_ahead(r);
    bool matmul = k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped;
    if (ahead == ':')
        read_out(r);
    else if (ahead != '=' && ir_word(ir, "let"))
        read_let(r);
    else if (ahead != '=' && ir_word(ir, "schedule"))
        read_schedule(r);
    else if (matmul && ahead != '=' && ir_word(ir, "weights"))
        read_weights(r, false);
    else if (matmul && ahead != '=' && ir_word(ir, "panels"))
        read_weights(r, true);
    else
        return false;
    return true;
}

/* ---- heads ---- */

/* [T] lanes T */
static void read_map_rows(PlanReader *r)
{
    Map *m = &r->k->map;
    m->nrow = read_some_dims(r, m->row);
    if (ir_word(&r->ir, "lanes"))
        m->vec = ir_known(&r->ir, &r->ir.dim, "dim");
}

static void read_route_head(PlanReader *r)
{
    ir_want_word(&r->ir, "of");
    Node *n = read_node(r);
    if (!r->ir.failed && !n->type.index_of)
        ir_mistake(&r->ir, r->loc, "%s is no index", read_name_of(r, n));
    r->k->index = n;
    if (ir_word(&r->ir, "rows"))
        read_map_rows(r);
}

/* What a repeat runs, for the eye: held against its table at its end. */
static void read_bodies(PlanReader *r)
{
    ir_want_word(&r->ir, "of");
    do {
        const Graph *body = ir_known(&r->ir, &r->ir.body, "body");
        if (body)
            list_push(r->ir.arena, &r->body, body);
    } while (!r->ir.failed && ir_sign(&r->ir, ','));
}

/* Each body once, in order of first use. */
static bool bodies_agree(PlanReader *r)
{
    const Kernel *k = r->k;
    int at = 0;
    for (int i = 0; i < k->repeat.n; i++) {
        bool again = false;
        for (int j = 0; j < i; j++)
            again |= k->repeat.body[j] == k->repeat.body[i];
        if (again)
            continue;
        if (at == r->body.n || r->body.at[at++] != k->repeat.body[i]->graph)
            return false;
    }
    return at == r->body.n;
}

/* Gives a repeat its bodies' plans; those no longer wait for one. */
static void read_repeat_end(PlanReader *r)
{
    Kernel *k = r->k;
    Plan *own = r->cut.plan;
    Node *n = k->node;
    k->repeat.node = n;
    k->repeat.n = n->repeat->n;
    k->repeat.body = arena_alloc(r->ir.arena, (size_t)k->repeat.n *
                                                      sizeof(Plan *) + 1);
    for (int i = 0; i < k->repeat.n; i++) {
        Plan *p = NULL;
        for (int j = 0; j < own->body.n; j++)
            if (own->body.at[j]->graph == n->repeat->at[i].body)
                p = own->body.at[j];
        for (int j = r->plan.n - 1; !p && j >= 0; j--)
            if (r->plan.at[j]->graph == n->repeat->at[i].body) {
                p = r->plan.at[j];
                list_push(r->ir.arena, &own->body, p);
                for (r->plan.n--; j < r->plan.n; j++)
                    r->plan.at[j] = r->plan.at[j + 1];
            }
        if (!p) {
            ir_mistake(&r->ir, r->loc, "%s: the kernels of body %s must stand "
                       "above", k->name, n->repeat->at[i].body->name);
            return;
        }
        k->repeat.body[i] = p;
    }
    if (!bodies_agree(r))
        ir_mistake(&r->ir, r->loc, "%s: its table runs other bodies", k->name);
}

static void read_head(PlanReader *r)
{
    IrReader *ir = &r->ir;
    switch (r->k->skeleton) {
    case SKEL_map:
        ir_want_word(ir, "rows");
        read_map_rows(r);
        break;
    case SKEL_matmul:
    case SKEL_grouped: read_matmul_head(r); break;
    case SKEL_route: read_route_head(r); break;
    case SKEL_repeat: read_bodies(r); break;
    case SKEL_pack: read_pack_head(r); break;
    case SKEL_attend:
        if (ir_word(ir, "window"))
            r->k->attend.window = ir_int(ir);
        break;
    case SKEL_scatter:
    case SKEL_back:
    case SKEL_collect:
    case SKEL_call: break;
    }
}

/* ---- what follows from a kernel's lines ---- */

bool plan_ends(Cut *c, const Node *n, void *user)
{
    const PlanReader *r = user;
    (void)c;
    return node_kind(n) == NODE_leaf ||
           (r->seen[n->id] & (SEEN_named | SEEN_own)) == SEEN_named;
}

/* Products are the kernel's, and what it reads has no tree in it. */
static void check_ends(PlanReader *r)
{
    for (int i = 0; i < r->cut.g->node.n && !r->ir.failed; i++) {
        const Node *n = r->cut.g->node.at[i];
        bool hole = kernel_hole(r->k, n);
        int seen = r->seen[i] & (SEEN_named | SEEN_spelled | SEEN_own);
        if (r->seen[i] & SEEN_hole && !hole)
            ir_mistake(&r->ir, r->where[i], "<%s> needs a line of weights",
                       read_name_of(r, n));
        else if (seen == SEEN_named && hole)
            ir_mistake(&r->ir, r->where[i], "needs <%s>: this kernel makes it",
                       read_name_of(r, n));
        else if (seen == (SEEN_named | SEEN_spelled))
            ir_mistake(&r->ir, r->where[i], "%s is made in this kernel: give "
                       "it a line, let %s = .., or read it everywhere",
                       read_name_of(r, n), read_name_of(r, n));
    }
}

void read_trees(PlanReader *r)
{
    Kernel *k = r->k;
    Node *root[KERNEL_ARGS];
    for (int i = 0; i < k->nout; i++)
        root[i] = k->out[i]->node;
    cut_reads(&r->cut, k, k->nout, root, plan_ends, r);
}

/* Kernels of one node that is an op of their own. */
static void own_end(PlanReader *r)
{
    Kernel *k = r->k;
    Node *n = k->out[0]->node;
    int64_t window = k->attend.window;
    if (!cut_all_beside(k) || n->op == OP_result ||
        node_kind(n) != NODE_own ||
        cut_own_skeleton(n) != k->skeleton) {
        ir_mistake(&r->ir, r->loc, "%s needs one result, of an op that is a "
                   "%s", k->name, skeleton_name[k->skeleton]);
        return;
    }
    cut_own_kernel(&r->cut, n, k);
    if (k->skeleton == SKEL_scatter)
        read_trees(r);
    else if (k->skeleton == SKEL_repeat)
        read_repeat_end(r);
    else if (k->skeleton == SKEL_attend && k->attend.window != window)
        ir_mistake(&r->ir, r->loc, "%s: its window is %lld", k->name,
                   (long long)k->attend.window);
}

/* Of the results if there are any, else of what others made. */
static void read_route_end(PlanReader *r)
{
    Kernel *k = r->k;
    bool has = !k->nout;
    if (k->nout)
        read_trees(r);
    for (int i = 0; i < k->nout; i++)
        has |= k->out[i]->node == k->index;
    if (!has)
        ir_mistake(&r->ir, r->loc, "%s has results, so %s must be one of them",
                   k->name, read_name_of(r, k->index));
    else
        cut_route_kernel(&r->cut, k->index, k);
}

static void read_end(PlanReader *r)
{
    check_ends(r);
    if (r->ir.failed)
        return;
    if (r->k->skeleton == SKEL_pack) {
        if (r->k->nout != 1)
            ir_mistake(&r->ir, r->loc, "%s stores panels alone", r->k->name);
    } else if (r->k->skeleton == SKEL_route) {
        read_route_end(r);
    } else if (!r->k->nout) {
        ir_mistake(&r->ir, r->loc, "%s stores nothing", r->k->name);
    } else if (r->k->skeleton == SKEL_map) {
        read_trees(r);
    } else if (r->k->skeleton == SKEL_matmul ||
               r->k->skeleton == SKEL_grouped) {
        read_matmul_end(r);
    } else {
        own_end(r);
    }
}

/* ---- kernels, plans ---- */

static void read_skeleton(PlanReader *r)
{
    Loc loc = r->ir.now.loc;
    const char *name = ir_name(&r->ir, false, "a skeleton");
    for (int i = 0; i < (int)COUNT(skeleton_name); i++)
        if (!strcmp(name, skeleton_name[i])) {
            r->k->skeleton = (Skeleton)i;
            return;
        }
    ir_mistake(&r->ir, loc, "no skeleton is called %s", name);
}

static void read_kernel(PlanReader *r, int level)
{
    Kernel *k = r->k = kernel_new(r->ir.arena);
    r->loc = r->ir.now.loc;
    r->body.n = 0;
    r->key = (Loc){0, 0};
    memset(r->seen, 0, (size_t)r->cut.g->node.n);
    k->level = level;
    k->name = ir_name(&r->ir, false, "a kernel's name");
    if (!r->ir.failed && level < 0)
        ir_mistake(&r->ir, r->loc, "needs level 0 above the first kernel");
    ir_want(&r->ir, '=');
    read_skeleton(r);
    if (r->ir.failed)
        return;
    read_head(r);
    while (read_line(r))
        ;
    read_end(r);
    if (!r->ir.failed)
        check_key(r);
    list_push(r->ir.arena, &r->cut.plan->kernel, k);
    list_push(r->ir.arena, &r->heading, ((struct Heading){k, r->loc}));
    r->sizes->nkernels++;
}

/* Whose kernels: a body's or the graph's. */
static const Graph *read_whose(PlanReader *r, const Graph *top)
{
    if (ir_word(&r->ir, "body"))
        return ir_known(&r->ir, &r->ir.body, "body");
    ir_want_word(&r->ir, "graph");
    Loc loc = r->ir.now.loc;
    const char *name = ir_name(&r->ir, true, "the graph's name");
    if (!r->ir.failed && strcmp(name, top->name))
        ir_mistake(&r->ir, loc, "the graph's name is %s", top->name);
    return top;
}

static void begin_plan(PlanReader *r, const Graph *g, const Graph *top)
{
    Arena *a = r->ir.arena;
    size_t n = (size_t)g->node.n + 1;
    Plan *p = arena_alloc(a, sizeof *p);
    *p = (Plan){.arena = a, .graph = g, .name = g->name, .sizes = r->sizes};
    r->cut = (Cut){.arena = a, .g = g, .plan = p,
                   .above = g == top ? NULL : top,
                   .buffer = arena_alloc(a, n * sizeof(Buffer *))};
    r->seen = arena_alloc(a, n);
    r->where = arena_alloc(a, n * sizeof *r->where);
    for (int i = 0; i < r->ir.scope.n; i++)
        if (r->ir.scope.at[i].graph == g)
            r->node = &r->ir.scope.at[i].node;
}

/* kernels of body NAME { level N, kernels } */
static void read_plan(PlanReader *r, const Graph *top)
{
    IrReader *ir = &r->ir;
    if (!ir_want_word(ir, "kernels") || !ir_want_word(ir, "of"))
        return;
    const Graph *g = read_whose(r, top);
    ir_want(ir, '{');
    if (ir->failed)
        return;
    begin_plan(r, g, top);
    int level = -1;
    while (!ir->failed && !ir_sign(ir, '}')) {
        if (read_ahead(r) != '=' && ir_word(ir, "level"))
            level = ir_int(ir);
        else
            read_kernel(r, level);
    }
    cut_lives(r->cut.plan);
    list_push(ir->arena, &r->plan, r->cut.plan);
}

static bool check(PlanReader *r, const Plan *p)
{
    PlanComplaint c = {0};
    Loc loc = {0, 0};
    if (kernels_hold(p, &c))
        return true;
    for (int i = 0; i < r->heading.n; i++)
        if (r->heading.at[i].kernel == c.kernel)
            loc = r->heading.at[i].loc;
    if (!loc.len)
        loc = r->ir.now.loc;
    return ir_mistake(&r->ir, loc, "%s%s%s", c.kernel ? c.kernel->name : "",
                      c.kernel ? ": " : "", c.rule);
}

Plan *kernels_read(Arena *a, const Source *src)
{
    PlanReader r = {.ir = {.arena = a, .src = src}};
    Plan *p = NULL;
    r.sizes = arena_alloc(a, sizeof *r.sizes);
    struct RunSize T = {size_sym("T"), false};
    list_push(a, &r.sizes->at, T);
    const Graph *g = ir_read_graph(&r.ir);
    const Node *n = g ? graph_unsized(g) : NULL;
    if (n)
        ir_mistake(&r.ir, n->loc, "kernels need every size but T");
    while (!r.ir.failed && !p) {
        read_plan(&r, g);
        if (!r.ir.failed && r.cut.g == g)
            p = r.plan.at[--r.plan.n];
    }
    if (p && r.ir.now.kind != TOKEN_end)
        ir_mistake(&r.ir, r.ir.now.loc, "nothing may follow the graph's "
                   "kernels");
    else if (p && r.plan.n)
        ir_mistake(&r.ir, r.ir.now.loc, "no repeat runs the kernels of %s",
                   r.plan.at[0]->name);
    else if (p)
        check(&r, p);
    arena_free(&r.ir.scratch);
    return r.ir.failed ? NULL : p;
}
