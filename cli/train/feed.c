/* Data opened as a model wants it: its vocabulary, tokenizer, chat format and
 * further columns. */
#include "cli/train/run.h"
#include <string.h>

static bool is_known(const Fed *f, const char *name)
{
    for (int i = 0; i < f->columns; i++)
        if (!strcmp(f->column[i].name, name))
            return true;
    return false;
}

/* The columns that a graph, a body of `in` (or NULL), reads. */
static void find_columns(Fed *f, const Graph *g, const Repeat *in)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        for (int k = 0; n->op == OP_repeat && k < n->repeat->n; k++)
            find_columns(f, n->repeat->at[k].body, n->repeat);
        if (n->op != OP_input || !strcmp(n->name, "token") ||
            (in && (!strcmp(n->name, "x") || repeat_gives(in, n->name))) ||
            is_known(f, n->name))
            continue;
        f->column = xrealloc(f->column, (size_t)(f->columns + 1) *
                                            sizeof *f->column);
        f->column[f->columns++] = (DataColumn){
            n->name, n->type.index_of ? size_at(n->type.index_of->size, 0)
                                      : 0};
    }
}

static int64_t vocabulary(const Graph *g)
{
    const Node *y = graph_find_output(g, "y");
    return y && y->type.rank == 2 ? size_at(y->type.dim[1]->size, 0) : 0;
}

static const Checkpoint *checkpoint_of(const Opened *o)
{
    return o->sources.at[0].checkpoint;
}

/* What tokenises, and its hash: ids alone need none. */
static bool open_tokenizer(Fed *f, const RunData *d, const Opened *o,
                           DataUse *use, Err *err)
{
    const Checkpoint *c = checkpoint_of(o);
    Err none;
    size_t len;
    if (d->spec.kind == DATA_ids)
        return true;
    f->tokenizer = tokenizer_open(c, err);
    if (!f->tokenizer)
        return false;
    f->chat = chat_format(c, NULL, &none);
    use->tokenizer = f->tokenizer;
    use->chat = f->chat;
    char *text = c->tokenizer ? read_file(c->tokenizer, &len, &none) : NULL;
    use->key = text ? hash_bytes(0, text, len) : checkpoint_hash(c);
    free(text);
    if (f->chat)
        use->key ^= chat_format_hash(f->chat);
    return true;
}

bool fed_open(Fed *f, const Run *r, const RunData *d, const Opened *o,
              const Graph *of, Err *err)
{
    *f = (Fed){0};
    DataUse use = {.vocabulary = vocabulary(of),
                   .cache = r->lock < 0 ? NULL : r->folder};
    if (use.vocabulary < 1)
        return err_set(err, "the model gives no logits [T, V]");
    find_columns(f, of, NULL);
    use.column = f->column;
    use.columns = f->columns;
    if (!open_tokenizer(f, d, o, &use, err) ||
        !data_open(&f->data, &d->spec, &use, err))
        return false;
    f->part = examples_of(&f->data, d);
    return f->part.n > 0 || err_set(err, "%s: the split leaves no example",
                                    d->spec.path);
}

void fed_free(Fed *f)
{
    examples_free(&f->part);
    data_free(&f->data);
    chat_format_free(f->chat);
    tokenizer_close(f->tokenizer);
    free(f->column);
}
