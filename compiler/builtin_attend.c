/* Built-ins of transformers: attend and rope. */
#include "compiler/builtin.h"
#include <math.h>
#include <string.h>

Val built_attend(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node n = {.op = OP_attend,
              .arg = {arg_node(s, call, 1), arg_node(s, call, 2),
                      arg_node(s, call, 3)}};
    const Ast *w = arg_named(call, "window");
    Type t;
    if (!n.arg[0] || !n.arg[1] || !n.arg[2])
        return val_error;
    if (w) {
        Val v = eval(s, w->kid[0]);
        if (v.kind == V_size)
            n.size = v.size;
        else if (v.kind != V_none && v.kind != V_error)
            error_at(w->src, w->loc, "a window is a number or none, not %s",
                     val_text(&v));
    }
    const char *why = op_type(&n, &t);
    if (why) {
        error_at(call->src, call->loc, "attend needs %s, got %s, %s, %s", why,
                 type_text(&n.arg[0]->type), type_text(&n.arg[1]->type),
                 type_text(&n.arg[2]->type));
        return val_error;
    }
    return val_node(graph_add(s->g, n));
}

static double field(const cJSON *o, const char *name, double other)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : other;
}

static const struct {
    const char *name;
    RopeKind kind;
} rope_kinds[] = {{"default", ROPE_default},
                  {"linear", ROPE_linear},
                  {"llama3", ROPE_llama3},
                  {"yarn", ROPE_yarn}};

static bool rope_kind(const cJSON *o, RopeKind *kind, const Ast *at)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, "rope_type");
    if (!v)
        v = cJSON_GetObjectItemCaseSensitive(o, "type");
    const char *name = cJSON_IsString(v) ? v->valuestring : "default";
    for (size_t i = 0; i < COUNT(rope_kinds); i++)
        if (!strcmp(rope_kinds[i].name, name)) {
            *kind = rope_kinds[i].kind;
            return true;
        }
    error_at(at->src, at->loc,
             "the config scales rope by \"%s\"; known are default, linear, "
             "llama3, yarn",
             name);
    return false;
}

static bool rope_scaling(Rope *r, const Val *v, const Ast *at)
{
    if (v->kind == V_none || v->kind == V_size)
        return true;
    if (v->kind != V_json || !cJSON_IsObject(v->json)) {
        error_at(at->src, at->loc, "rope's scaling is an object, not %s",
                 val_text(v));
        return false;
    }
    if (!rope_kind(v->json, &r->kind, at))
        return false;
    r->factor = field(v->json, "factor", 1);
    r->low = field(v->json, "low_freq_factor", 1);
    r->high = field(v->json, "high_freq_factor", 4);
    r->original = field(v->json, "original_max_position_embeddings", 8192);
    r->beta_fast = field(v->json, "beta_fast", 32);
    r->beta_slow = field(v->json, "beta_slow", 1);
    r->attention = field(v->json, "attention_factor", 0);
    return true;
}

/* How many elements of a head turn. An odd count n makes (n + 1) / 2 pairs
 * whose frequencies are theta^(-2j / n), as transformers has them: an even
 * n + 1 at theta^((n + 1) / n). */
static bool turned(Rope *r, double hd, double share, const Ast *call)
{
    r->rotary = share > 0 && share <= 1 ? (int)(hd * share) : 0;
    if (r->rotary < 1 || r->rotary + r->rotary % 2 > hd) {
        error_at(call->src, call->loc,
                 "rope turns pairs: a share %g of a head of %g has none", share,
                 hd);
        return false;
    }
    if (r->rotary % 2) {
        r->theta = pow(r->theta, (r->rotary + 1.0) / r->rotary);
        r->rotary++;
    }
    return true;
}

/* rope(x, theta, scaling, part: share of a head that turns) */
Val built_rope(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Rope *r = arena_alloc(s->model->arena, sizeof *r);
    const Size *theta, *share = size_num(1);
    const Ast *part = arg_named(call, "part");
    double hd, n;
    Val scaling = {.kind = V_none};
    if (call->nkid > 3 && call->kid[3]->kind != AST_named)
        scaling = eval(s, call->kid[3]);
    if (!x || !eval_size(s, call->kid[2], &theta) ||
        scaling.kind == V_error || !rope_scaling(r, &scaling, call) ||
        (part && !eval_size(s, part->kid[0], &share)))
        return val_error;
    if (x->type.rank != 3) {
        error_at(call->src, call->loc, "rope turns [T, H, hd], this is %s",
                 type_text(&x->type));
        return val_error;
    }
    Node node = {.op = OP_rope, .arg = {x}, .rope = r};
    if (!size_is_num(theta, &r->theta))
        node.size = theta;
    if (size_is_num(x->type.dim[2]->size, &hd) && size_is_num(share, &n) &&
        !turned(r, hd, n, call))
        return val_error;
    return val_node(graph_add(s->g, node));
}
