/* Lists of numbers, words and truths, [0.3, 0.5]: as a parameter's default, on
 * the command line, in a formula. They are what lists of a config are. */
#include "compiler/lang/elab.h"
#include <math.h>
#include <string.h>

static cJSON *element(Arena *a, const Val *v)
{
    cJSON *o = arena_alloc(a, sizeof *o);
    *o = (cJSON){.type = cJSON_NULL};
    if (v->kind == V_size && size_is_num(v->size, &o->valuedouble))
        o->type = cJSON_Number;
    else if (v->kind == V_bool)
        o->type = v->truth ? cJSON_True : cJSON_False;
    else if (v->kind == V_string)
        o->type = cJSON_String, o->valuestring = (char *)v->string;
    return o;
}

static void append(cJSON *list, cJSON *o)
{
    cJSON *first = list->child, *last = first ? first->prev : NULL;
    if (!first) {
        list->child = o->prev = o;
        return;
    }
    last->next = o;
    o->prev = last;
    first->prev = o;
}

Val list_written(Scope *s, const Ast *e)
{
    Arena *a = s->model->arena;
    cJSON *list = arena_alloc(a, sizeof *list);
    *list = (cJSON){.type = cJSON_Array};
    for (int i = 0; i < e->nkid; i++) {
        Val v = eval(s, e->kid[i]);
        if (v.kind == V_error)
            return v;
        cJSON *o = element(a, &v);
        if (o->type == cJSON_NULL) {
            error_at(e->kid[i]->src, e->kid[i]->loc,
                     "a list has numbers and words known before run time, this "
                     "is %s", val_text(&v));
            return val_error;
        }
        append(list, o);
    }
    return (Val){.kind = V_json, .json = list};
}

bool list_argument(const char *text, Val *out)
{
    static Arena kept; /* for the life of the process, as interned text */
    size_t n = strlen(text);
    if (n < 2 || text[0] != '[' || text[n - 1] != ']')
        return false;
    cJSON *list = arena_alloc(&kept, sizeof *list);
    *list = (cJSON){.type = cJSON_Array};
    for (const char *at = text + 1; at < text + n - 1;) {
        at += strspn(at, " ");
        size_t len = strcspn(at, ",]"), word = len;
        while (word && at[word - 1] == ' ')
            word--;
        Val v = arg_value(intern_n(at, word));
        append(list, element(&kept, &v));
        at += len + 1;
    }
    *out = (Val){.kind = V_json, .json = list};
    return true;
}

/* t[N]: the list as a vector over the dim N, which is as long. */
static Val over_dim(Scope *s, const cJSON *list, const Dim *d)
{
    Graph *g = s->g;
    Node *i = g_cast(g, TYPE_f32,
                     graph_add(g, (Node){.op = OP_iota, .ndim = 1, .dim = {d},
                                         .type = {TYPE_i32, d, 1, {d}}}));
    Node *all = NULL;
    int at = cJSON_GetArraySize(list);
    while (at-- > 0) {
        double n = cJSON_GetArrayItem(list, at)->valuedouble;
        Node *v = g_num(g, TYPE_f32, n);
        Node *here = g_map2(g, OP_eq, i, g_num(g, TYPE_f32, at));
        all = g_select(g, here, v, all ? all : v);
    }
    return val_node(all);
}

Val list_at(Scope *s, const Ast *e, const Val *list)
{
    const Ast *item = e->kid[1];
    Val at = eval(s, item);
    int n = cJSON_GetArraySize(list->json);
    double i, size;
    if (at.kind == V_error)
        return at;
    if (at.kind != V_size || e->nkid != 2 || item->kind == AST_named) {
        error_at(item->src, item->loc,
                 "a list takes a number, as in types[l], or a dim");
        return val_error;
    }
    const Dim *d = item->kind == AST_name ? find_dim(s, item->text) : NULL;
    if (d && n && cJSON_IsNumber(list->json->child) &&
        (!size_is_num(d->size, &size) || size == n))
        return over_dim(s, list->json, d);
    if (!size_is_num(at.size, &i))
        return val_size(size_sym("element"));
    if (i >= 0 && i < n && i == floor(i))
        return json_value(cJSON_GetArrayItem(list->json, (int)i));
    error_at(item->src, item->loc, "%s has %d elements: there is none at %s",
             list->field ? list->field : "the list", n, size_text(at.size));
    return val_error;
}
