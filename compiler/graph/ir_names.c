/* The names in a graph's text: of dims, weights, bodies, tables; of each
 * graph's nodes. */
#include "compiler/graph/ir.h"
#include <ctype.h>
#include <string.h>

const char *ir_name_of(const IrNames *names, const void *of)
{
    for (int i = 0; i < names->n; i++)
        if (names->at[i].of == of)
            return names->at[i].name;
    BUG("printing something without a name");
}

bool ir_has_name(const IrNames *names, const void *of)
{
    for (int i = 0; i < names->n; i++)
        if (names->at[i].of == of)
            return true;
    return false;
}

static bool taken(const IrNames *names, const char *name)
{
    Dtype t;
    if (type_find(name, &t))
        return true;
    for (int i = 0; i < names->n; i++)
        if (names->at[i].name == name)
            return true;
    return false;
}

void ir_give_name(IrText *p, IrNames *names, const void *of, const char *name)
{
    const char *full = intern(name);
    for (int i = 2; taken(names, full); i++)
        full = intern_printf("%s.%d", name, i);
    list_push(&p->arena, names, ((IrName){of, full}));
}

bool ir_is_word(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_' && *s != '.')
            return false;
    return true;
}

/* Words that mean something else where a node's name may stand. */
static bool is_kept_word(const char *s)
{
    static const char *const word[] = {"output", "value", "nan", "inf"};
    for (size_t i = 0; i < COUNT(word); i++)
        if (!strcmp(s, word[i]))
            return true;
    return false;
}

static int by_pointer(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const char *const *)a,
              y = (uintptr_t) * (const char *const *)b;
    return (x > y) - (x < y);
}

static bool label_is_free(const char *const *sorted, int n, const char *label)
{
    int count = 0, low = 0, high = n;
    while (low < high) {
        int mid = (low + high) / 2;
        if ((uintptr_t)sorted[mid] < (uintptr_t)label)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < n && sorted[low] == label; low++)
        count++;
    return count == 1 && !is_kept_word(label);
}

void ir_name_nodes(IrText *p, const Node *const *node, int n)
{
    size_t bytes = (size_t)(n + 1) * sizeof(char *);
    const char **sorted = arena_alloc(&p->arena, bytes);
    int m = 0;
    for (int i = 0; i < n; i++)
        if (node[i]->label)
            sorted[m++] = intern(node[i]->label);
    qsort(sorted, (size_t)m, sizeof *sorted, by_pointer);
    p->node = (IrNames){0};
    for (int i = 0; i < n; i++) {
        const char *label = node[i]->label ? intern(node[i]->label) : "";
        bool word = ir_is_word(label);
        if (!word || !label_is_free(sorted, m, label))
            label = intern_printf("%s%%%d", word ? label : "", i);
        list_push(&p->arena, &p->node, ((IrName){node[i], label}));
    }
}

/* Of a whole graph the position is the id; of a formula it is searched. */
static const char *name_among(const IrNames *names, const Node *n)
{
    if (n->id < names->n && names->at[n->id].of == n)
        return names->at[n->id].name;
    return ir_name_of(names, n);
}

const char *ir_name_of_node(const IrText *p, const Node *n)
{
    return name_among(&p->node, n);
}

/* ---- kept ---- */

const char *ir_text_dim(const IrText *t, const Dim *d)
{
    return ir_name_of(&t->dim, d);
}

const char *ir_text_graph(const IrText *t, const Graph *g)
{
    for (int i = 0; i < t->graph.n; i++)
        if (t->graph.at[i].graph == g)
            return t->graph.at[i].name;
    BUG("the graph %s was not printed", g->name);
}

const char *ir_text_node(const IrText *t, const Graph *g, const Node *n)
{
    for (int i = 0; i < t->graph.n; i++)
        if (t->graph.at[i].graph == g)
            return name_among(&t->graph.at[i].node, n);
    BUG("the graph %s was not printed", g->name);
}

void ir_text_free(IrText *t)
{
    arena_free(&t->arena);
    free(t);
}
