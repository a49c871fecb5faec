/* Numbers that a step gives besides its loss: losses of modules, and which
 * experts its tokens have. */
#include "cli/train/run.h"
#include <ctype.h>
#include <string.h>

/* The layers that the rows of a repeat's result are of; of others none. */
static int rows_of(Arena *a, const Node *n, int **layer)
{
    const Repeat *r = n->op == OP_result ? n->arg[0]->repeat : NULL;
    int rows = 0;
    *layer = arena_alloc(a, (size_t)(r ? r->n : 0) * sizeof **layer + 1);
    for (int i = 0; r && i < r->n; i++)
        if (graph_find_output(r->at[i].body, n->name))
            (*layer)[rows++] = i;
    return rows;
}

/* "stat.layer.ffn.8.chosen": of routing, not a model's own stat. */
static Watching kind_of(const char *name)
{
    const char *end = strrchr(name, '.');
    if (!strncmp(name, "loss.", 5))
        return WATCH_loss;
    if (strncmp(name, "stat.", 5) || !isdigit((unsigned char)end[-1]))
        return WATCH_nothing;
    return !strcmp(end, ".chosen")   ? WATCH_chosen
           : !strcmp(end, ".shared") ? WATCH_shared
                                     : WATCH_nothing;
}

void watch(Stage *s)
{
    const Graph *g = s->step.graph;
    for (int i = 0; i < g->output.n; i++) {
        const struct Output *o = &g->output.at[i];
        struct Watched w = {.name = o->name, .kind = kind_of(o->name),
                            .count = type_count(&o->node->type, 1)};
        if (w.kind == WATCH_nothing)
            continue;
        size_t bytes = (size_t)w.count * sizeof *w.sum + 1;
        w.sum = arena_alloc(&s->arena, bytes);
        w.now = arena_alloc(&s->arena, bytes);
        w.rows = rows_of(&s->arena, o->node, &w.layer);
        s->last_layer = w.rows && w.layer[w.rows - 1] > s->last_layer
                            ? w.layer[w.rows - 1]
                            : s->last_layer;
        list_push(&s->arena, &s->watched, w);
    }
}

int watched_rows(const Stage *s, Watching kind, WatchedRow *out)
{
    int n = 0;
    for (int layer = 0; layer <= s->last_layer; layer++)
        for (int i = 0; i < s->watched.n; i++) {
            const struct Watched *w = &s->watched.at[i];
            int rows = w->rows ? w->rows : 1;
            for (int k = 0; w->kind == kind && k < rows; k++)
                if ((w->rows ? w->layer[k] : 0) == layer) {
                    int64_t each = w->count / rows;
                    if (out)
                        out[n] = (WatchedRow){w->sum + k * each, (int)each};
                    n++;
                }
        }
    return n;
}
